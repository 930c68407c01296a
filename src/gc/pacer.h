// SPDX-License-Identifier: MIT
/*
 * pacer.h: when a cycle begins. Go's rules.
 *
 * Pure functions of their arguments: no clock, no heap, no lock. tests/test_gc_pacer.c drives them
 * through steady state, growth, bursts, limits, and roots that outweigh the heap.
 *
 *   goal     where the heap should be when the cycle ends:
 *              marked + (marked + roots) * percent / 100
 *            not below 4 MB * percent / 100, nor above what the memory limit leaves
 *   trigger  where the cycle begins, so that it ends at the goal: the goal less what the program
 *            will allocate while the marker is at work; between 70% and 95% of the way from what
 *            was marked to the goal. When the world is stopped for all of it: the goal itself
 *
 * "Heap" is what was allocated less what was freed, so a program that frees all that it allocates
 * never comes to its trigger.
 */
#ifndef GOALLOC_GC_PACER_H
#define GOALLOC_GC_PACER_H

#include "../goalloc.h"

#define GC_SECOND      UINT64_C(1000000000)
#define GC_FORCE_AFTER (120 * GC_SECOND)
#define GC_MIN_HEAP    ((size_t)4 << 20)
#define GC_PERCENT_OFF (-1)
#define GC_NO_LIMIT    SIZE_MAX
#define GC_HISTORY     4

struct gc_pacer {
    int percent;    /* GOGC; GC_PERCENT_OFF: only the limit and the clock begin cycles */
    size_t limit;   /* bytes that the process may take; GC_NO_LIMIT */
    bool stops;     /* the world is stopped while it is marked */
    size_t marked;  /* bytes found alive by the last cycle */
    size_t roots;   /* bytes of roots that it scanned */
    uint64_t ended; /* when it ended */
    double cons_mark[GC_HISTORY]; /* bytes allocated for each byte scanned, of the last cycles */
    unsigned cycles;              /* that have ended */
    size_t goal;                  /* of the next one */
    size_t trigger;
};

/* How a cycle went. */
struct gc_result {
    uint64_t now;
    size_t marked;    /* bytes of blocks reached */
    size_t scanned;   /* bytes looked at for pointers, roots included */
    size_t roots;     /* bytes of roots among them */
    size_t allocated; /* by the program, from the trigger to the end of marking */
    size_t overhead;  /* bytes that the process takes beside the heap: for the limit */
};

void gc_pacer_init(struct gc_pacer *pacer, int percent, size_t limit, bool stops, uint64_t now);
/* GOGC or the limit has changed. */
void gc_pacer_set(struct gc_pacer *pacer, int percent, size_t limit);
void gc_pacer_ended(struct gc_pacer *pacer, const struct gc_result *result);

/* Why a cycle should begin now. */
enum gc_reason {
    GC_NO_REASON,
    GC_REASON_HEAP, /* the heap is at the trigger */
    GC_REASON_TIME, /* none for two minutes */
};
enum gc_reason gc_pacer_due(const struct gc_pacer *pacer, size_t heap, uint64_t now);

#endif
