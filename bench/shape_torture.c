// SPDX-License-Identifier: MIT
//
// Fragmentation torture, timed: grow to 64 MB of mixed sizes, free a random nine tenths, fill up
// again with other sizes, free everything. How fast an allocator finds room in a heap full of
// holes; what the holes cost in memory is measured at full size by `ga_bench --phase torture`.

#include "rows.h"
#include "torture.h"

enum {
    FULL = 64 << 20,
    QUICK = 8 << 20,
};

static void setup(struct bench *b)
{
    b->ctx = torture_new(b->quick ? QUICK : FULL);
}

static void teardown(struct bench *b)
{
    torture_free(b->ctx);
}

static void run(struct bench *b)
{
    struct torture *t = b->ctx;
    size_t bytes = b->quick ? QUICK : FULL;
    while (bench_next(b)) {
        size_t blocks;
        t->rng = rng_seed(71);
        t->next_size = 0;
        torture_grow(t, bytes);
        blocks = t->n;
        torture_thin(t);
        blocks -= t->n;
        torture_refill(t, bytes);
        blocks += t->n;
        torture_clear(t);
        bench_ops(b, blocks); // allocated, and freed
        bench_check(b, blocks);
    }
}

void shape_torture_rows(void)
{
    rows_add(&(struct bench_row){
        .name = "shape/torture", .run = run, .setup = setup, .teardown = teardown});
}
