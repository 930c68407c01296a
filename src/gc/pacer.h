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
 *   assist   what a thread has to look at for each byte that it allocates while marking goes on:
 *            what is left to be looked at by what the heap may still grow to its goal. As much is
 *            expected as the last cycle looked at; once that was, all that there was when the cycle
 *            began, and a tenth more than the goal. When only what was written meanwhile is left,
 *            as much as was allocated meanwhile; and twice as much with each time that it is
 *            looked at, so that it becomes less
 *   limiter  where the memory limit has set the goal, assists and the collector's thread may take
 *            half of the processors' time: what is more adds up, and from a second for each
 *            processor on nobody has to assist any more, and the limit isn't kept. Goals by
 *            percentage rise with what lives, and need none
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
    size_t scanned; /* bytes that it looked at, roots included */
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

/* How far a cycle is that is under way. */
struct gc_progress {
    size_t began;    /* the heap when it began */
    size_t heap;     /* the heap */
    size_t scanned;  /* what was looked at */
    unsigned passes; /* how often what was written meanwhile was looked at; 0: not yet */
};
/* Bytes that are to be looked at for GC_ASSIST_UNIT allocated ones. */
#define GC_ASSIST_UNIT 256
size_t gc_pacer_assist(const struct gc_pacer *pacer, const struct gc_progress *progress);

struct gc_limiter {
    uint64_t room; /* nanoseconds of processors' time */
    uint64_t fill;
    uint64_t last; /* when it was last told */
    unsigned processors;
};
void gc_limiter_init(struct gc_limiter *limiter, unsigned processors, uint64_t now);
/* Since the last call threads have assisted for so long; `marking`: and the collector has marked.
 * Whether nobody is to assist. */
bool gc_limiter_update(struct gc_limiter *limiter, uint64_t now, uint64_t assisted, bool marking);

/* Whether it was the limit that set the goal. */
bool gc_pacer_is_limited(const struct gc_pacer *pacer);

/* Why a cycle should begin now. */
enum gc_reason {
    GC_NO_REASON,
    GC_REASON_HEAP, /* the heap is at the trigger */
    GC_REASON_TIME, /* none for two minutes */
};
enum gc_reason gc_pacer_due(const struct gc_pacer *pacer, size_t heap, uint64_t now);

#endif
