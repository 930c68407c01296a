// SPDX-License-Identifier: MIT
//
// Blocks of 32 KB to 4 MB, replaced at random in a set of 64: images, I/O buffers, tables, columns.
// Sizes are log-uniform, so nearly every request is of a size not seen before, and free runs of
// pages are cut and merged all the time. What shows is the page heap, and whether freed pages go
// back to the kernel at once (and are faulted in again) or after a while.
//
// large/random writes the first word of a block; large_filled/random one word of each page, as a
// program does that uses what it asked for.

#include "rows.h"
#include "workload.h"

enum {
    SET = 64,
    REPLACED = 64, // an iteration
    DRAWN = 4096,
    SMALLEST = 32 << 10,
    LARGEST = 4 << 20,
};

struct set {
    char *object[SET];
    struct rng rng;
    uint32_t next_size;
    uint32_t size[DRAWN];
};

static void setup(struct bench *b)
{
    struct set *s = table_new(1, sizeof *s);
    s->rng = rng_seed(4);
    for (unsigned i = 0; i < DRAWN; i++)
        s->size[i] = (uint32_t)sizes_log_uniform(&s->rng, SMALLEST, LARGEST);
    b->ctx = s;
}

static void teardown(struct bench *b)
{
    struct set *s = b->ctx;
    for (unsigned i = 0; i < SET; i++)
        free(s->object[i]);
    table_free(s, 1, sizeof *s);
}

static void run(struct bench *b)
{
    struct set *s = b->ctx;
    bench_ops(b, REPLACED);
    while (bench_next(b)) {
        for (unsigned i = 0; i < REPLACED; i++) {
            char **slot = &s->object[rng_below(&s->rng, SET)];
            free(*slot);
            *slot = alloc_touched(s->size[s->next_size++ % DRAWN]);
        }
    }
}

static void run_filled(struct bench *b)
{
    struct set *s = b->ctx;
    bench_ops(b, REPLACED);
    while (bench_next(b)) {
        for (unsigned i = 0; i < REPLACED; i++) {
            char **slot = &s->object[rng_below(&s->rng, SET)];
            size_t size = s->size[s->next_size++ % DRAWN];
            free(*slot);
            *slot = malloc(size);
            for (size_t at = 0; at < size; at += PAGE)
                touch(*slot + at);
        }
    }
}

void micro_large_rows(void)
{
    rows_add(&(struct bench_row){
        .name = "micro/large/random", .run = run, .setup = setup, .teardown = teardown});
    rows_add(&(struct bench_row){.name = "micro/large_filled/random",
                                 .run = run_filled,
                                 .setup = setup,
                                 .teardown = teardown});
}
