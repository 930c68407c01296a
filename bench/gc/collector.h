// SPDX-License-Identifier: MIT
/*
 * collector.h: the two collectors that the programs of bench/gc are built for: goalloc's, which
 * GOALLOC=gc=collect switches on, and Boehm's, with BENCH_LIBGC.
 */
#ifndef BENCH_GC_COLLECTOR_H
#define BENCH_GC_COLLECTOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef BENCH_LIBGC
#define GC_THREADS /* has pthread_create tell the collector of its threads */
#include <gc/gc.h>
#include <pthread.h>

static inline void *gc_alloc(size_t size)
{
    return GC_MALLOC(size);
}

static inline void *gc_alloc_atomic(size_t size)
{
    return GC_MALLOC_ATOMIC(size);
}

static inline void gc_collect_all(void)
{
    GC_gcollect();
}

#else
#include <goalloc/gc.h>
#include <pthread.h>

static inline void *gc_alloc(size_t size)
{
    return ga_gc_malloc(size);
}

static inline void *gc_alloc_atomic(size_t size)
{
    return ga_gc_malloc_atomic(size);
}

static inline void gc_collect_all(void)
{
    ga_gc_collect();
}
#endif

/* boehm.c or ours.c. */
void collector_begin(void);
double collector_longest_stop(void); /* seconds */

/* Each prints lines of a figure's name and the figure; main.c has the names. `quick`: as little as
 * shows that it runs. */
void run_trees(int threads, int quick);
void run_graph(int quick);
void run_window(int quick);
void run_marking(int quick);
void run_freeing(int quick);

double seconds_now(void);

/* Marsaglia's xorshift. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

#endif
