// SPDX-License-Identifier: MIT
/*
 * snapshot.c: marking in a copy of the process, where nobody tells which pages are written.
 *
 *   us                                              the copy
 *   the world is stopped; a copy is made            all memory, as it was in the stop
 *   the program runs; what is handed out is marked  marks as in a stop, at leisure
 *                                                   writes its marks into shared memory, and ends
 *   its marks are added to ours
 *   under all locks: finalizers and their kin; the round rises; sweeping as ever
 *
 * Place: cycle.c calls it; src/os makes the copy. Calls what marks in a stop.
 *
 * Why that is enough: what isn't in reach in the snapshot can't come into reach later, but by a
 * weak pointer or a link (special.c notices). What was handed out since is marked: the copy has
 * marked what lay in magazines and depots, the centrals and the page heap mark what they give. So
 * what has no mark in the end is what was in use, and out of reach, in the snapshot.
 *
 *   handed out before the snapshot, in reach in it         the copy's mark
 *   in a magazine, a depot, a thread's hands in it         the copy's mark
 *   taken from a span or from the page heap since          our mark
 *   none of these                                          out of reach
 *
 * Some memory isn't copied. What the program has made roots of may be shared with others, and is
 * looked at in the stop, by us; its marks and what waits to be followed go along with the copy.
 * Where mappings are missing in the copy (madvise's MADV_DONTFORK) the snapshot is worth nothing;
 * what MADV_WIPEONFORK has emptied isn't seen.
 *
 * Invariants: while the copy lives mheap_marks.marking is set, so that no span ends, and each page
 * for which it has marks is the page that it was. The copy's word counts only when it is complete:
 * however it ends, whoever ends it, all else is as if there had been none.
 * Locking: the collector's lock is held throughout; all of the allocator's in the stop, so that in
 * the copy nobody is amid a change, and at the end. Fork: the copy is given up for it.
 */
#include "../mcentral/mcentral.h"
#include "../os/os.h"
#include "../os/proc.h"
#include "helpers.h"
#include "internal.h"
#include "work.h"

/* How often it is looked whether the copy has ended, at most and at least. */
#define LOOK_FIRST ((uint64_t)50000)
#define LOOK_LAST  ((uint64_t)1000000)

/* What the program has mapped, in a few words. */
struct outline {
    size_t mappings;
    uintptr_t sum;
};

/* Shared with the copy, which writes all of it but the first two. */
struct handed {
    size_t room;            /* of words */
    struct outline outline; /* of our mappings in the stop */
    atomic_bool begun;      /* os_copy_start's */
    atomic_bool complete;   /* release, once the rest is there; acquire */
    bool is_open;           /* a link hangs on what is out of reach */
    size_t root_bytes, scanned;
    size_t count; /* of words that are used */
    /* For each span with marks: its first page and how many words follow; those of its mark bits.
     */
    uint64_t words[];
};
#define PAGE_BITS 32

/* --- In the copy --- */

static void add_mapping(const struct os_mapping *mapping, void *context)
{
    struct outline *outline = context;
    if (!mapping->readable || mapping->shared)
        return;
    outline->mappings++;
    outline->sum = outline->sum * 31 + mapping->start;
    outline->sum = outline->sum * 31 + mapping->end;
}

static bool draw_outline(struct outline *outline)
{
    *outline = (struct outline){0, 0};
    return os_each_mapping(add_mapping, outline);
}

static bool is_whole(const struct handed *handed)
{
    struct outline outline;
    return draw_outline(&outline) && outline.mappings == handed->outline.mappings &&
           outline.sum == handed->outline.sum;
}

/* false: there's no room. */
static bool hand_over_span(struct handed *handed, const struct span *span)
{
    const struct span_marks *marks = marks_of(span->page);
    uint64_t *out = &handed->words[handed->count], any = 0;
    size_t words = span->state == SPAN_LARGE ? 1 : (span->objects + 63u) / 64;
    if (handed->count + 1 + words > handed->room)
        return false;
    for (size_t i = 0; i < words; i++)
        any |= out[1 + i] = marks->mark[i];
    out[0] = (uint64_t)words << PAGE_BITS | span->page;
    handed->count += any ? 1 + words : 0;
    return true;
}

static bool hand_over(struct handed *handed)
{
    for (size_t page = mheap_view.start, end = mheap_end(); page < end;) {
        const struct span *span = mheap_span_at(page);
        bool used = span->state == SPAN_SMALL || span->state == SPAN_LARGE;
        if (used && !hand_over_span(handed, span))
            return false;
        page += span->state == SPAN_NONE ? 1 : span->pages;
    }
    return true;
}

