// SPDX-License-Identifier: MIT
//
// Ten thousand threads, some at a time, each of which allocates blocks that another frees: neither
// RSS nor the number of caches nor the library's own tables grow with the number of threads.

#include "promise.h"

#include <pthread.h>
#include <stdatomic.h>

#define AT_ONCE 20
#define WAVES   500
#define BLOCKS  400
/* Caches and depots fill up with what waves leave, but to a bound that isn't the threads' number:
 * if each thread left but 4 KB behind, the limit would be passed. */
#define RSS_PER_LIVE 3
/* Room for the tables of a few more arenas; ten thousand caches would take 20 MB. */
#define MORE_TABLES ((size_t)4 << 20)

/* What a wave leaves for the next one to free. */
static void *handed_over[2][AT_ONCE][BLOCKS];
static unsigned wave;

static void *thread_body(void *index)
{
    size_t me = (size_t)index;
    struct random random = {wave * AT_ONCE + me + 1};
    for (unsigned i = 0; i < BLOCKS; i++) {
        free(handed_over[!(wave & 1)][(me + i) % AT_ONCE][i]);
        handed_over[wave & 1][me][i] = malloc(16 + random_size(&random, 14));
        memset(handed_over[wave & 1][me][i], 1, 16);
    }
    return NULL;
}

static void run_wave(void)
{
    pthread_t threads[AT_ONCE];
    for (size_t i = 0; i < AT_ONCE; i++)
        expect(pthread_create(&threads[i], NULL, thread_body, (void *)i) == 0,
               "expected thread %zu of wave %u to start", i, wave);
    for (size_t i = 0; i < AT_ONCE; i++)
        pthread_join(threads[i], NULL);
    wave++;
}

int main(void)
{
    promise_begin(60);
    while (wave < WAVES / 5)
        run_wave();
    struct ga_stats warm = stats_now();
    while (wave < WAVES)
        run_wave();
    size_t rss = resident_kilobytes();
    struct ga_stats stats = stats_now();
    expect(stats.threads <= 1, "expected one cache in use, found %zu", stats.threads);
    expect(stats.metadata <= warm.metadata + MORE_TABLES,
           "expected tables to stay at %zu KB, they have %zu", warm.metadata >> 10,
           stats.metadata >> 10);
    size_t limit = RSS_PER_LIVE * (stats.live >> 10) + (8u << 10);
    expect(rss <= limit, "expected RSS to be bounded by live data, at most %zu KB; it is %zu KB",
           limit, rss);
    expect(stats.live_blocks <= AT_ONCE * BLOCKS + 1000,
           "expected at most %u live blocks, found %zu", AT_ONCE * BLOCKS, stats.live_blocks);
    return 0;
}
