// SPDX-License-Identifier: MIT
/*
 * cycle.c: one cycle, from draining the depots to the end of the sweep.
 *
 *   prepare   room for the queue and the threads; depots drained to their spans
 *   beside    where the kernel can tell which pages are written: all pages of the heap are watched,
 *             what is allocated is marked, and what the roots lead to just now is followed while
 *             the program runs; then what was written meanwhile, until that is little
 *   stop      the allocator's locks are taken, so that no thread is stopped with one; then the
 *             world is stopped
 *   mark      what lies in magazines, then from the roots on, and from what was written, until
 *             nothing is left; then what may lie in a stopped thread's hands
 *   round     every span waits to be swept; the world goes on
 *   sweep     one span after another, while the program runs; who takes from one first, sweeps it
 *
 * Place: thread.c calls it. Calls stop.c, roots.c, mark.c, and src/mcentral and src/mheap to sweep.
 *
 * Why that is enough: in the stop everything outside of the heap is looked at anew. Of the heap,
 * what is marked was looked at, or was written since: its page is among the written ones. What
 * isn't marked is reached from one of these, or from nowhere.
 *
 * Invariants: nothing is freed unless the marking was complete; when a sweep ends no span waits to
 * be swept, and no mark bit is set; no marking begins before.
 * Locking: the collector's lock, taken by thread.c, is held while marking, and again for the sweep;
 * then, outermost first, the extra roots' lock, special.c's, the barriers', the registry of caches,
 * all centrals, the heap.
 * Fork: between the two. The child's first cycle does the sweep that its parent had before it.
 */
#include "../mcache/mcache.h"
#include "../mcentral/mcentral.h"
#include "../os/lock.h"
#include "../os/os.h"
#include "../os/proc.h"
#include "assist.h"
#include "barrier.h"
#include "internal.h"

size_t heap_bytes(void)
{
    struct mheap_stats heap;
    mheap_read_stats(&heap);
    return mcentral_bytes_out() + heap.large;
}

static uintptr_t heap_start(void)
{
    return mheap_page_address(mheap_view.start);
}

static uintptr_t heap_end(void)
{
    return mheap_page_address(mheap_end());
}

/* --- Locks --- */

void acquire_all(void)
{
    lock_acquire(&roots_lock);
    lock_acquire(&special_lock);
    barrier_acquire_all();
    mcache_acquire_all();
    mcentral_acquire_all();
    mheap_acquire_all();
}

void release_all(void)
{
    mheap_release_all();
    mcentral_release_all();
    mcache_release_all();
    barrier_release_all();
    lock_release(&special_lock);
    lock_release(&roots_lock);
}

/* --- Marking --- */

/* What was cached is handed out before anybody has written to it: it is kept, and not looked into,
 * so that the last user's pointers keep nothing alive. */
static void mark_cached(uint32_t round)
{
    mcache_visit_cached(round, mark_leaf, NULL);
    mcentral_visit_depots(round, mark_leaf, NULL);
}

/* --- What of the heap is in use --- */

/*
 * Between long free runs: the few pages that lie free among those in use aren't worth an exception.
 * A run that is in use by the time that it counts makes no difference while tracking: pages that
 * weren't protected count as written.
 */
#define RUNS_MAX 2048
static struct mheap_range *runs; /* RUNS_MAX of them */

static void sort_runs(unsigned count)
{
    for (unsigned gap = count / 2; gap > 0; gap /= 2)
        for (unsigned i = gap; i < count; i++) {
            struct mheap_range moving = runs[i];
            unsigned at = i;
            for (; at >= gap && runs[at - gap].start > moving.start; at -= gap)
                runs[at] = runs[at - gap];
            runs[at] = moving;
        }
}

/* `visit` says false: nothing more. The heap's lock is held by the caller, or taken for the list.
 */
