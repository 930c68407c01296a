// SPDX-License-Identifier: MIT
//
// The fragmentation torture's steps. Place: shape_torture.c times them, phase_torture.c looks at
// memory between them.
//
// Each block holds its size in its first word, and it is written as a whole in its pages' first
// words, so that all of what is asked for becomes resident. What is freed is drawn at random, so
// after thinning nearly every page and span of the heap still holds something.

#include "torture.h"

enum {
    MEAN_SIZE = 100, // below the distribution's mean: room for all blocks
    REFILL_LO = 48,
    REFILL_HI = 32 << 10,
    KEPT_PERCENT = 10,
};

struct torture *torture_new(size_t bytes)
{
    struct torture *t = table_new(1, sizeof *t);
    t->rng = rng_seed(70);
    t->room = bytes / MEAN_SIZE;
    t->block = table_new(t->room, sizeof *t->block);
    sizes_draw(&t->rng, 16 << 10, t->size);
    return t;
}

size_t torture_own_bytes(const struct torture *t)
{
    // The table's pages are resident as far as they were ever used.
    return sizeof *t + t->most * sizeof *t->block;
}

static void add(struct torture *t, size_t size)
{
    char *p = malloc(size);
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += PAGE)
        *(volatile uint64_t *)(p + at) = size;
    t->block[t->n++] = p;
    if (t->most < t->n)
        t->most = t->n;
    t->bytes += size;
}

void torture_grow(struct torture *t, size_t bytes)
{
    while (t->bytes < bytes && t->n < t->room)
        add(t, t->size[t->next_size++ & SIZES_MASK]);
}

void torture_thin(struct torture *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (rng_below(&t->rng, 100) < KEPT_PERCENT) {
            t->block[kept++] = t->block[i];
        } else {
            t->bytes -= *(uint64_t *)t->block[i];
            free(t->block[i]);
        }
    }
    t->n = kept;
}

void torture_refill(struct torture *t, size_t bytes)
{
    while (t->bytes < bytes && t->n < t->room)
        add(t, sizes_log_uniform(&t->rng, REFILL_LO, REFILL_HI));
}

void torture_clear(struct torture *t)
{
    while (t->n > 0)
        free(t->block[--t->n]);
    t->bytes = 0;
}

void torture_free(struct torture *t)
{
    table_free(t->block, t->room, sizeof *t->block);
    table_free(t, 1, sizeof *t);
}
