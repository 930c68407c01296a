// SPDX-License-Identifier: MIT
//
// Threads that do nothing but allocate can't outrun the collector. Each has a queue of 4 MB: a
// block points to the one that came after it, so that a marker that lags behind follows the queue
// as it grows, and keeps what was dropped long ago. Without a brake that is gigabytes.

#include "collected.h"

#include <stdlib.h>
#include <sys/resource.h>

#define THREADS 4
#define LENGTH  500
#define BLOCK   8192
#define SECONDS 4
#define PEAK_MOST                                                                                  \
    ((size_t)2 << 20) /* kilobytes; 16 MB are in reach; a busy machine may take 0.8 GB */
/* The machine's memory is none of what is tested. */
#define SPACE ((rlim_t)4 << 30)

struct block {
    struct block *next;
    char rest[BLOCK - sizeof(struct block *)];
};

static struct block *queues[THREADS]; /* their eldest blocks */
static atomic_bool stop;
static atomic_size_t made;

static struct block *make(void)
{
    struct block *block = malloc(sizeof(*block));
    expect(block != NULL, "expected memory: the heap has grown without end");
    memset(block, 1, sizeof(*block));
    block->next = NULL;
    return block;
}

static void *work(void *queue)
{
    struct block **eldest = queue, *newest = *eldest = make();
    for (size_t count = 1; !atomic_load(&stop); count++) {
        newest = newest->next = make();
        if (count >= LENGTH)
            *eldest = (*eldest)->next;
        atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    }
    return NULL;
}

static size_t peak_kilobytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss;
}

int main(void)
{
    pthread_t threads[THREADS];
    struct rlimit limit = {SPACE, SPACE};
    find_call("ga_gc_stats", &read_gc_stats);
    find_call("ga_gc_collect", &collect);
    setrlimit(RLIMIT_AS, &limit);
    for (size_t i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, work, &queues[i]) == 0, "expected a thread");
    sleep(SECONDS);
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    full_cycle();
    struct ga_gc_stats stats = gc_stats_now();
    printf("%zu blocks made, %lu cycles, peak %zu KB\n", atomic_load(&made),
           (unsigned long)stats.cycles, peak_kilobytes());
    expect(stats.cycles > 2, "expected cycles");
    expect(peak_kilobytes() < PEAK_MOST, "expected a bounded heap, and it grew to %zu KB",
           peak_kilobytes());
    return 0;
}
