// SPDX-License-Identifier: MIT
//
// A process of busy threads that is stopped and continued at random moments goes on as if nothing
// had been, and comes to its end.

#include "promise.h"

#include <pthread.h>

#define THREADS 3
#define BLOCKS  100
#define STEPS   150000
#define STOPS   150

static void *work(void *seed)
{
    struct random random = {(size_t)seed};
    void *blocks[BLOCKS] = {NULL};
    size_t sizes[BLOCKS];
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)(random_next(&random) % BLOCKS);
        if (blocks[i])
            expect_mark(blocks[i], sizes[i], (unsigned char)i);
        sizes[i] = random_size(&random, step % 64 ? 13 : 21);
        free(blocks[i]);
        blocks[i] = malloc(sizes[i]);
        mark(blocks[i], sizes[i], (unsigned char)i);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return NULL;
}

static void in_child(void)
{
    pthread_t threads[THREADS];
    watchdog(80);
    running = "the process that is stopped";
    for (size_t i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0, "expected a thread");
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    size_t live = stats_now().live_blocks;
    expect(live < 60, "expected few live blocks after the work, found %zu", live);
    _exit(0);
}

int main(void)
{
    struct random random = {12345};
    int status;
    promise_begin(100);
    pid_t child = fork();
    if (child == 0)
        in_child();
    for (unsigned i = 0; i < STOPS && waitpid(child, &status, WNOHANG) == 0; i++) {
        kill(child, SIGSTOP);
        expect(waitpid(child, &status, WUNTRACED) == child, "expected the child to change state");
        if (!WIFSTOPPED(status))
            break;
        kill(child, SIGCONT);
        usleep((unsigned)(random_next(&random) % 3000));
        status = 0;
    }
    if (!WIFEXITED(status) || waitpid(child, &status, WNOHANG) == 0)
        waitpid(child, &status, 0);
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "expected the stopped child to end well, its status is %#x", (unsigned)status);
    return 0;
}
