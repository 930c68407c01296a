// SPDX-License-Identifier: MIT
//
// Eight threads that allocate and fork at the same time, again and again: neither they nor their
// children ever wait for ever, and on both sides the forking thread's blocks keep their bytes and
// can be freed and replaced.

#include "promise.h"

#include <pthread.h>

#define THREADS 8
#define FORKS   25
#define BLOCKS  80

struct worker {
    struct random random;
    void *blocks[BLOCKS];
    size_t sizes[BLOCKS];
};

static void replace(struct worker *worker, unsigned i)
{
    if (worker->blocks[i])
        expect_mark(worker->blocks[i], worker->sizes[i], (unsigned char)i);
    worker->sizes[i] = random_size(&worker->random, random_next(&worker->random) % 20 ? 12 : 21);
    free(worker->blocks[i]);
    worker->blocks[i] = malloc(worker->sizes[i]);
    mark(worker->blocks[i], worker->sizes[i], (unsigned char)i);
}

static void replace_some(struct worker *worker, unsigned times)
{
    while (times--)
        replace(worker, (unsigned)(random_next(&worker->random) % BLOCKS));
}

static void free_all(struct worker *worker)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (worker->blocks[i])
            expect_mark(worker->blocks[i], worker->sizes[i], (unsigned char)i);
        free(worker->blocks[i]);
    }
}

static void in_child(struct worker *worker)
{
    watchdog(20);
    running = "a child of the storm";
    for (unsigned i = 0; i < BLOCKS; i++)
        replace(worker, i);
    allocate_all_classes((size_t)2 << 20);
    free_all(worker);
    _exit(0);
}

static void *work(void *seed)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    worker->random.state = (size_t)seed;
    for (unsigned i = 0; i < FORKS; i++) {
        replace_some(worker, 500);
        pid_t child = fork();
        if (child == 0)
            in_child(worker);
        replace_some(worker, 100);
        expect_success(child, "a child of the storm");
    }
    free_all(worker);
    free(worker);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    promise_begin(90);
    running = "a storm of forks";
    for (size_t i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0, "expected a thread");
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    size_t live = stats_now().live_blocks;
    expect(live < 60, "expected few live blocks after the work, found %zu", live);
    allocate_all_classes((size_t)4 << 20);
    return 0;
}
