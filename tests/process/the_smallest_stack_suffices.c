// SPDX-License-Identifier: MIT
//
// A thread with a stack of PTHREAD_STACK_MIN, 16 KB, of which libc takes its part, can use all of
// malloc's family in all size classes, trim, ask for figures, and end.

#include "promise.h"

#include <limits.h>
#include <malloc.h>
#include <pthread.h>

static void *thread_body(void *unused)
{
    allocate_all_classes((size_t)16 << 20);
    use_whole_family();
    char *grows = malloc(10);
    for (size_t size = 10; size < (size_t)8 << 20; size *= 2)
        grows = realloc(grows, size);
    mark(grows, 100, 1);
    free(grows);
    malloc_trim(0);
    expect(mallinfo2().uordblks > 0, "expected mallinfo2 to count something");
    expect(stats_now().threads > 0, "expected a thread to be counted");
    return unused;
}

int main(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    promise_begin(20);
    pthread_attr_init(&attributes);
    expect(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0,
           "expected PTHREAD_STACK_MIN to be a stack's size");
    void *kept = malloc(100);
    for (unsigned i = 0; i < 20; i++) {
        expect(pthread_create(&thread, &attributes, thread_body, NULL) == 0, "expected a thread");
        pthread_join(thread, NULL);
    }
    free(kept);
    return 0;
}
