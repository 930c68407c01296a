// SPDX-License-Identifier: MIT
//
// What the workloads share: touching blocks, drawing sizes, worker threads.
//
// Blocks are touched as programs touch them: the first word is written when a block is allocated.
// malloc's result isn't checked in the hot loops: under an allocator that returned NULL the write
// crashes, which the harness reports as that row's failure.

#ifndef GA_BENCH_WORKLOAD_H
#define GA_BENCH_WORKLOAD_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "rng.h"
#include "shim.h"

enum {
    CACHE_LINE = 64,
    PAGE = 4096,
};

#if defined(__x86_64__)
static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}
#else
static inline void cpu_relax(void)
{
    __asm__ volatile("yield" : : : "memory");
}
#endif

// The compiler must believe that `p` is used, and may keep nothing of memory in registers across.
static inline void keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

// Writes the block's first word. The block holds at least 8 bytes.
static inline void touch(void *p)
{
    *(volatile uint64_t *)p = (uint64_t)(uintptr_t)p;
}

static inline void *alloc_touched(size_t size)
{
    void *p = malloc(size);
    touch(p);
    return p;
}

// As calloc, for a workload's own tables: without the allocator under test, so that its figures
// hold only what the workload stands for. Ends the process when there is no memory.
void *table_new(size_t count, size_t size);
void table_free(void *table, size_t count, size_t size);

// ---- sizes.c: sizes as programs ask for them ------------------------------------------------

enum {
    SIZES = 1 << 16, // sizes drawn ahead of time; a power of two
    SIZES_MASK = SIZES - 1,
};

// A small-heavy, long-tailed distribution from 8 bytes up to `max` (at most 16 KB): half of all
// requests are of 48 bytes or less, one in 50 is above 1 KB. Drawn ahead into `out`.
void sizes_draw(struct rng *r, uint32_t max, uint32_t out[SIZES]);

// Log-uniform in [lo, hi], rounded up to 8: as many between 32 and 64 KB as between 2 and 4 MB.
size_t sizes_log_uniform(struct rng *r, size_t lo, size_t hi);

// ---- pool.c: worker threads that live as long as a row --------------------------------------

struct pool;
typedef void pool_fn(void *arg, unsigned worker);

struct pool *pool_new(unsigned workers);
// Runs fn(arg, 0 … workers-1), each on its own thread, and returns when all have returned.
void pool_run(struct pool *p, pool_fn *fn, void *arg);
void pool_free(struct pool *p);

// Creates a thread or ends the process: no row means anything without its threads.
void thread_start(pthread_t *id, void *(*fn)(void *), void *arg);

#endif
