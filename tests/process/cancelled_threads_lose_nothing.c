// SPDX-License-Identifier: MIT
//
// Threads that are cancelled, or that leave by pthread_exit, in the midst of code that does little
// but allocate: no lock stays held, and what their cleanup handlers free is free. The library
// itself is no cancellation point: a thread that allocates only isn't cancelled inside malloc.

#include "promise.h"

#include <pthread.h>
#include <stdatomic.h>

#define ROUNDS  250
#define THREADS 4
#define BLOCKS  64

struct work {
    void *blocks[BLOCKS];
    struct random random;
    atomic_bool busy; /* between two cancellation points of its own */
};

static void clean_up(void *pointer)
{
    struct work *work = pointer;
    expect(!atomic_load(&work->busy), "expected malloc and free to be no cancellation points");
    for (unsigned i = 0; i < BLOCKS; i++)
        free(work->blocks[i]);
    free(work);
}

static void replace_some(struct work *work)
{
    atomic_store(&work->busy, true);
    for (unsigned n = 0; n < 50; n++) {
        unsigned i = random_next(&work->random) % BLOCKS;
        free(work->blocks[i]);
        work->blocks[i] = NULL;
        work->blocks[i] = malloc(random_size(&work->random, n ? 14 : 22));
    }
    atomic_store(&work->busy, false);
}

/* By way of unwinding, past a handler that allocates. */
static void allocate_once_more(void *unused)
{
    (void)unused;
    allocate_all_classes(10000);
}

static void leave(void)
{
    pthread_cleanup_push(allocate_once_more, NULL);
    pthread_exit(NULL);
    pthread_cleanup_pop(0);
}

static void *thread_body(void *seed)
{
    struct work *work = calloc(1, sizeof(*work));
    work->random.state = (size_t)seed;
    pthread_cleanup_push(clean_up, work);
    for (unsigned steps = 0;; steps++) {
        replace_some(work);
        pthread_testcancel();
        if (steps > 20 && (size_t)seed % 3 == 0)
            leave();
    }
    pthread_cleanup_pop(1);
    return NULL;
}

static void run_round(unsigned round)
{
    pthread_t threads[THREADS];
    struct random random = {round + 1};
    for (size_t i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, thread_body, (void *)(round * THREADS + i + 1)) ==
                   0,
               "expected a thread");
    usleep((unsigned)(random_next(&random) % 3000));
    for (unsigned i = 0; i < THREADS; i++)
        pthread_cancel(threads[i]);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    promise_begin(60);
    /* What libc allocates once, to unwind a cancelled thread's stack, isn't counted. */
    for (unsigned round = 0; round < 5; round++)
        run_round(round);
    size_t live = stats_now().live_blocks;
    for (unsigned round = 5; round < ROUNDS; round++)
        run_round(round);
    size_t after = stats_now().live_blocks;
    /* A thread cancelled before it starts its work leaves nothing; each other would leave 65. */
    expect(after <= live + 16, "expected %zu live blocks as before, found %zu", live, after);
    expect(stats_now().threads <= 1, "expected no cache of an ended thread to be in use");
    allocate_all_classes((size_t)4 << 20);
    return 0;
}
