// SPDX-License-Identifier: MIT
/*
 * ahead.c: memory for pages that are about to be written for the first time, by the stretch.
 *
 * Place: spans.c, when a span of small objects takes pages without memory. Calls src/os.
 *
 * Why: a fault for each OS page costs half a microsecond on a bare machine and may cost thirty
 * times that on a virtual one; asked for many, the kernel takes a quarter of one for each. What is
 * fetched before it is needed is bounded: by a 64th of what is in use, and by 256 KB. A heap of
 * less than half a megabyte fetches nothing, so that a small program stays small.
 *
 * Pages that were fetched and are still free are one stretch, `ahead`. They are clean, but count as
 * dirty, for they have memory. Where the heap goes on elsewhere, or gives memory back, they become
 * dirty ones like all others.
 *
 * Invariants: the pages of `ahead` are free and clean, and lie in one run.
 * Locking: the heap's lock, also while the kernel fetches: a release in between would leave pages
 * with memory that nobody knows of. It is some 15 us for 256 KB.
 */
#include "../os/os.h"
#include "internal.h"
#include "notes.h"

#define AHEAD_MOST  ((size_t)256 << 10)
#define AHEAD_SHARE 64
/* Of larger objects the program may not touch each page. */
#define AHEAD_OBJECT 4096

static struct page_range ahead; /* guarded by the heap's lock */

void ahead_forget(void)
{
    pages_set_dirty(ahead.from, ahead.to - ahead.from, true);
    ahead = (struct page_range){0, 0};
}

struct page_range ahead_now(void)
{
    return ahead;
}

void ahead_taken(size_t page, size_t end)
{
    if (GA_LIKELY(end <= ahead.from || page >= ahead.to))
        return;
    struct page_range taken = {page > ahead.from ? page : ahead.from,
                               end < ahead.to ? end : ahead.to};
    add_free_dirty(-(long)(taken.to - taken.from));
    if (taken.from > ahead.from) {
        pages_set_dirty(taken.to, ahead.to - taken.to, true);
        ahead.to = taken.from;
    } else {
        ahead.from = taken.to;
    }
}

/* How far from `page` on pages are clean, at most to `end`. */
static size_t clean_end(size_t page, size_t end)
{
    while (page < end && !page_is_dirty(page))
        page++;
    return page;
}

struct page_range ahead_plan(size_t run, size_t pages, size_t object)
{
    struct page_range none = {0, 0};
    size_t from = run >= ahead.from && run < ahead.to ? ahead.to : run;
    size_t room = mheap.stats.in_use / AHEAD_SHARE;
    room = (room < AHEAD_MOST ? room : AHEAD_MOST) >> HEAP_PAGE_SHIFT;
    if (object > AHEAD_OBJECT || room == 0 || from >= run + pages || page_is_dirty(from))
        return none;
    if (from == run)
        ahead_forget();
    size_t end = run + mheap_span_at(run)->pages;
    size_t to = clean_end(from, from + room < end ? from + room : end);
    ahead = (struct page_range){run, to};
    add_free_dirty((long)(to - from));
    return (struct page_range){from, to};
}

static bool fetch(uintptr_t from, uintptr_t to)
{
    from = round_down(from, os_page_size());
    return os_fetch(from, round_up(to, os_page_size()) - from);
}

void ahead_fetch(struct page_range range)
{
    if (range.from == range.to)
        return;
    if (GA_UNLIKELY(!fetch(mheap_page_address(range.from), mheap_page_address(range.to)))) {
        add_free_dirty(-(long)(ahead.to - ahead.from));
        ahead = (struct page_range){0, 0};
        return;
    }
    /* What describes them will be written as well. */
    if (GA_UNLIKELY(mheap_notes.table != NULL))
        fetch((uintptr_t)mheap_known_note((void *)mheap_page_address(range.from)),
              (uintptr_t)mheap_known_note((void *)mheap_page_address(range.to)));
    if (range.from / ARENA_PAGES == (range.to - 1) / ARENA_PAGES)
        fetch((uintptr_t)mheap_span_at(range.from), (uintptr_t)(mheap_span_at(range.to - 1) + 1));
}
