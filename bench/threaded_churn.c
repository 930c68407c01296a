// SPDX-License-Identifier: MIT
//
// Threads that come and go: a thread per request. An operation is one thread's whole life, its
// creation included; what shows beside that is the setting up and taking down of the thread's
// cache.
//
// churn/100 makes 100 blocks and frees them before the thread ends. churn_kept/100 leaves them to
// the main thread, which frees them after it: the dead thread's blocks have to be freed into
// somebody's cache. churn/burst starts as many threads as there are workers at once.

#include <stdio.h>

#include "rows.h"
#include "workload.h"

enum {
    BLOCKS = 100,
    LIVES = 16, // an iteration
    BURST = 64, // threads alive at once in churn_burst
};

struct life {
    alignas(CACHE_LINE) void *block[BLOCKS];
    bool keep;
};

static void *live(void *arg)
{
    struct life *l = arg;
    for (unsigned i = 0; i < BLOCKS; i++)
        l->block[i] = alloc_touched(16 + (i & 15) * 16);
    for (unsigned i = 0; i < BLOCKS && !l->keep; i++)
        free(l->block[i]);
    return NULL;
}

static void bury(struct life *l)
{
    for (unsigned i = 0; i < BLOCKS && l->keep; i++)
        free(l->block[i]);
}

static void run_one(struct bench *b)
{
    struct life *l = table_new(1, sizeof *l);
    l->keep = b->arg[0] != 0;
    bench_ops(b, LIVES);
    while (bench_next(b)) {
        for (unsigned i = 0; i < LIVES; i++) {
            pthread_t t;
            thread_start(&t, live, l);
            pthread_join(t, NULL);
            bury(l);
        }
    }
    table_free(l, 1, sizeof *l);
}

static void run_burst(struct bench *b)
{
    struct life *l = table_new(BURST, sizeof *l);
    pthread_t t[BURST];
    bench_ops(b, BURST);
    while (bench_next(b)) {
        for (unsigned i = 0; i < BURST; i++) {
            l[i].keep = true;
            thread_start(&t[i], live, &l[i]);
        }
        for (unsigned i = 0; i < BURST; i++) {
            pthread_join(t[i], NULL);
            bury(&l[i]);
        }
    }
    table_free(l, BURST, sizeof *l);
}

void threaded_churn_rows(unsigned threads)
{
    (void)threads; // one thread lives at a time, or a burst of a fixed number
    rows_add(&(struct bench_row){.name = "threaded/churn/100", .run = run_one, .threads = 1});
    rows_add(&(struct bench_row){
        .name = "threaded/churn_kept/100", .run = run_one, .arg = {1}, .threads = 1});
    rows_add(
        &(struct bench_row){.name = "threaded/churn_burst/64", .run = run_burst, .threads = BURST});
}