static bool each_stretch(bool locked, bool (*visit)(uintptr_t start, uintptr_t end, void *context),
                         void *context)
{
    if (!locked)
        mheap_acquire_all();
    unsigned count = mheap_list_runs(runs, RUNS_MAX);
    uintptr_t at = heap_start(), end = heap_end();
    if (!locked)
        mheap_release_all();
    sort_runs(count);
    for (unsigned i = 0; i < count; i++) {
        if (runs[i].start > at && !visit(at, runs[i].start, context))
            return false;
        at = runs[i].end;
    }
    return at >= end || visit(at, end, context);
}

struct rescan {
    bool protect;
    size_t written;
};

static bool rescan_stretch(uintptr_t start, uintptr_t end, void *context)
{
    struct rescan *rescan = context;
    return os_each_written(start, end, rescan->protect, mark_rescan, &rescan->written);
}

static bool protect_stretch(uintptr_t start, uintptr_t end, void *tracker)
{
    return os_track_protect(tracker, start, end);
}

/* A number for each look at magazines: one that failed mustn't count for the next. */
static uint32_t look; /* the collector's thread's */

/* The world is stopped. false: the roots weren't to be had. */
static bool mark_reachable(bool tracked)
{
    struct rescan rescan = {.protect = false};
    if (!mark_knows_all())
        return false;
    mark_look();
    if (gc_barriers)
        barrier_mark_stopped();
    mark_cached(++look);
    if (!roots_mark(true))
        return false;
    special_mark();
    if (tracked && !each_stretch(true, rescan_stretch, &rescan))
        return false;
    mark_drain();
    return true;
}

/* Among these are objects in use; those were marked, and followed, before. */
static void mark_in_hand(void)
{
    mcentral_visit_in_hand(look, mark_leaf, NULL);
}

bool cycle_mark_frozen(void)
{
    if (!mark_reachable(false))
        return false;
    mark_in_hand();
    return true;
}

static bool mark_all(struct cycle *cycle, bool tracked)
{
    if (!mark_reachable(tracked))
        return false;
    special_decide();
    mark_in_hand();
    cycle->root_bytes = roots_bytes();
    cycle->scanned = mark_scanned();
    return true;
}

/* The world is stopped. A marking that was cut short frees nothing: all it marked is cleared. */
static bool mark_or_undo(struct cycle *cycle, bool tracked)
{
    bool complete = mark_all(cycle, tracked);
    if (complete)
        GA_STORE_ANY(mheap_marks.round, mheap_marks.round + 1);
    else
        mark_undo();
    return complete;
}

static bool stop_and_mark(struct cycle *cycle, bool tracked)
{
    bool complete = false;
    acquire_all();
    cycle->stopping = os_nanotime();
    if (stop_world()) {
        cycle->stopped = os_nanotime();
        os_keep_pagemap(true);
        complete = mark_or_undo(cycle, tracked);
        os_keep_pagemap(false);
        GA_STORE_ANY(mheap_marks.marking, false);
        barrier_end();
        resume_world();
    } else {
        mark_undo();
        GA_STORE_ANY(mheap_marks.marking, false);
        barrier_end();
    }
    cycle->resumed = os_nanotime();
    release_all();
    return complete;
}

/* --- Beside the program --- */

void set_marking(bool marking)
{
    acquire_all();
    GA_STORE_ANY(mheap_marks.marking, marking);
    if (!marking)
        mark_undo();
    release_all();
}

/*
 * What was written is looked at again, and the roots, while that brings more than this, or until it
 * has become no less for some passes: the rest is left to the stop.
 */
#define FEW_BYTES   ((size_t)256 << 10)
#define MAX_PASSES  10
#define MAX_IN_VAIN 2
/* Roots are looked at again if they are less than this. */
#define FEW_ROOTS ((size_t)16 << 20)

