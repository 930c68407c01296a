// SPDX-License-Identifier: MIT
/*
 * release.c: giving free pages' memory back to the kernel.
 *
 * Place: src/scavenger decides when and how much; this does it. Calls src/os.
 *
 * The longest runs go first, and a run from its end: pages are taken from its front.
 *
 * A long run's pages have span structs, too, of which only the first means anything: 16 KB a
 * megabyte. Once pages were released, so are those.
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
/* Other threads may make new runs as fast as this goes through them. */
#define MAX_STRIPS 64

/* The page behind the last dirty one of [from, end), or `from`. */
static size_t last_dirty_end(size_t from, size_t end)
{
    while (end > from) {
        size_t last = (end - 1) % ARENA_PAGES, unused = 63 - last % 64;
        uint64_t word = mheap_arena_of(end - 1)->dirty[last / 64] << unused;
        if (word) {
            end -= (size_t)__builtin_clzl(word);
            return end > from ? end : from;
        }
        end -= 64 - unused < end - from ? 64 - unused : end - from;
    }
    return from;
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
    dense_released(start >> HEAP_PAGE_SHIFT, stop >> HEAP_PAGE_SHIFT);
    add_free_dirty(-(long)pages);
    mheap.stats.released += stop - start;
    return pages;
}

/* Lock held. Releases dirty pages of one run, about `want` of them. Returns how many went. */
static size_t release_run(const struct span *run, size_t want, unsigned *tries)
{
    size_t start = run->page, released = 0;
    size_t grain = os_page_size() > HEAP_PAGE ? os_page_size() : HEAP_PAGE;
    size_t stop = last_dirty_end(start, start + run->pages);
    while (stop > start && released < want && *tries) {
        size_t from = stop;
        while (from > start && stop - from < want - released && page_is_dirty(from - 1))
            from--;
        released += release_pages(from, stop, grain, tries);
        stop = last_dirty_end(start, from);
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

/* --- Span structs --- */

/* Lock held. Releases the span structs of [page, end), none of which is a run's or span's first. */
static void release_structs(size_t page, size_t end)
{
    size_t grain = os_page_size();
    for (size_t stop; page < end; page = stop) {
        stop = (page / ARENA_PAGES + 1) * ARENA_PAGES;
        stop = stop < end ? stop : end;
        uintptr_t from = round_up((uintptr_t)mheap_span_at(page), grain);
        uintptr_t to = round_down((uintptr_t)(mheap_span_at(stop - 1) + 1), grain);
        if (from < to)
            os_release(from, to - from);
    }
}

/* Lock held. The first of the long runs that may have span structs to release. */
static struct span *find_clothed(void)
{
    for (unsigned bin = EXACT_BINS; bin < RUN_BINS; bin++)
        for (uint32_t at = mheap.bins[bin]; at; at = mheap_span_at(at)->next)
            if (!mheap_span_at(at)->bare)
                return mheap_span_at(at);
    return NULL;
}

static bool strip_one(void)
{
    lock_acquire(&mheap.lock);
    struct span *run = find_clothed();
    if (run) {
        release_structs((size_t)run->page + 1, (size_t)run->page + run->pages);
        run->bare = true;
    }
    lock_release(&mheap.lock);
    return run != NULL;
}

/* --- All together --- */

size_t mheap_release(size_t bytes)
{
    size_t want = pages_for(bytes), released = 0, step;
    unsigned bin = RUN_BINS, tries = MAX_REFUSALS;
    lock_acquire(&mheap.lock);
    ahead_forget();
    lock_release(&mheap.lock);
    do {
        size_t left = want - released;
        step = release_some(left < RELEASE_STEP ? left : RELEASE_STEP, &bin, &tries);
        released += step;
    } while (step && released < want);
    for (unsigned strips = 0; released && strips < MAX_STRIPS && strip_one();)
        strips++;
    return released << HEAP_PAGE_SHIFT;
}
