// SPDX-License-Identifier: MIT
//
// Threads that share nothing: each replaces blocks in its own set (independent_random, sizes of
// sizes.c up to 1 KB, 10,000 live blocks a thread) or builds and drops batches
// (independent_batch, 2,000 blocks of 16 to 256 bytes). The program has no reason to be slower on
// two cores than on one, so the rows exist for one thread and for all: what shows is the locks and
// shared cache lines that are the allocator's own.

#include <stdio.h>

#include "rows.h"
#include "workload.h"

enum {
    LIVE = 10000,
    BATCH = 2000,
    REPLACED = 100000, // a thread, an iteration
    BATCHES = 50,      // a thread, an iteration
    LARGEST = 1024,
};

struct mine {
    alignas(CACHE_LINE) void *block[LIVE];
    struct rng rng;
    uint32_t next_size;
};

struct independent {
    struct pool *pool;
    unsigned n;
    struct mine *mine; // one a thread
    uint32_t size[SIZES];
};

static void work_random(void *arg, unsigned worker)
{
    struct independent *d = arg;
    struct mine *m = &d->mine[worker];
    struct rng r = m->rng;
    uint32_t next = m->next_size;
    for (unsigned i = 0; i < REPLACED; i++) {
        void **slot = &m->block[rng_below(&r, LIVE)];
        free(*slot);
        *slot = alloc_touched(d->size[next++ & SIZES_MASK]);
    }
    m->rng = r;
    m->next_size = next;
}

static void work_batch(void *arg, unsigned worker)
{
    struct independent *d = arg;
    struct mine *m = &d->mine[worker];
    for (unsigned k = 0; k < BATCHES; k++) {
        for (unsigned i = 0; i < BATCH; i++)
            m->block[i] = alloc_touched(16 + (i & 15) * 16);
        for (unsigned i = 0; i < BATCH; i++)
            free(m->block[i]);
    }
}

// The blocks of the batch work are all freed by itself; it mustn't leave their addresses behind.
static void run_batch(struct bench *b)
{
    struct independent *d = b->ctx;
    bench_ops(b, (uint64_t)BATCHES * BATCH * d->n);
    while (bench_next(b))
        pool_run(d->pool, work_batch, d);
    for (unsigned i = 0; i < d->n; i++) {
        for (unsigned k = 0; k < BATCH; k++)
            d->mine[i].block[k] = NULL;
    }
}

static void run_random(struct bench *b)
{
    struct independent *d = b->ctx;
    bench_ops(b, (uint64_t)REPLACED * d->n);
    while (bench_next(b))
        pool_run(d->pool, work_random, d);
}

static void setup(struct bench *b)
{
    struct independent *d = table_new(1, sizeof *d);
    struct rng r = rng_seed(13);
    d->n = b->threads;
    sizes_draw(&r, LARGEST, d->size);
    d->mine = table_new(d->n, sizeof *d->mine);
    for (unsigned i = 0; i < d->n; i++) {
        d->mine[i].rng = rng_seed(40 + i);
        d->mine[i].next_size = i * (SIZES / d->n);
    }
    d->pool = pool_new(d->n);
    b->ctx = d;
}

static void teardown(struct bench *b)
{
    struct independent *d = b->ctx;
    pool_free(d->pool);
    for (unsigned i = 0; i < d->n; i++) {
        for (unsigned k = 0; k < LIVE; k++)
            free(d->mine[i].block[k]);
    }
    table_free(d->mine, d->n, sizeof *d->mine);
    table_free(d, 1, sizeof *d);
}

static void add(const char *kind, void (*run)(struct bench *), unsigned threads)
{
    struct bench_row row = {.run = run, .setup = setup, .teardown = teardown, .threads = threads};
    snprintf(row.name, sizeof row.name, "threaded/%s/t%u", kind, threads);
    rows_add(&row);
}

void threaded_independent_rows(unsigned threads)
{
    add("independent_random", run_random, 1);
    add("independent_random", run_random, threads);
    add("independent_batch", run_batch, 1);
    add("independent_batch", run_batch, threads);
}
