// SPDX-License-Identifier: MIT
//
// calloc of memory fresh from the kernel and of memory used before, and aligned blocks.
//
// calloc_fresh: 16 KB tables that stay, in memory nobody had before: it is zero already, and an
// allocator that clears it anyway pays for the writing and for every page. calloc_reused: the same
// sizes as malloc's (sizes.c), freed dirty and allocated again in a set of 1,000: clearing can't be
// avoided, only done well. aligned: cache-line, vector and page-aligned blocks, 32 to 4096 bytes of
// alignment, replaced at random in a set of 1,000: SIMD buffers, hash tables, I/O blocks.

#include <stdio.h>
#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    FRESH_SIZE = 16 << 10,
    FRESH_BLOCKS = 256, // an iteration
    FRESH_ITERS = 128,  // 512 MB in all
    FRESH_QUICK = 16,
    SET = 1000,
    REPLACED = 1000,
    MAX_ALIGN = 4096,
    FILL_BYTE = 0xa5,
};

struct set {
    void *object[SET];
    struct rng rng;
    uint32_t next_size;
    uint32_t size[SIZES];
};

static void setup_fresh(struct bench *b)
{
    b->ctx = table_new((size_t)FRESH_BLOCKS * FRESH_ITERS, sizeof(void *));
}

// The repeat count is fixed, so the table can't overflow.
static void run_fresh(struct bench *b)
{
    void **table = b->ctx;
    unsigned blocks = b->quick ? FRESH_QUICK : FRESH_BLOCKS;
    bench_ops(b, blocks);
    while (bench_next(b)) {
        for (unsigned i = 0; i < blocks; i++) {
            *table = calloc(FRESH_SIZE / 64, 64);
            touch(*table++);
        }
    }
}

static void teardown_fresh(struct bench *b)
{
    void **table = b->ctx;
    for (size_t i = 0; i < (size_t)FRESH_BLOCKS * FRESH_ITERS; i++)
        free(table[i]);
    table_free(table, (size_t)FRESH_BLOCKS * FRESH_ITERS, sizeof(void *));
}

static void setup(struct bench *b)
{
    struct set *s = table_new(1, sizeof *s);
    s->rng = rng_seed(2);
    sizes_draw(&s->rng, 16 << 10, s->size);
    b->ctx = s;
}

static void teardown(struct bench *b)
{
    struct set *s = b->ctx;
    for (unsigned i = 0; i < SET; i++)
        free(s->object[i]);
    table_free(s, 1, sizeof *s);
}

static void run_reused(struct bench *b)
{
    struct set *s = b->ctx;
    bench_ops(b, REPLACED);
    while (bench_next(b)) {
        for (unsigned i = 0; i < REPLACED; i++) {
            size_t size = s->size[s->next_size++ & SIZES_MASK];
            void **slot = &s->object[rng_below(&s->rng, SET)];
            free(*slot);
            *slot = calloc(1, size);
            memset(*slot, FILL_BYTE, size < 64 ? size : 64);
        }
    }
}

static void run_aligned(struct bench *b)
{
    struct set *s = b->ctx;
    bench_ops(b, REPLACED);
    while (bench_next(b)) {
        for (unsigned i = 0; i < REPLACED; i++) {
            uint32_t r = rng_below(&s->rng, SET);
            // Twice as many of each alignment as of the next larger one.
            uint32_t shift = (uint32_t)__builtin_ctz((s->next_size & 127) | 128);
            size_t align = (size_t)32 << shift;
            size_t size = s->size[s->next_size++ & SIZES_MASK];
            free(s->object[r]);
            s->object[r] = aligned_alloc(align, (size + align - 1) & ~(align - 1));
            touch(s->object[r]);
        }
    }
}

void micro_calloc_rows(void)
{
    rows_add(&(struct bench_row){.name = "micro/calloc_fresh/16k",
                                 .run = run_fresh,
                                 .setup = setup_fresh,
                                 .teardown = teardown_fresh,
                                 .iterations = FRESH_ITERS});
    rows_add(&(struct bench_row){.name = "micro/calloc_reused/mixed",
                                 .run = run_reused,
                                 .setup = setup,
                                 .teardown = teardown});
    rows_add(&(struct bench_row){
        .name = "micro/aligned/mixed", .run = run_aligned, .setup = setup, .teardown = teardown});
}
