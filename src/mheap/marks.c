// SPDX-License-Identifier: MIT
/*
 * marks.c: the table of mark bits, and what the collector must know of the heap's layout.
 *
 * Place: src/gc switches it on and reads it; grow.c has it grow with the heap; spans.c clears a new
 * span's entry. Calls src/os.
 *
 * Invariants:
 *   - once enabled, the record of every arena below the heap's end is mapped;
 *   - a span in use that isn't older than the round has no mark bit of an earlier round.
 * Locking: the heap's lock. Fork: the child inherits the table as it is.
 */
#include <string.h>

#include "../os/os.h"
#include "internal.h"
#include "marks.h"

struct mheap_marks mheap_marks;

static uintptr_t records_address(void)
{
    return mheap.meta_start + META_MAX;
}

bool marks_map(size_t end)
{
    size_t arenas = (end + ARENA_PAGES - 1) / ARENA_PAGES - mheap_view.first_arena;
    if (arenas <= mheap_marks.arenas_mapped)
        return true;
    size_t more = (arenas - mheap_marks.arenas_mapped) * MARKS_RECORD_SIZE;
    uintptr_t at = records_address() + mheap_marks.arenas_mapped * MARKS_RECORD_SIZE;
    if (os_map_at(at, more) != OS_MAPPED)
        return false;
    mheap_marks.arenas_mapped = arenas;
    mheap.stats.meta += more;
    return true;
}

bool mheap_marks_enable(bool audit)
{
    if (!mheap_init())
        return false;
    lock_acquire(&mheap.lock);
    bool mapped = marks_map(mheap_end());
    if (mapped) {
        mheap_marks.audit = audit;
        GA_STORE_ANY(mheap_marks.records, records_address());
    }
    lock_release(&mheap.lock);
    return mapped;
}

void marks_clear(size_t first_page)
{
    memset(marks_of(first_page), 0, sizeof(struct span_marks));
    *marks_swept(first_page) = mheap_marks.round;
    if (mheap_marks.audit)
        memset(marks_doomed(first_page), 0, MARK_WORDS * sizeof(uint64_t));
}

/* --- The layout --- */

void mheap_own_ranges(struct mheap_range ranges[MHEAP_OWN_RANGES])
{
    size_t records = mheap.arenas_mapped * ARENA_RECORD_SIZE;
    size_t marks = mheap_marks.arenas_mapped * MARKS_RECORD_SIZE;
    ranges[0].start = mheap_page_address(mheap_view.start);
    ranges[0].end = mheap_page_address(mheap_end());
    ranges[1].start = mheap.tables;
    ranges[1].end = mheap.tables + mheap.class_bytes_mapped;
    ranges[2].start = mheap_view.records;
    ranges[2].end = mheap_view.records + records;
    ranges[3].start = mheap.meta_start;
    ranges[3].end = mheap.meta_end;
    ranges[4].start = records_address();
    ranges[4].end = records_address() + marks;
}

void mheap_each_hole(void (*visit)(struct mheap_range hole, void *context), void *context)
{
    size_t end = mheap_end(), page = mheap_view.start;
    if ((end - page) << HEAP_PAGE_SHIFT == mheap.stats.mapped)
        return;
    while (page < end) {
        size_t from = page;
        while (page < end && mheap_span_at(page)->state == SPAN_NONE)
            page++;
        if (page > from)
            visit((struct mheap_range){mheap_page_address(from), mheap_page_address(page)},
                  context);
        if (page < end)
            page += mheap_span_at(page)->pages;
    }
}

#define LONG_RUN (((size_t)1 << 20) >> HEAP_PAGE_SHIFT)

unsigned mheap_list_runs(struct mheap_range *ranges, unsigned room)
{
    unsigned count = 0;
    for (unsigned bin = LONG_RUN; bin < RUN_BINS; bin++)
        for (uint32_t at = mheap.bins[bin]; at && count < room; at = mheap_span_at(at)->next) {
            size_t end = (size_t)at + mheap_span_at(at)->pages;
            ranges[count++] = (struct mheap_range){mheap_page_address(at), mheap_page_address(end)};
        }
    return count;
}

unsigned mheap_list_spans(size_t *cursor, uint32_t *pages, unsigned room)
{
    unsigned count = 0;
    lock_acquire(&mheap.lock);
    size_t end = mheap_end(), page = *cursor < mheap_view.start ? mheap_view.start : *cursor;
    /* The cursor may lie inside of a run or span that is newer than it. */
    while (page < end && count < room) {
        const struct span *span = mheap_span_at(page);
        if (span->state >= SPAN_DEAD)
            pages[count++] = (uint32_t)page;
        page += span->state == SPAN_NONE ? 1 : span->pages;
    }
    *cursor = page;
    lock_release(&mheap.lock);
    return count;
}

void mheap_acquire_all(void)
{
    lock_acquire(&mheap.lock);
    lock_acquire(&mheap.meta_lock);
}

void mheap_release_all(void)
{
    lock_release(&mheap.meta_lock);
    lock_release(&mheap.lock);
}
