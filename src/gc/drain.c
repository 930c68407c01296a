// SPDX-License-Identifier: MIT
/*
 * drain.c: taking spans from the queue until none is left.
 *
 * Place: cycle.c has it done by the collector's thread, beside the program and in the stop;
 * assist.c and helpers.c by others. Calls work.c for spans, mark.c to look into them.
 *
 * Spans are taken several at a time, and each span's bits, and then its objects, are fetched before
 * its turn: one after the other each would be waited for.
 *
 * Invariants: what somebody has taken he looks into, or puts back.
 * Locking: as mark.c.
 */
#include "../mheap/marks.h"
#include "assist.h"
#include "helpers.h"
#include "internal.h"
#include "work.h"

/* How far ahead of its turn a span's bits are fetched, and then its objects. */
#define FETCH_AHEAD   6
#define OBJECTS_AHEAD 2

static size_t coming(const struct marker *marker, const uint32_t *spans, unsigned count,
                     unsigned at)
{
    return at < count ? spans[at] : work_peek(marker, at - count);
}

static void fetch_span(size_t page)
{
    GA_PREFETCH(marks_of(page));
    GA_PREFETCH(marks_of(page)->scan);
    GA_PREFETCH(mheap_span_at(page));
    GA_PREFETCH(mheap_span_at(page)->bits);
}

/* Scans up to `most` spans. 0: there are none. */
static unsigned drain_some(struct marker *marker, unsigned most)
{
    uint32_t spans[WORK_BATCH];
    unsigned count = work_take(marker, spans, most);
    for (unsigned i = 0; i < count; i++) {
        size_t later = coming(marker, spans, count, i + FETCH_AHEAD);
        size_t soon = coming(marker, spans, count, i + OBJECTS_AHEAD);
        if (later)
            fetch_span(later);
        if (soon)
            mark_fetch_objects(soon);
        mark_queued(marker, spans[i]);
    }
    return count;
}

static bool drain_beside(const atomic_bool *give_up)
{
    while (!work_is_done(false)) {
        if (atomic_load_explicit(give_up, memory_order_relaxed))
            return false;
        bool none = drain_some(work_own(), WORK_BATCH) == 0;
        if (none)
            work_wait();
        assist_progress(none);
    }
    return true;
}

bool mark_drain_beside(const atomic_bool *give_up)
{
    helpers_call(false);
    bool done = drain_beside(give_up);
    helpers_dismiss();
    return done;
}

static void put_back(struct marker *marker)
{
    for (unsigned i = 0; i < marker->left_count; i++)
        if (GA_UNLIKELY(!work_put(marker, marker->left[i]))) {
            marker->plain = false; /* rather than lose it */
            mark_queued(marker, marker->left[i]);
        }
}

size_t mark_some(struct marker *marker, size_t bytes, unsigned batch)
{
    size_t before = atomic_load_explicit(&marker->scanned, memory_order_relaxed), done = 0;
    marker->left_count = 0;
    while (done < bytes && work_is_open() && marker->left_count + batch <= WORK_BATCH &&
           drain_some(marker, batch) > 0)
        done = atomic_load_explicit(&marker->scanned, memory_order_relaxed) - before;
    put_back(marker);
    return done;
}

/* So many spans are looked into before others are called: the waking takes time as well. */
#define ALONE 1024

/* While the world is stopped: its processors are free. */
static void drain_all(void)
{
    bool called = false;
    for (size_t spans = 0; !work_is_done(true);) {
        unsigned count = drain_some(work_own(), WORK_BATCH);
        spans += count;
        if (spans > ALONE && !called) {
            called = true;
            work_open();
            helpers_call(true);
        }
        if (count == 0)
            work_wait();
    }
    helpers_dismiss();
    work_close(true);
}

void mark_drain(void)
{
    drain_all();
    while (mark_enqueue_missed())
        drain_all();
}