/* Says what it had to look at. false: given up. */
static bool rescan_once(struct os_tracker *tracker, const atomic_bool *yield, size_t *bytes)
{
    os_track_extend(tracker, heap_end());
    struct rescan rescan = {.protect = true};
    size_t before = mark_scanned(), roots = roots_bytes();
    assist_pass();
    if (roots <= FEW_ROOTS && !roots_mark(false))
        return false;
    if (!each_stretch(false, rescan_stretch, &rescan) || !mark_drain_beside(yield))
        return false;
    *bytes = mark_scanned() - before;
    *bytes -= roots < *bytes ? roots : *bytes;
    return true;
}

static bool rescan_beside(struct os_tracker *tracker, const atomic_bool *yield)
{
    size_t before = SIZE_MAX, bytes;
    unsigned in_vain = 0;
    for (unsigned pass = 0; pass < MAX_PASSES && in_vain < MAX_IN_VAIN; pass++) {
        if (!rescan_once(tracker, yield, &bytes))
            return false;
        if (bytes <= FEW_BYTES)
            return true;
        in_vain = bytes > before - before / 4 ? in_vain + 1 : 0;
        before = bytes;
    }
    return true;
}

/*
 * The roots are looked at as they are just now, torn and stale as that may be: what they lead to
 * is very likely alive, and needn't be found while the world is stopped.
 */
static bool mark_beside(const struct cycle *cycle, struct os_tracker *tracker,
                        const atomic_bool *yield)
{
    stop_forget();
    mark_begin();
    assist_begin(&cycle->pacer, cycle->heap_before);
    bool marked = roots_mark(false) && mark_drain_beside(yield) && rescan_beside(tracker, yield);
    assist_end();
    return marked;
}

static enum cycle_end run_beside(struct cycle *cycle, struct os_tracker *tracker,
                                 const atomic_bool *yield)
{
    cycle->beside = os_nanotime();
    GA_STORE_ANY(mheap_marks.unmarked, true); /* what of it lives is found in written pages */
    set_marking(true);
    if (!mark_beside(cycle, tracker, yield)) {
        set_marking(false);
        GA_STORE_ANY(mheap_marks.unmarked, false);
        os_track_end(tracker);
        bool yielded = atomic_load_explicit(yield, memory_order_relaxed);
        return yielded ? CYCLE_YIELDED : CYCLE_FAILED;
    }
    bool complete = stop_and_mark(cycle, true);
    GA_STORE_ANY(mheap_marks.unmarked, false);
    os_track_end(tracker);
    return complete ? CYCLE_DONE : CYCLE_FAILED;
}

static bool begin_tracking(struct os_tracker *tracker)
{
    if (!os_track_begin(tracker, heap_start(), heap_end()))
        return false;
    if (each_stretch(false, protect_stretch, tracker))
        return true;
    os_track_end(tracker);
    return false;
}

/* Beside a program that tells what it writes. */
static enum cycle_end run_told(struct cycle *cycle, const atomic_bool *yield)
{
    cycle->way = WAY_BARRIERS;
    cycle->beside = os_nanotime();
    if (barrier_begin()) {
        set_marking(true); /* not before: what is handed out from now on is looked at no more */
        stop_forget();
        mark_begin();
        assist_begin(&cycle->pacer, cycle->heap_before);
        bool marked = barrier_mark_beside(yield);
        assist_end();
        if (marked)
            return stop_and_mark(cycle, false) ? CYCLE_DONE : CYCLE_FAILED;
    }
    barrier_end();
    set_marking(false);
    return atomic_load_explicit(yield, memory_order_relaxed) ? CYCLE_YIELDED : CYCLE_FAILED;
}

static enum cycle_end run_tracked(struct cycle *cycle, const atomic_bool *yield)
{
    struct os_tracker tracker;
    enum cycle_end end = CYCLE_FAILED;
    cycle->way = WAY_TRACKED;
    if (!mheap_hold_moves(yield))
        return atomic_load_explicit(yield, memory_order_relaxed) ? CYCLE_YIELDED : CYCLE_FAILED;
    if (begin_tracking(&tracker))
        end = run_beside(cycle, &tracker, yield);
    mheap_allow_moves();
    return end;
}

