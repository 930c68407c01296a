// SPDX-License-Identifier: MIT
//
// All threads exchange blocks with all: a shared table of slots; each thread allocates a block,
// swaps it into a random slot and frees the block that was there, whoever put it. A shared cache, a
// work-stealing scheduler's tasks. Half of all frees (with two threads) are of another thread's
// block, one by one and in no order, so nothing can be handed back in batches of one origin.

#include <stdio.h>

#include "rows.h"
#include "workload.h"

enum {
    SLOTS = 8192,
    EXCHANGED = 50000, // a thread, an iteration
};

struct exchange {
    _Atomic(void *) slot[SLOTS];
    struct pool *pool;
    unsigned n;
    uint32_t fixed; // size, or 0 for size[]
    struct {
        alignas(CACHE_LINE) struct rng rng;
        uint32_t next_size;
    } * mine; // one a thread
    uint32_t size[SIZES];
};

static void work(void *arg, unsigned worker)
{
    struct exchange *x = arg;
    struct rng r = x->mine[worker].rng;
    uint32_t next = x->mine[worker].next_size;
    for (unsigned i = 0; i < EXCHANGED; i++) {
        void *p = alloc_touched(x->fixed ? x->fixed : x->size[next++ & SIZES_MASK]);
        free(atomic_exchange_explicit(&x->slot[rng_below(&r, SLOTS)], p, memory_order_acq_rel));
    }
    x->mine[worker].rng = r;
    x->mine[worker].next_size = next;
}

static void setup(struct bench *b)
{
    struct exchange *x = table_new(1, sizeof *x);
    struct rng r = rng_seed(12);
    x->n = b->threads;
    x->fixed = (uint32_t)b->arg[0];
    sizes_draw(&r, 16 << 10, x->size);
    x->mine = table_new(x->n, sizeof *x->mine);
    for (unsigned i = 0; i < x->n; i++) {
        x->mine[i].rng = rng_seed(30 + i);
        x->mine[i].next_size = i * (SIZES / x->n);
    }
    x->pool = pool_new(x->n);
    b->ctx = x;
}

static void teardown(struct bench *b)
{
    struct exchange *x = b->ctx;
    pool_free(x->pool);
    for (unsigned i = 0; i < SLOTS; i++)
        free(atomic_load(&x->slot[i]));
    table_free(x->mine, x->n, sizeof *x->mine);
    table_free(x, 1, sizeof *x);
}

static void run(struct bench *b)
{
    struct exchange *x = b->ctx;
    bench_ops(b, (uint64_t)EXCHANGED * x->n);
    while (bench_next(b))
        pool_run(x->pool, work, x);
}

void threaded_exchange_rows(unsigned threads)
{
    struct bench_row row = {
        .name = "threaded/exchange/64",
        .run = run,
        .setup = setup,
        .teardown = teardown,
        .arg = {64},
        .threads = threads,
    };
    rows_add(&row);
    row.arg[0] = 0;
    snprintf(row.name, sizeof row.name, "threaded/exchange/mixed");
    rows_add(&row);
}
