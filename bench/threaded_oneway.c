// SPDX-License-Identifier: MIT
//
// One thread allocates, another frees: a reader that hands requests to workers, a logger, a
// pipeline. Nothing the consumer frees is ever allocated by it, so every block has to find its way
// back to the producer; what shows is what that way costs.
//
// oneway/SIZE uses one size, oneway/mixed the sizes of sizes.c. With more than two threads there
// are as many pairs as fit. The consumer reads the block's first word before it frees it, which is
// why it was sent; that brings the cache line over and is part of the figure.

#include <stdio.h>

#include "queue.h"
#include "rows.h"

enum { SENT = 50000 }; // a pair, an iteration

struct oneway {
    struct pool *pool;
    struct queue *queue; // one a pair
    unsigned pairs;
    uint32_t fixed; // size, or 0 for size[]
    uint32_t size[SIZES];
};

static void produce(struct oneway *o, struct queue *q)
{
    for (uint32_t i = 0; i < SENT; i++)
        queue_put(q, alloc_touched(o->fixed ? o->fixed : o->size[i & SIZES_MASK]));
    queue_publish(q);
}

static void consume(struct queue *q)
{
    for (uint32_t i = 0; i < SENT; i++) {
        void *p = queue_get(q);
        keep((void *)(uintptr_t) * (volatile uint64_t *)p);
        free(p);
    }
}

static void work(void *arg, unsigned worker)
{
    struct oneway *o = arg;
    struct queue *q = &o->queue[worker / 2];
    if (worker % 2 == 0)
        produce(o, q);
    else
        consume(q);
}

static void setup(struct bench *b)
{
    struct oneway *o = table_new(1, sizeof *o);
    struct rng r = rng_seed(10);
    o->pairs = b->threads / 2;
    o->fixed = (uint32_t)b->arg[0];
    sizes_draw(&r, 16 << 10, o->size);
    o->queue = table_new(o->pairs, sizeof *o->queue);
    o->pool = pool_new(o->pairs * 2);
    b->ctx = o;
}

static void teardown(struct bench *b)
{
    struct oneway *o = b->ctx;
    pool_free(o->pool);
    table_free(o->queue, o->pairs, sizeof *o->queue);
    table_free(o, 1, sizeof *o);
}

static void run(struct bench *b)
{
    struct oneway *o = b->ctx;
    bench_ops(b, (uint64_t)SENT * o->pairs);
    while (bench_next(b))
        pool_run(o->pool, work, o);
}

void threaded_oneway_rows(unsigned threads)
{
    static const struct {
        const char *name;
        long size;
    } kinds[] = {{"64", 64}, {"1024", 1024}, {"mixed", 0}};
    for (unsigned i = 0; i < 3; i++) {
        struct bench_row row = {.run = run,
                                .setup = setup,
                                .teardown = teardown,
                                .arg = {kinds[i].size},
                                .threads = threads};
        snprintf(row.name, sizeof row.name, "threaded/oneway/%s", kinds[i].name);
        rows_add(&row);
    }
}
