// SPDX-License-Identifier: MIT
/*
 * release.c: giving free pages' memory back to the kernel.
 *
 * Place: src/scavenger decides when and how much; this does it. Calls src/os.
 *
 * Invariants: a released page is clean and stays in its run. Where the OS page is larger than ours
 * only whole OS pages inside the run are released.
 * Locking: the heap's lock is held during the system call, so that nobody takes the pages
 * meanwhile, and given up after every RELEASE_STEP pages (some 0.2 ms).
 */
#include "../os/os.h"
#include "internal.h"

#define RELEASE_STEP ((size_t)2 << 20 >> HEAP_PAGE_SHIFT)
/* After so many refusals a release gives up: a program may have locked some of its memory, where
 * others are worth a try, or all of it. */
#define MAX_REFUSALS 8

/* The first page from `page` on that is dirty, or `end`. */
static size_t next_dirty(size_t page, size_t end)
{
    while (page < end) {
        size_t in_arena = page % ARENA_PAGES, shift = in_arena % 64;
        uint64_t word = mheap_arena_of(page)->dirty[in_arena / 64] >> shift;
        if (word) {
            page += (size_t)__builtin_ctzl(word);
            return page < end ? page : end;
        }
        page += 64 - shift;
    }
    return end;
}

/* Lock held. Releases [from, page), as far as it is whole OS pages. Returns how many pages went. A
 * refusal by the kernel takes one off `tries`. */
static size_t release_pages(size_t from, size_t page, size_t grain, unsigned *tries)
{
    uintptr_t start = round_up(mheap_page_address(from), grain);
    uintptr_t stop = round_down(mheap_page_address(page), grain);
    if (stop <= start)
        return 0;
    if (!os_release(start, stop - start)) {
        --*tries;
        return 0;
    }
    size_t pages = (stop - start) >> HEAP_PAGE_SHIFT;
    pages_set_dirty(start >> HEAP_PAGE_SHIFT, pages, false);
    add_free_dirty(-(long)pages);
    return pages;
}

/* Lock held. Releases dirty pages of one run, about `want` of them. Returns how many went. */
static size_t release_run(const struct span *run, size_t want, unsigned *tries)
{
    size_t end = (size_t)run->page + run->pages, released = 0;
    size_t grain = os_page_size() > HEAP_PAGE ? os_page_size() : HEAP_PAGE;
    size_t page = next_dirty(run->page, end);
    while (page < end && released < want && *tries) {
        size_t from = page;
        while (page < end && page - from < want - released && page_is_dirty(page))
            page++;
        released += release_pages(from, page, grain, tries);
        page = next_dirty(page, end);
    }
    return released;
}

/* Goes on at bin *bin, downward, until `want` pages went, or no bin is left, or no try. */
static size_t release_some(size_t want, unsigned *bin, unsigned *tries)
{
    size_t released = 0;
    lock_acquire(&mheap.lock);
    while (released < want && *bin && *tries) {
        for (uint32_t at = mheap.bins[*bin - 1]; at && released < want && *tries;
             at = mheap_span_at(at)->next)
            released += release_run(mheap_span_at(at), want - released, tries);
        *bin -= released < want;
    }
    lock_release(&mheap.lock);
    return released;
}

size_t mheap_release(size_t bytes)
{
    size_t want = pages_for(bytes), released = 0, step;
    unsigned bin = RUN_BINS, tries = MAX_REFUSALS;
    do {
        size_t left = want - released;
        step = release_some(left < RELEASE_STEP ? left : RELEASE_STEP, &bin, &tries);
        released += step;
    } while (step && released < want);
    return released << HEAP_PAGE_SHIFT;
}
