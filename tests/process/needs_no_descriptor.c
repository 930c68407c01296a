// SPDX-License-Identifier: MIT
//
// A process that may open no file at all allocates, in threads too, trims, and asks for figures,
// all of which but the resident size are there.

#include "promise.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

static void *thread_body(void *unused)
{
    allocate_all_classes((size_t)8 << 20);
    use_whole_family();
    return unused;
}

int main(void)
{
    struct rlimit none = {0, 0};
    pthread_t thread;
    promise_begin(30);
    for (int fd = 3; fd < 20; fd++)
        close(fd);
    expect(setrlimit(RLIMIT_NOFILE, &none) == 0, "expected to allow no descriptor");
    expect(open("/dev/null", O_RDONLY) < 0, "expected the limit to hold");
    allocate_all_classes((size_t)8 << 20);
    for (unsigned i = 0; i < 5; i++) {
        expect(pthread_create(&thread, NULL, thread_body, NULL) == 0, "expected a thread");
        pthread_join(thread, NULL);
    }
    use_whole_family();
    malloc_trim(0);
    struct ga_stats stats = stats_now();
    expect(stats.mapped > 0 && stats.live > 0, "expected figures without a descriptor");
    return 0;
}
