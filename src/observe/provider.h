// SPDX-License-Identifier: MIT
/*
 * provider.h: what parts that stand above the allocator tell the statistics.
 *
 * The collector and the coroutines register a function each, once, before they do anything worth
 * counting; the statistics call it whenever they are read. Without one its figures are zero. The
 * functions are called from any thread at any time, one at a time, with the statistics' lock held,
 * which comes before all others, and none of the allocator's. They neither ask for statistics nor
 * allocate.
 */
#ifndef GOALLOC_OBSERVE_PROVIDER_H
#define GOALLOC_OBSERVE_PROVIDER_H

#include "../goalloc.h"

/*
 * A distribution of times: bucket 0 counts below 2 ns, bucket i from 2^i ns to below 2^(i+1), the
 * last (from 9 minutes on) all that is longer.
 */
#define TIME_BUCKETS 40

GA_INLINE unsigned time_bucket(uint64_t nanoseconds)
{
    unsigned log = 63 - (unsigned)__builtin_clzl(nanoseconds | 1);
    return log < TIME_BUCKETS ? log : TIME_BUCKETS - 1;
}

struct gc_figures {
    uint64_t goal;   /* bytes: the heap size at which the current cycle should end */
    uint64_t live;   /* bytes that the last cycle marked */
    uint64_t gogc;   /* percent */
    uint64_t memory; /* bytes mapped for the collector's own structures, not by mheap_meta_alloc */
    uint64_t cycles_automatic, cycles_forced;
    uint64_t scan_globals, scan_heap, scan_stack; /* bytes that the last cycle looked through */
    uint64_t last_end;                            /* ns since 1970 */
    uint64_t pause_total;                         /* ns */
    uint64_t pauses[TIME_BUCKETS];
    double cpu_fraction;
    bool enabled;
};

struct gc_provider {
    void (*read)(struct gc_figures *out); /* *out is all zero */
    /* The last pauses in ns, and when they ended in ns since 1970; cycle n at (n + 255) % 256. */
    void (*read_pauses)(uint64_t pause_ns[256], uint64_t pause_end[256]);
};

struct coro_figures {
    uint64_t stack_inuse; /* bytes of stacks that coroutines have */
    uint64_t stack_sys;   /* bytes mapped for them, those in use and pooled ones */
    uint64_t os_stacks;   /* bytes of the stacks of threads that run them, if we mapped those */
    uint64_t memory;      /* bytes mapped for other structures, not by mheap_meta_alloc */
    uint64_t coroutines;
    uint64_t procs;
    uint64_t latencies[TIME_BUCKETS]; /* from being able to run to running */
};

/* Each once in a process; `provider` stays. */
void observe_provide_gc(const struct gc_provider *provider);
void observe_provide_coro(void (*read)(struct coro_figures *out));

#endif