static void mark_in_copy(void *context)
{
    struct handed *handed = context;
    if (!is_whole(handed))
        return;
    helpers_leave_out(); /* they aren't there, but what their stacks hold is */
    work_reset_in_child();
    os_keep_pagemap(true);
    if (!cycle_mark_frozen() || !hand_over(handed))
        return;
    handed->is_open = special_has_open_link();
    handed->root_bytes = roots_bytes();
    handed->scanned = mark_scanned();
    atomic_store_explicit(&handed->complete, true, memory_order_release);
}

/* --- In us --- */

/* The world is stopped. The copy's number, or negative. */
static long copy_process(struct handed *handed)
{
    if (!draw_outline(&handed->outline))
        return -1;
    mark_begin();
    special_snapshot();
    bool has_marks = roots_mark_added();
    GA_STORE_ANY(mheap_marks.marking, true);
    long copy = os_copy_start(mark_in_copy, handed, &handed->begun);
    if (has_marks)
        mark_undo(); /* they have gone along */
    if (copy < 0)
        GA_STORE_ANY(mheap_marks.marking, false);
    return copy;
}

static long stop_and_copy(struct cycle *cycle, struct handed *handed)
{
    long copy = -1;
    acquire_all();
    cycle->stopping = os_nanotime();
    if (stop_world()) {
        cycle->stopped = os_nanotime();
        copy = copy_process(handed);
        resume_world();
    }
    cycle->resumed = os_nanotime();
    release_all();
    return copy;
}

static _Atomic(uint64_t) ran; /* relaxed */

size_t snapshot_progress(void)
{
    return atomic_load_explicit(&ran, memory_order_relaxed);
}

static bool await(long copy, const atomic_bool *yield)
{
    for (uint64_t pause = LOOK_FIRST; !os_copy_has_ended(copy);) {
        if (atomic_load_explicit(yield, memory_order_relaxed)) {
            os_copy_kill(copy);
            return false;
        }
        atomic_store_explicit(&ran, os_copy_time(copy), memory_order_relaxed);
        os_pause(pause);
        pause = pause < LOOK_LAST ? pause * 2 : LOOK_LAST;
    }
    return true;
}

/* While the program runs, and marks what it is given. */
static void add_marks(const struct handed *handed)
{
    for (size_t at = 0; at < handed->count;) {
        size_t page = (uint32_t)handed->words[at], words = handed->words[at] >> PAGE_BITS;
        for (unsigned i = 0; i < words; i++)
            if (handed->words[at + 1 + i])
                marks_add(page, i, handed->words[at + 1 + i]);
        at += 1 + words;
    }
}

/* What is out of reach is known. false: not of what hangs on weak pointers. */
static bool decide(void)
{
    acquire_all();
    bool decided = special_decide_later();
    if (decided)
        GA_STORE_ANY(mheap_marks.round, mheap_marks.round + 1);
    else
        mark_undo();
    GA_STORE_ANY(mheap_marks.marking, false);
    release_all();
    return decided;
}

static enum cycle_end finish(long copy, const struct handed *handed, const atomic_bool *yield)
{
    bool waited = await(copy, yield);
    if (!waited || !atomic_load_explicit(&handed->complete, memory_order_acquire) ||
        handed->is_open) {
        set_marking(false);
        return waited ? CYCLE_FAILED : CYCLE_YIELDED;
    }
    add_marks(handed);
    return decide() ? CYCLE_DONE : CYCLE_FAILED;
}

/* The lines and figures have the stop last, as other ways have it. */
static void account(struct cycle *cycle, const struct handed *handed)
{
    uint64_t stop = cycle->resumed - cycle->stopping;
    cycle->beside = cycle->stopping;
    cycle->resumed = os_nanotime();
    cycle->stopping = cycle->resumed - stop;
    cycle->root_bytes = handed->root_bytes;
    cycle->scanned = handed->scanned;
}

/* The heap may grow until the stop; where it has grown by more than that, the marks find no room.
 */
static size_t room_for_marks(void)
{
    size_t pages = mheap_end() - mheap_view.start;
    return (pages + pages / 2 + CHUNK_PAGES * 4) * (1 + MARK_WORDS);
}

enum cycle_end snapshot_run(struct cycle *cycle, const atomic_bool *yield)
{
    size_t room = room_for_marks();
    size_t size = round_up(sizeof(struct handed) + room * sizeof(uint64_t), os_page_size());
    struct handed *handed = os_map_shared(size);
    if (!handed)
        return CYCLE_FAILED;
    handed->room = room;
    cycle->way = WAY_SNAPSHOT;
    long copy = stop_and_copy(cycle, handed);
    enum cycle_end end = copy < 0 ? CYCLE_FAILED : finish(copy, handed, yield);
    if (end == CYCLE_DONE)
        account(cycle, handed);
    os_unmap((uintptr_t)handed, size);
    return end;
}
