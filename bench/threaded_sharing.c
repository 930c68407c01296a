// SPDX-License-Identifier: MIT
//
// False sharing (the ideas of Hoard's cache-thrash and cache-scratch): two threads each write to a
// small block of their own. If the allocator gave them blocks of one cache line, the line travels
// between the cores at every write.
//
// sharing_active: each thread allocates its block itself, so an allocator that serves threads from
// one span line by line is at fault. sharing_passive: the main thread allocates neighbouring blocks
// and hands one to each thread, which frees it before it allocates its own: an allocator that gives
// the freed neighbour back to the thread that freed it goes on sharing. The work of each thread is
// its own, so the rows exist for one thread too.

#include <stdio.h>

#include "rows.h"
#include "workload.h"

enum {
    SIZE = 8,
    ROUNDS = 20000, // blocks a thread allocates, writes and frees, an iteration
    WRITES = 100,   // to each
};

struct sharing {
    struct pool *pool;
    unsigned n;
    void **given; // one a thread; passive only
    bool passive;
};

static void work(void *arg, unsigned worker)
{
    struct sharing *s = arg;
    if (s->passive)
        free(s->given[worker]);
    for (unsigned i = 0; i < ROUNDS; i++) {
        volatile uint64_t *p = malloc(SIZE);
        for (unsigned k = 0; k < WRITES; k++)
            *p = k;
        free((void *)(uintptr_t)p);
    }
}

static void setup(struct bench *b)
{
    struct sharing *s = table_new(1, sizeof *s);
    s->n = b->threads;
    s->passive = b->arg[0] != 0;
    s->given = table_new(s->n, sizeof *s->given);
    s->pool = pool_new(s->n);
    b->ctx = s;
}

static void teardown(struct bench *b)
{
    struct sharing *s = b->ctx;
    pool_free(s->pool);
    table_free(s->given, s->n, sizeof *s->given);
    table_free(s, 1, sizeof *s);
}

static void run(struct bench *b)
{
    struct sharing *s = b->ctx;
    bench_ops(b, (uint64_t)ROUNDS * s->n);
    while (bench_next(b)) {
        for (unsigned i = 0; s->passive && i < s->n; i++)
            s->given[i] = alloc_touched(SIZE);
        pool_run(s->pool, work, s);
    }
}

static void add(const char *kind, unsigned threads, long passive)
{
    struct bench_row row = {
        .run = run, .setup = setup, .teardown = teardown, .arg = {passive}, .threads = threads};
    snprintf(row.name, sizeof row.name, "threaded/%s/t%u", kind, threads);
    rows_add(&row);
}

void threaded_sharing_rows(unsigned threads)
{
    add("sharing_active", 1, 0);
    add("sharing_active", threads, 0);
    add("sharing_passive", 1, 1);
    add("sharing_passive", threads, 1);
}
