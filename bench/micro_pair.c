// SPDX-License-Identifier: MIT
//
// A block is allocated and freed at once: a function's scratch buffer, a temporary string, a node
// that didn't survive its loop. It is the shortest path an allocator has and always hits the same
// block; what it shows is the instructions of malloc and free and, for large blocks, whether
// they are given to the kernel and asked back each time.
//
// pair/SIZE writes the block's first word; pair_untouched/64 doesn't, and shows the calls alone.

#include <stdio.h>

#include "rows.h"
#include "workload.h"

enum { PAIRS = 1000 }; // an iteration

static void run_pair(struct bench *b)
{
    size_t size = (size_t)b->arg[0];
    bench_ops(b, PAIRS);
    while (bench_next(b)) {
        for (unsigned i = 0; i < PAIRS; i++) {
            void *p = alloc_touched(size);
            free(p);
        }
    }
}

static void run_pair_untouched(struct bench *b)
{
    size_t size = (size_t)b->arg[0];
    bench_ops(b, PAIRS);
    while (bench_next(b)) {
        for (unsigned i = 0; i < PAIRS; i++) {
            void *p = malloc(size);
            keep(p);
            free(p);
        }
    }
}

void micro_pair_rows(void)
{
    static const long sizes[] = {16, 64, 256, 1024, 64 << 10, 1 << 20};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct bench_row row = {.run = run_pair, .arg = {sizes[i]}};
        snprintf(row.name, sizeof row.name, "micro/pair/%ld", sizes[i]);
        rows_add(&row);
    }
    rows_add(&(struct bench_row){
        .name = "micro/pair_untouched/64", .run = run_pair_untouched, .arg = {64}});
}
