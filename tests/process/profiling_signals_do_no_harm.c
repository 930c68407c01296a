// SPDX-License-Identifier: MIT
//
// A profiler's timer signal, a thousand a second of processor time, may interrupt malloc and free
// anywhere: nothing is lost and nothing waits for ever.

#include "promise.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>

#define THREADS 3
#define SECONDS 2

static atomic_uint signals;
static atomic_bool stop;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

static void *work(void *seed)
{
    struct random random = {(size_t)seed};
    void *blocks[128] = {NULL};
    size_t sizes[128];
    while (!atomic_load(&stop)) {
        unsigned i = random_next(&random) % 128;
        if (blocks[i])
            expect_mark(blocks[i], sizes[i], (unsigned char)i);
        free(blocks[i]);
        sizes[i] = random_size(&random, random_next(&random) % 16 ? 12 : 21);
        blocks[i] = malloc(sizes[i]);
        mark(blocks[i], sizes[i], (unsigned char)i);
    }
    for (unsigned i = 0; i < 128; i++)
        free(blocks[i]);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    struct itimerval every_millisecond = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    struct timespec pause = {SECONDS, 0};
    promise_begin(30);
    sigaction(SIGPROF, &action, NULL);
    expect(setitimer(ITIMER_PROF, &every_millisecond, NULL) == 0, "expected a profiling timer");
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    while (nanosleep(&pause, &pause) != 0)
        continue;
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    setitimer(ITIMER_PROF, &never, NULL);
    expect(atomic_load(&signals) >= 50, "expected some hundred signals, counted %u",
           atomic_load(&signals));
    size_t live = stats_now().live_blocks;
    expect(live < 100, "expected few live blocks after the work, found %zu", live);
    return 0;
}
