// SPDX-License-Identifier: MIT
//
// ga_bursts: what a malloc and a free cost in ticks of the processor's own counter, at best.
//
//     LD_PRELOAD=/path/to/libX.so build-bench/bench/ga_bursts
//
// Place: run by hand. Where ga_bench states the time a program takes, neighbours on the machine and
// all, this takes bursts so short that most aren't disturbed, thousands of them, and prints the
// least: it repeats to a tenth of a tick on a machine that is anything but idle. Not for
// libbump.so, which never uses a block again and soon has no memory left.

#include <stdio.h>

#include "rng.h"
#include "workload.h"

enum {
    BATCH = 1000,
    OPERATIONS = 2000, // of a burst of pairs or replacements
    BURSTS = 5000,
    MANY = 100000,
};

static uint64_t ticks(void)
{
#if defined(__x86_64__)
    uint32_t low, high, cpu;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(cpu) : : "memory");
    return (uint64_t)high << 32 | low;
#else
    uint64_t now;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(now) : : "memory");
    return now;
#endif
}

// A burst of one kind: `count` operations over `objects`, which live from burst to burst.
struct burst {
    size_t size, live;
    struct rng rng;
    void **objects;
};

static unsigned pairs(struct burst *b)
{
    for (unsigned i = 0; i < OPERATIONS; i++)
        free(alloc_touched(b->size));
    return OPERATIONS;
}

static unsigned fifo(struct burst *b)
{
    for (unsigned i = 0; i < BATCH; i++)
        b->objects[i] = alloc_touched(b->size);
    for (unsigned i = 0; i < BATCH; i++)
        free(b->objects[i]);
    return BATCH;
}

static unsigned replace(struct burst *b)
{
    for (unsigned i = 0; i < OPERATIONS; i++) {
        void **slot = &b->objects[rng_below(&b->rng, (uint32_t)b->live)];
        free(*slot);
        *slot = alloc_touched(b->size);
    }
    return OPERATIONS;
}

static void measure(const char *name, unsigned (*run)(struct burst *), struct burst *b)
{
    uint64_t least = UINT64_MAX;
    unsigned operations = 1;
    for (unsigned i = 0; i < BURSTS; i++) {
        uint64_t before = ticks();
        operations = run(b);
        uint64_t took = ticks() - before;
        least = took < least ? took : least;
    }
    printf("%-16s %6zu bytes %8.1f ticks\n", name, b->size, (double)least / operations);
}

static void replacements(const char *name, size_t size, size_t live)
{
    struct burst b = {.size = size, .live = live, .rng = rng_seed(1)};
    b.objects = table_new(live, sizeof *b.objects);
    for (size_t i = 0; i < live; i++)
        b.objects[i] = alloc_touched(size);
    measure(name, replace, &b);
    for (size_t i = 0; i < live; i++)
        free(b.objects[i]);
    table_free(b.objects, live, sizeof *b.objects);
}

int main(void)
{
    static void *objects[BATCH];
    static const size_t sizes[] = {16, 64, 256, 1024, 64 << 10};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        measure("pair", pairs, &(struct burst){.size = sizes[i]});
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        measure("batch of 1000", fifo, &(struct burst){.size = sizes[i], .objects = objects});
    replacements("among 1,000", 64, BATCH);
    replacements("among 100,000", 64, MANY);
    return 0;
}
