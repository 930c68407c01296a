// SPDX-License-Identifier: MIT
/*
 * goalloc/stats.h: where the memory is, by the names that Go's runtime gives its figures.
 *
 * ga_read_mem_stats  one structure, runtime.MemStats' fields as far as they mean something here
 * ga_metrics_read    single figures by name, as Go's package runtime/metrics has them
 * ga_stats           the allocator's own few words
 *
 * goalloc/goalloc.h includes it. No call here allocates, stops a thread, or makes a system call,
 * but for the figures that say so. All may be made from any thread at any time, some hundred times
 * a second: docs/memory.md has the cost, and how to read the figures.
 *
 * How exact they are. What one call returns belongs together: each sum named below holds, also
 * while other threads allocate. The heap's pages, spans and large blocks are exact. What the
 * program holds (alloc, heap_objects, live) is exact while no other thread allocates or frees, and
 * else off by at most what the threads' caches hold.
 *
 * What was allocated and freed since the start (total_alloc, mallocs, frees, by_size) is counted
 * where a thread exchanges a part of its cache, so that malloc and free themselves count nothing: a
 * block that is freed and handed out again by the same thread in between is missed. So these are
 * lower bounds, and far too low for a program that uses the same few blocks again and again. They
 * never fall, and mallocs - frees is what the program holds. With GOALLOC=count every block is
 * counted, at ten times the price of a malloc. Large blocks always are.
 */
#ifndef GOALLOC_STATS_H
#define GOALLOC_STATS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- The allocator's own words --- */

/*
 * Bytes, unless a name says otherwise.
 *
 *   mapped = in_use + free_dirty + free_released
 *   in_use = live + cached + span_free
 */
struct ga_stats {
    size_t mapped; /* heap address space mapped */
    size_t
        in_use; /* of it in spans that hold blocks, or did a moment ago, but for holes given back */
    size_t live;          /* blocks that the program holds, rounded up to their size class */
    size_t cached;        /* free blocks in threads' caches and depots */
    size_t span_free;     /* free blocks in spans, and spans' unused ends */
    size_t free_dirty;    /* free pages that still count in RSS */
    size_t free_released; /* free memory given back to the kernel, or never touched */
    size_t large;         /* of live: blocks without a size class */
    size_t metadata;      /* address space for the library's own tables */
    size_t resident;      /* the process's RSS, as the kernel has it (three system calls) */
    size_t live_blocks;   /* number of blocks that the program holds */
    size_t spans;         /* number of spans */
    size_t threads;       /* threads that have a cache now */
    size_t system_calls;  /* made by the library since the start */
    size_t moved_blocks;  /* large blocks that realloc moved without copying, since the start */
};

/* `size` is sizeof(struct ga_stats): an older program gets the fields that it knows. */
void ga_stats(struct ga_stats *out, size_t size);

/* --- MemStats --- */

#define GA_BY_SIZE_MAX 128

struct ga_by_size {
    uint32_t size;   /* the size class; 0 in the first: blocks without one */
    uint32_t unused; /* 0 */
    uint64_t mallocs;
    uint64_t frees;
};

/*
 * Bytes, unless a name says otherwise.
 *
 *   sys      = heap_sys + stack_sys + mspan_sys + mcache_sys + buck_hash_sys + gc_sys + other_sys
 *   heap_sys = heap_inuse + heap_idle
 *   mallocs - frees = heap_objects = the same difference, summed over by_size
 *
 * heap_released is part of heap_idle; what counts in RSS is at most sys - heap_released. Much of
 * mspan_sys and other_sys is address space that was never touched.
 *
 * Stacks are coroutines', GC is the collector: zero while the program uses neither.
 */
struct ga_mem_stats {
    uint64_t alloc;       /* blocks that the program holds, rounded up to their size class */
    uint64_t total_alloc; /* the same of all blocks allocated since the start */
    uint64_t sys;         /* address space that the library has from the kernel */
    uint64_t mallocs;     /* blocks allocated since the start */
    uint64_t frees;       /* blocks freed since the start */

