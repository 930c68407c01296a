// SPDX-License-Identifier: MIT
//
// A thousand blocks of one size are allocated and then all freed: a request's objects, a list that
// is built and dropped. LIFO frees the newest first (scopes that unwind), FIFO the oldest first
// (queues, list destructors). More blocks than a per-thread cache likes to hold, so what shows is
// how full and empty batches travel between the cache and what lies behind it.
//
// batch_*/SIZE writes each block's first word; batch_untouched/64 doesn't.

#include <stdio.h>

#include "rows.h"
#include "workload.h"

enum { BLOCKS = 1000 };

static void run_lifo(struct bench *b)
{
    static void *block[BLOCKS];
    size_t size = (size_t)b->arg[0];
    bench_ops(b, BLOCKS);
    while (bench_next(b)) {
        for (unsigned i = 0; i < BLOCKS; i++)
            block[i] = alloc_touched(size);
        for (unsigned i = BLOCKS; i-- > 0;)
            free(block[i]);
    }
}

static void run_fifo(struct bench *b)
{
    static void *block[BLOCKS];
    size_t size = (size_t)b->arg[0];
    bench_ops(b, BLOCKS);
    while (bench_next(b)) {
        for (unsigned i = 0; i < BLOCKS; i++)
            block[i] = alloc_touched(size);
        for (unsigned i = 0; i < BLOCKS; i++)
            free(block[i]);
    }
}

static void run_untouched(struct bench *b)
{
    static void *block[BLOCKS];
    size_t size = (size_t)b->arg[0];
    bench_ops(b, BLOCKS);
    while (bench_next(b)) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            block[i] = malloc(size);
            keep(block[i]);
        }
        for (unsigned i = 0; i < BLOCKS; i++)
            free(block[i]);
    }
}

void micro_batch_rows(void)
{
    static const long sizes[] = {64, 256, 1024, 2048, 4096, 8192, 64 << 10};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct bench_row row = {.run = run_lifo, .arg = {sizes[i]}};
        snprintf(row.name, sizeof row.name, "micro/batch_lifo/%ld", sizes[i]);
        rows_add(&row);
        row.run = run_fifo;
        snprintf(row.name, sizeof row.name, "micro/batch_fifo/%ld", sizes[i]);
        rows_add(&row);
    }
    rows_add(
        &(struct bench_row){.name = "micro/batch_untouched/64", .run = run_untouched, .arg = {64}});
}
