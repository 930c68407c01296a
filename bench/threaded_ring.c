// SPDX-License-Identifier: MIT
//
// Threads in a ring: each allocates blocks for its neighbour and frees what its other neighbour
// sent. The stages of a pipeline that is closed: every thread both allocates and frees, but never
// the same blocks. What shows is whether the blocks a thread frees serve its own next requests or
// have to be carried home first.

#include <stdio.h>

#include "queue.h"
#include "rows.h"

enum { SENT = 50000 }; // a thread, an iteration

struct ring {
    struct pool *pool;
    struct queue *queue; // queue[i]: from thread i - 1 to thread i
    unsigned n;
    uint32_t fixed; // size, or 0 for size[]
    uint32_t size[SIZES];
};

static void drain(struct queue *in, uint32_t *received)
{
    void *p;
    while (*received < SENT && (p = queue_try_get(in))) {
        keep((void *)(uintptr_t) * (volatile uint64_t *)p);
        free(p);
        ++*received;
    }
}

// Sends when there is room and frees what has come when there isn't: two full queues can't stop
// both ends.
static void work(void *arg, unsigned worker)
{
    struct ring *g = arg;
    struct queue *in = &g->queue[worker];
    struct queue *out = &g->queue[(worker + 1) % g->n];
    uint32_t received = 0;
    unsigned spins = 0;
    for (uint32_t sent = 0; sent < SENT; sent++) {
        void *p = alloc_touched(g->fixed ? g->fixed : g->size[(sent + worker) & SIZES_MASK]);
        while (!queue_try_put(out, p)) {
            queue_publish(out);
            drain(in, &received);
            queue_relax(&spins);
        }
        if (sent % QUEUE_STEP == 0)
            drain(in, &received);
    }
    queue_publish(out);
    while (received < SENT) {
        drain(in, &received);
        queue_relax(&spins);
    }
}

static void setup(struct bench *b)
{
    struct ring *g = table_new(1, sizeof *g);
    struct rng r = rng_seed(11);
    g->n = b->threads;
    g->fixed = (uint32_t)b->arg[0];
    sizes_draw(&r, 16 << 10, g->size);
    g->queue = table_new(g->n, sizeof *g->queue);
    g->pool = pool_new(g->n);
    b->ctx = g;
}

static void teardown(struct bench *b)
{
    struct ring *g = b->ctx;
    pool_free(g->pool);
    table_free(g->queue, g->n, sizeof *g->queue);
    table_free(g, 1, sizeof *g);
}

static void run(struct bench *b)
{
    struct ring *g = b->ctx;
    bench_ops(b, (uint64_t)SENT * g->n);
    while (bench_next(b))
        pool_run(g->pool, work, g);
}

void threaded_ring_rows(unsigned threads)
{
    struct bench_row row = {
        .name = "threaded/ring/128",
        .run = run,
        .setup = setup,
        .teardown = teardown,
        .arg = {128},
        .threads = threads,
    };
    rows_add(&row);
    row.arg[0] = 0;
    snprintf(row.name, sizeof row.name, "threaded/ring/mixed");
    rows_add(&row);
}
