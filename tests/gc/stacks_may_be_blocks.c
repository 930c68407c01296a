// SPDX-License-Identifier: MIT
//
// Threads run on stacks that the program has allocated, and allocate large blocks while cycles run
// back to back: none is freed that such a thread has just been given.

#include "collected.h"

#include <time.h>

#define STACK   ((size_t)512 << 10)
#define BLOCK   ((size_t)2 << 20)
#define THREADS 2
#define KEPT    4
#define SECONDS 2

static atomic_bool stop;
static atomic_size_t made;

static void *allocate(void *unused)
{
    uint64_t *volatile kept[KEPT] = {NULL};
    for (uint64_t n = 1; !atomic_load(&stop); n++) {
        uint64_t *block = malloc(BLOCK);
        for (unsigned i = 0; i < KEPT; i++)
            expect(block != kept[i] && (!kept[i] || kept[i][0] == ~kept[i][1]),
                   "expected block %u of the last ones to be whole in round %lu", i,
                   (unsigned long)n);
        block[0] = n;
        block[1] = ~n;
        kept[n % KEPT] = block;
        atomic_fetch_add(&made, 1);
    }
    return unused;
}

static void run_for_a_while(void)
{
    struct timespec time = {SECONDS, 0};
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_attr_setstack(&attributes, aligned_alloc(65536, STACK), STACK);
        expect(pthread_create(&threads[i], &attributes, allocate, NULL) == 0, "expected a thread");
    }
    nanosleep(&time, NULL);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
}

int main(void)
{
    gc_promise_begin(100);
    during_cycles(run_for_a_while);
    printf("%zu blocks\n", atomic_load(&made));
    expect_forced_way();
    return 0;
}
