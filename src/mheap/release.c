// SPDX-License-Identifier: MIT
/*
 * release.c: giving free pages' memory back to the kernel.
 *
 * Place: src/scavenger decides when and how much; this does it. Calls src/os.
 *
 * Invariants: a released page is clean and stays in its run. Where the OS page is larger than ours
 * only whole OS pages inside the run are released.
 * Locking: the heap's lock is held during the system call, so that nobody takes the pages meanwhile;
 * one call releases at most RELEASE_STEP.
 */
#include "../os/os.h"
#include "internal.h"

#define RELEASE_STEP ((size_t)2 << 20 >> HEAP_PAGE_SHIFT)

/* Lock held. Releases dirty pages of one run, at most `want` of them. Returns how many went. */
static size_t release_run(const struct span *run, size_t want)
{
    size_t end = (size_t)run->page + run->pages, released = 0;
    size_t grain = os_page_size() > HEAP_PAGE ? os_page_size() : HEAP_PAGE;
    size_t page = run->page;
    while (page < end && released < want) {
        size_t from = page;
        while (page < end && page_is_dirty(page) && page - from < RELEASE_STEP)
            page++;
        uintptr_t start = round_up(mheap_page_address(from), grain);
        uintptr_t stop = round_down(mheap_page_address(page), grain);
        if (stop > start && os_release(start, stop - start)) {
            size_t first = start >> HEAP_PAGE_SHIFT;
            size_t pages = (stop - start) >> HEAP_PAGE_SHIFT;
            pages_set_dirty(first, pages, false);
            mheap.stats.free_dirty -= pages << HEAP_PAGE_SHIFT;
            released += pages;
        }
        page += page == from;
    }
    return released;
}

size_t mheap_release(size_t bytes)
{
    size_t want = pages_for(bytes), released = 0;
    lock_acquire(&mheap.lock);
    for (unsigned bin = RUN_BINS; bin-- > 0 && released < want;)
        for (uint32_t at = mheap.bins[bin]; at && released < want; at = mheap_span_at(at)->next)
            released += release_run(mheap_span_at(at), want - released);
    lock_release(&mheap.lock);
    return released << HEAP_PAGE_SHIFT;
}