    uint64_t heap_alloc;    /* alloc */
    uint64_t heap_sys;      /* the heap's address space */
    uint64_t heap_idle;     /* of it in free pages, released or not */
    uint64_t heap_inuse;    /* of it in spans */
    uint64_t heap_released; /* of heap_idle given back to the kernel, or never touched */
    uint64_t heap_objects;  /* blocks that the program holds */

    uint64_t stack_inuse;
    uint64_t stack_sys;
    uint64_t mspan_inuse;  /* span structures in use */
    uint64_t mspan_sys;    /* mapped for span structures */
    uint64_t mcache_inuse; /* threads' caches in use, and magazines */
    uint64_t mcache_sys;
    uint64_t buck_hash_sys; /* profiling */
    uint64_t gc_sys;        /* the collector's own */
    uint64_t other_sys;     /* page tables and all else of the library's */

    uint64_t next_gc;        /* heap size that the collector aims at */
    uint64_t last_gc;        /* when the last collection ended, in ns since 1970; 0: none yet */
    uint64_t pause_total_ns; /* all pauses since the start */
    uint64_t num_gc;         /* collections completed */
    uint64_t num_forced_gc;  /* of them asked for by the program */
    double gc_cpu_fraction;  /* of the processor time since the start */
    uint64_t enable_gc;      /* 1: the collector is on */
    uint64_t pause_ns[256];  /* a ring of the last pauses; the last is at (num_gc + 255) % 256 */
    uint64_t pause_end[256]; /* and when they ended, in ns since 1970 */

    uint64_t by_size_count; /* entries of by_size that are set */
    struct ga_by_size by_size[GA_BY_SIZE_MAX];
};

/* `size` is sizeof(struct ga_mem_stats) as the program was built: it gets the fields it knows. */
void ga_read_mem_stats_sized(struct ga_mem_stats *out, size_t size);

static inline void ga_read_mem_stats(struct ga_mem_stats *out)
{
    ga_read_mem_stats_sized(out, sizeof(*out));
}

/* --- runtime/metrics --- */

enum ga_metric_kind {
    GA_METRIC_BAD,       /* there's no metric of that name */
    GA_METRIC_UINT64,    /* value.u64 */
    GA_METRIC_FLOAT64,   /* value.f64 */
    GA_METRIC_HISTOGRAM, /* *histogram */
};

#define GA_HISTOGRAM_MAX 128

/* counts[i] values fell into bounds[i] <= value < bounds[i + 1]; the last bound is infinite. */
struct ga_histogram {
    size_t count; /* of counts; there's one bound more */
    uint64_t counts[GA_HISTOGRAM_MAX];
    double bounds[GA_HISTOGRAM_MAX + 1];
};

struct ga_metric {
    const char *name;               /* which; set by the caller */
    struct ga_histogram *histogram; /* where a histogram goes; the caller's; NULL: isn't wanted */
    enum ga_metric_kind kind;       /* what was read */
    union {
        uint64_t u64;
        double f64;
    } value;
};

/* Reads the figures named in samples[0] to samples[n - 1], all of one moment. A name that doesn't
 * exist, or is NULL, gets the kind GA_METRIC_BAD. */
void ga_metrics_read(struct ga_metric *samples, size_t n);

struct ga_metric_description {
    const char *name;        /* "/memory/classes/heap/free:bytes": a path, a colon, the unit */
    const char *description; /* a sentence */
    enum ga_metric_kind kind;
    int cumulative; /* 1: it never falls, so that a rate makes sense */
};

/* All there are, sorted by name; how many in *count, which may be NULL. Constant. */
const struct ga_metric_description *ga_metrics_all(size_t *count);

#ifdef __cplusplus
}
#endif

#endif
