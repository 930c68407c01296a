// SPDX-License-Identifier: MIT
/*
 * gc.h: the collector, as the entry points see it.
 *
 * Off unless GOALLOC=gc=... or the program's ga_gc_enable says otherwise; off it has no thread, no
 * signal handler and no table, and its only trace is a flag that slow paths look at.
 */
#ifndef GOALLOC_GC_GC_H
#define GOALLOC_GC_GC_H

#include "../goalloc.h"
#include "../options/options.h"

extern GA_HIDDEN bool gc_on; /* relaxed; set once */
/* Blocks may be about without a byte behind what was asked for: a root that points right behind one
 * counts for it, and so for whatever lies before a block that a root points to. Relaxed; set before
 * the first such block is handed out, and never without gc_on. */
extern GA_HIDDEN bool gc_tight;

/* Switches the collector on. From the library's constructor for modes that want every free to be
 * seen; gc=collect also later, and with `told`, a word of the program's, for one that tells what it
 * writes (barrier.h). false: no memory. */
bool gc_enable(enum gc_mode mode, unsigned *told);
/* GOGC's text, or NULL. */
void gc_configure(const char *gogc);

/* After a slow path, with no lock held, in which the thread got so many bytes: begins a cycle when
 * it is time, and has the thread do its part of one. */
void gc_tick_slow(size_t allocated);
GA_INLINE void gc_tick(size_t allocated)
{
    if (GA_UNLIKELY(GA_LOAD_ANY(gc_on)))
        gc_tick_slow(allocated);
}

/* A full cycle and its sweep, begun after the call. false: there's no collector, or the cycle was
 * abandoned. */
bool gc_collect(void);

/* GOGC; what it was. GC_PERCENT_OFF (-1): no cycles but those that are asked for. */
int gc_set_percent(int percent);
/* Bytes for the whole process; what it was. SIZE_MAX: none. */
size_t gc_set_limit(size_t limit);

/* Keeps a block until it is unpinned as often. false: there are too many. */
bool gc_pin(const void *block);
void gc_unpin(const void *block);

/* Extra roots: [start, end) is looked at for pointers. false: no memory. */
bool gc_add_root(uintptr_t start, uintptr_t end);
void gc_remove_root(uintptr_t start, uintptr_t end);

/* call(argument)'s result. While it runs the thread isn't stopped; its stack up to here, and
 * `argument`, are what it has of roots. */
void *gc_blocking(void *(*call)(void *), void *argument);

/* How a cycle has marked. */
enum gc_way {
    WAY_STOPPED,  /* in one stop */
    WAY_TRACKED,  /* beside the program, by the kernel's tracking of writes */
    WAY_SNAPSHOT, /* in a copy of the process */
    WAY_BARRIERS, /* beside a program that tells what it writes */
    WAYS
};

struct gc_stats {
    size_t cycles, abandoned;
    size_t ways[WAYS];                 /* cycles by how they marked */
    size_t live_bytes, live_objects;   /* reached by the last cycle */
    size_t freed_bytes, freed_objects; /* by all cycles; in other modes: would have been */
    size_t goal;                       /* of the next cycle */
    size_t root_bytes;                 /* scanned by the last cycle */
    size_t false_frees;                /* audit: doomed blocks that the program freed after all */
    uint64_t stop_total, stop_longest; /* nanoseconds the world was stopped */
    uint64_t mark_total;               /* nanoseconds of marking */
};
void gc_read_stats(struct gc_stats *out);

/* At the process's end: what leaks and audit have to say. */
void gc_finish(void);

/* Fork: before all locks of the allocator. */
void gc_lock_for_fork(void);
void gc_unlock_after_fork(void);
void gc_reset_in_child(void);

#endif