/* The ways to mark while the program runs, the best first. */
static enum cycle_end run_concurrent(struct cycle *cycle, const atomic_bool *yield)
{
    enum cycle_end end = CYCLE_FAILED;
    if (gc_barriers)
        return run_told(cycle, yield);
    if (options.gc_track == GC_TRACK_ON)
        end = run_tracked(cycle, yield);
    if (end == CYCLE_FAILED && options.gc_track != GC_TRACK_STOP)
        end = snapshot_run(cycle, yield);
    return end;
}

/* Where none of these is to be had the world is stopped for all of it. */
static enum cycle_end run_marking(struct cycle *cycle, enum gc_mode mode, const atomic_bool *yield)
{
    enum cycle_end end = mode == GC_COLLECT ? run_concurrent(cycle, yield) : CYCLE_FAILED;
    if (end != CYCLE_FAILED)
        return end;
    cycle->way = WAY_STOPPED;
    cycle->beside = os_nanotime();
    mark_begin();
    return stop_and_mark(cycle, false) ? CYCLE_DONE : CYCLE_FAILED;
}

/* --- Sweeping --- */

static void sweep_small(struct cycle *cycle, size_t page, enum gc_mode mode)
{
    size_t class = mheap_span_at(page)->class;
    struct mcentral_swept swept = mcentral_sweep(page, mode == GC_COLLECT);
    cycle->freed_bytes += swept.bytes;
    cycle->freed_objects += swept.objects;
    cycle->live_bytes += swept.live_bytes;
    cycle->live_objects += swept.live_objects;
    if (mode == GC_LEAKS && swept.objects)
        report_count_leak(class, swept.objects, swept.bytes);
}

static void sweep_large(struct cycle *cycle, size_t page, enum gc_mode mode)
{
    struct mheap_swept swept = mheap_sweep_large(page, mode == GC_COLLECT);
    cycle->freed_bytes += swept.bytes;
    cycle->freed_objects += swept.bytes != 0;
    cycle->live_bytes += swept.live_bytes;
    cycle->live_objects += swept.live;
    if (mode == GC_LEAKS && swept.bytes)
        report_count_leak(0, 1, swept.bytes);
}

#define SWEEP_BATCH 128

static void sweep(struct cycle *cycle, enum gc_mode mode)
{
    uint32_t pages[SWEEP_BATCH];
    size_t cursor = 0;
    for (unsigned count; (count = mheap_list_spans(&cursor, pages, SWEEP_BATCH)) > 0;)
        for (unsigned i = 0; i < count; i++) {
            sweep_small(cycle, pages[i], mode);
            sweep_large(cycle, pages[i], mode);
        }
}

/* --- A cycle --- */

static void drain_depots(void)
{
    mcache_flush_idle();
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        mcentral_trim(class, 0);
}

static bool sweep_waits; /* for cycle_sweep; guarded by the collector's lock */

void cycle_sweep(struct cycle *cycle, enum gc_mode mode)
{
    sweep(cycle, mode);
    sweep_waits = false;
    cycle->swept = os_nanotime();
    cycle->heap_after = heap_bytes();
}

enum cycle_end cycle_mark(struct cycle *cycle, enum gc_mode mode, const atomic_bool *yield)
{
    if (sweep_waits)
        cycle_sweep(&(struct cycle){0}, mode);
    cycle->began = os_nanotime();
    cycle->heap_before = heap_bytes();
    if (mode == GC_COLLECT)
        drain_depots();
    if (!runs)
        runs = mheap_meta_alloc(RUNS_MAX * sizeof(*runs));
    if (!runs || !mark_prepare() || !stop_prepare() || !roots_prepare())
        return CYCLE_FAILED;
    enum cycle_end end = run_marking(cycle, mode, yield);
    sweep_waits = end == CYCLE_DONE;
    cycle->heap_marked = heap_bytes();
    return end;
}
