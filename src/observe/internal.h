// SPDX-License-Identifier: MIT
/*
 * internal.h: what the files of src/observe share.
 *
 * snapshot.c   all figures of one moment
 * mem_stats.c  as MemStats, and as ga_stats
 * metrics.c    by name; histograms.c: those that are distributions
 * print.c      for people; json.c and xml.c for programs
 * provider.c   what the collector and the coroutines tell
 */
#ifndef GOALLOC_OBSERVE_INTERNAL_H
#define GOALLOC_OBSERVE_INTERNAL_H

#include "../size_classes/size_classes.h"
#include "observe.h"
#include "provider.h"

/* Blocks of a size class; of class 0, those without one. */
struct class_figures {
    uint64_t spans, live, cached;
    uint64_t allocs, frees; /* since the start */
};

/* Bytes, unless a name says otherwise. */
struct snapshot {
    /* /memory/classes: each byte of `total` is in exactly one of them. */
    uint64_t heap_objects, heap_unused, heap_free, heap_released, heap_stacks;
    uint64_t mcache_inuse, mcache_free, mspan_inuse, mspan_free, metadata_other;
    uint64_t os_stacks, other, profiling;
    uint64_t total;
    /* The heap in the allocator's own words: unused is cached and free in spans. */
    uint64_t mapped, in_use, cached, span_free, large;
    uint64_t depot; /* of cached: in depots, not in threads' caches */
    double fragmentation;
    uint64_t allocs, alloc_bytes, frees, free_bytes; /* since the start */
    uint64_t objects, spans, threads;                /* numbers, now */
    uint64_t released_background, released_eager;    /* since the start */
    uint64_t system_calls, moves, collapsed;         /* numbers, since the start */
    uint64_t memory_limit;
    uint64_t gc_cycles, scan_total;
    struct gc_figures gc;
    struct coro_figures coro;
    struct class_figures classes[SIZE_CLASS_COUNT];
};

/* Takes a snapshot, and keeps others from taking one until it is ended. */
const struct snapshot *snapshot_begin(void);
void snapshot_end(void);
/* A copy of one, which is 5 KB. */
void observe_snapshot(struct snapshot *out);

/* --- histograms.c --- */
enum histogram_id {
    HISTOGRAM_ALLOCS,
    HISTOGRAM_FREES,
    HISTOGRAM_PAUSES,
    HISTOGRAM_LATENCIES,
};
/* `out` may be NULL. */
void histogram_read(enum histogram_id id, const struct snapshot *now, struct ga_histogram *out);

/* --- provider.c --- */
void provider_read(struct gc_figures *gc_out, struct coro_figures *coro_out);
void provider_read_pauses(uint64_t pause_ns[256], uint64_t pause_end[256]);

GA_INLINE uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

#endif
