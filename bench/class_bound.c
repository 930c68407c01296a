// SPDX-License-Identifier: MIT
//
// About the least that an allocator with our size classes holds at the end of the phase "server":
// as many objects of each class as were ever live at once, if it filled each hole with the next
// object of its class, and wasted nothing else. Spans with a live object can't be given back, and
// of those whose objects are freed at random next to none is ever empty, but for spans of one
// object: of those as many as are live now. (Of spans of two to four objects some are; they are
// left out.) usage: ga_class_bound
#include <stdio.h>

#include "../src/size_classes/size_classes_table.h"
#include "workload.h"

enum {
    HEAP_PAGE_BYTES = 8192,
    OBJECTS = 10 << 20,
    SEED = 82,
};

static const struct {
    uint32_t size, pages, objects, inverse, first_capacity, capacity;
} classes[SIZE_CLASS_COUNT] = {SIZE_CLASS_ROWS};

static size_t live, now[SIZE_CLASS_COUNT], most[SIZE_CLASS_COUNT];
static uint32_t drawn[SIZES], size_of[OBJECTS];

static unsigned class_of(uint32_t size)
{
    unsigned class = 1;
    while (classes[class].size < size)
        class ++;
    return class;
}

static uint32_t add(uint32_t size)
{
    unsigned class = class_of(size);
    if (++now[class] > most[class])
        most[class] = now[class];
    live += size;
    return size;
}

int main(void)
{
    const size_t bytes = (size_t)1024 << 20;
    struct rng rng = rng_seed(SEED);
    size_t n = 0, old, half;
    double held = 0, rounded = 0;
    sizes_draw(&rng, 16 << 10, drawn);
    for (; live < bytes && n < OBJECTS; n++)
        size_of[n] = add(drawn[n & SIZES_MASK]);
    for (old = n, half = n / 2; old > half;) {
        uint32_t at = rng_below(&rng, (uint32_t)old), size = size_of[at];
        now[class_of(size)]--;
        live -= size;
        size_of[at] = size_of[--old];
        if (live < bytes)
            size_of[old] = add(size + size / 2 + 24);
    }
    for (unsigned i = 1; i < SIZE_CLASS_COUNT; i++) {
        size_t kept = classes[i].objects == 1 ? now[i] : most[i];
        held += (double)kept * classes[i].pages * HEAP_PAGE_BYTES / classes[i].objects;
        rounded += (double)now[i] * classes[i].size;
    }
    printf("live %.1f MB; rounded up to classes %.1f; held about %.1f, %.3f of what is live\n",
           (double)live / (1 << 20), rounded / (1 << 20), held / (1 << 20), held / (double)live);
    return 0;
}
