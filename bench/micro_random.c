// SPDX-License-Identifier: MIT
//
// Random replacement in a standing set of objects: a cache, a session table, an interpreter's heap.
// One object of the set, drawn at random, is freed and one of the same kind allocated in its place.
// After a while free blocks lie all over the heap, so what shows is the cost of free and malloc
// when the metadata isn't in the cache, and whether the block just freed (still in the cache) or a
// cold one is handed out next. 1 k objects fit in the caches, 100 k in the last level, 5 M in none.
//
// random/N/SIZE writes the new block's first word; random_untouched doesn't; mixed/N draws each
// size from 8 B to 16 KB (sizes.c). The scale/live rows also read the old object's word before they
// free it, as a program that follows its own pointers does: every allocator, even one that only
// bumps a pointer, then pays for the same cache misses of the program, and the rest is malloc's.

#include <stdio.h>

#include "rows.h"
#include "workload.h"

enum {
    REPLACED = 1000, // an iteration
    QUICK_LIMIT = 100000,
};

struct set {
    uint32_t n;
    void **object;
    struct rng rng;
    uint32_t next_size;
    uint32_t size[SIZES];
};

static void setup(struct bench *b)
{
    struct set *s = table_new(1, sizeof *s);
    s->n = (uint32_t)b->arg[0];
    if (b->quick && s->n > QUICK_LIMIT)
        s->n = QUICK_LIMIT;
    s->object = table_new(s->n, sizeof *s->object);
    s->rng = rng_seed(1);
    if (b->arg[1] == 0)
        sizes_draw(&s->rng, 16 << 10, s->size);
    for (uint32_t i = 0; i < s->n; i++) {
        size_t size = b->arg[1] ? (size_t)b->arg[1] : s->size[s->next_size++ & SIZES_MASK];
        s->object[i] = alloc_touched(size);
    }
    b->ctx = s;
}

static void teardown(struct bench *b)
{
    struct set *s = b->ctx;
    for (uint32_t i = 0; i < s->n; i++)
        free(s->object[i]);
    table_free(s->object, s->n, sizeof *s->object);
    table_free(s, 1, sizeof *s);
}

static void run_random(struct bench *b)
{
    struct set *s = b->ctx;
    size_t size = (size_t)b->arg[1];
    bench_ops(b, REPLACED);
    while (bench_next(b)) {
        for (unsigned i = 0; i < REPLACED; i++) {
            void **slot = &s->object[rng_below(&s->rng, s->n)];
            free(*slot);
            *slot = alloc_touched(size);
        }
    }
}

static void run_untouched(struct bench *b)
{
    struct set *s = b->ctx;
    size_t size = (size_t)b->arg[1];
    bench_ops(b, REPLACED);
    while (bench_next(b)) {
        for (unsigned i = 0; i < REPLACED; i++) {
            void **slot = &s->object[rng_below(&s->rng, s->n)];
            free(*slot);
            *slot = malloc(size);
            keep(*slot);
        }
    }
}

static void run_mixed(struct bench *b)
{
    struct set *s = b->ctx;
    bench_ops(b, REPLACED);
    while (bench_next(b)) {
        for (unsigned i = 0; i < REPLACED; i++) {
            void **slot = &s->object[rng_below(&s->rng, s->n)];
            free(*slot);
            *slot = alloc_touched(s->size[s->next_size++ & SIZES_MASK]);
        }
    }
}

static void run_live(struct bench *b)
{
    struct set *s = b->ctx;
    size_t size = (size_t)b->arg[1];
    uint64_t sum = 0;
    bench_ops(b, REPLACED);
    while (bench_next(b)) {
        for (unsigned i = 0; i < REPLACED; i++) {
            void **slot = &s->object[rng_below(&s->rng, s->n)];
            sum += *(volatile uint64_t *)*slot;
            free(*slot);
            *slot = alloc_touched(size);
        }
    }
    keep(&sum);
}

static void add(const char *kind, void (*run)(struct bench *), long n, long size)
{
    struct bench_row row = {.run = run, .setup = setup, .teardown = teardown, .arg = {n, size}};
    const char *count = n == 1000 ? "1k" : n == 100000 ? "100k" : "5m";
    if (size)
        snprintf(row.name, sizeof row.name, "%s/%s/%ld", kind, count, size);
    else
        snprintf(row.name, sizeof row.name, "%s/%s", kind, count);
    rows_add(&row);
}

void micro_random_rows(void)
{
    static const long counts[] = {1000, 100000};
    static const long sizes[] = {64, 256, 1024};
    for (unsigned c = 0; c < 2; c++) {
        for (unsigned i = 0; i < 3; i++)
            add("micro/random", run_random, counts[c], sizes[i]);
    }
    add("micro/random", run_random, 5000000, 64);
    add("micro/random_untouched", run_untouched, 100000, 64);
    add("micro/mixed", run_mixed, 100000, 0);
    add("scale/live", run_live, 100000, 64);
    add("scale/live", run_live, 5000000, 64);
}
