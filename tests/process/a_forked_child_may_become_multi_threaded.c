// SPDX-License-Identifier: MIT
//
// A process with a single thread forks. The child starts threads, and these open and flush files
// and fork on: none of them waits for a lock of stdio's that the first fork took.

#include "promise.h"

#include <pthread.h>

static void use_stdio(void)
{
    FILE *file = fopen("/dev/null", "w");
    expect(file != NULL, "expected to open /dev/null");
    fputs("a line", file);
    fflush(NULL);
    fclose(file);
}

static void *thread_body(void *unused)
{
    use_stdio();
    pid_t child = fork();
    if (child == 0) {
        use_stdio();
        _exit(0);
    }
    expect_success(child, "a child of the child's thread");
    return unused;
}

static void in_child(void)
{
    pthread_t threads[2];
    watchdog(10);
    running = "the threads of a child";
    for (unsigned i = 0; i < 2; i++)
        expect(pthread_create(&threads[i], NULL, thread_body, NULL) == 0, "expected a thread");
    use_stdio();
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    _exit(0);
}

int main(void)
{
    promise_begin(30);
    for (unsigned i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0)
            in_child();
        expect_success(child, "a child that starts threads");
    }
    use_stdio();
    return 0;
}
