// SPDX-License-Identifier: MIT
/*
 * spans.c: spans of objects, and finding the span of an address.
 *
 * Place: src/mcentral asks for spans and gives them back; any slow path looks addresses up. Calls
 * runs.c and grow.c.
 *
 * Invariants:
 *   - while a span is in use, each of its pages leads to it (page_span), and the class entry of
 *     each is its class, for large blocks 0;
 *   - the span struct of a page inside a span has state SPAN_NONE;
 *   - the bits past a span's last object are set for ever, so a search for a zero bit needs no
 * bound. Locking: takes the heap's lock; callers may hold a central's.
 */
#include <string.h>

#include "../os/os.h"
#include "internal.h"
#include "marks.h"

static void set_page_classes(size_t page, size_t pages, unsigned class)
{
    uint16_t *table = mheap.classes, offset = (uint16_t)(class * SIZE_CLASS_OFFSET);
    for (size_t i = page; i < page + pages; i++)
        __atomic_store_n(&table[i], offset, __ATOMIC_RELAXED);
}

void span_map_pages(struct span *span, size_t from_page, size_t pages)
{
    uint32_t first = span->page;
    for (size_t end = from_page + pages, stop; from_page < end; from_page = stop) {
        uint32_t *entries = mheap_arena_of(from_page)->page_span;
        stop = (from_page / ARENA_PAGES + 1) * ARENA_PAGES;
        stop = stop < end ? stop : end;
        size_t last = (stop - 1) % ARENA_PAGES;
        for (size_t i = from_page % ARENA_PAGES; i <= last; i++)
            GA_STORE_ANY(entries[i], first);
    }
}

struct span *span_init(size_t page, size_t pages, enum span_state state, unsigned class)
{
    struct span *span = mheap_span_at(page);
    span->page = (uint32_t)page;
    span->pages = (uint32_t)pages;
    span->next = span->prev = 0;
    span->class = (uint8_t) class;
    span->moved = span->listed = span->noscan = span->typed = false;
    span->objects = size_classes[class].objects;
    span->used = 0;
    span->holes = 0;
    span->inverse = size_classes[class].inverse;
    span->size = size_classes[class].size;
    span_map_pages(span, page, pages);
    if (GA_UNLIKELY(mheap_marks_enabled()))
        marks_clear(page);
    if (class && !mheap.hidden)
        set_page_classes(page, pages, class);
    span_state_store(span, state);
    add_in_use(pages);
    return span;
}

void span_destroy(struct span *span, bool dirty)
{
    size_t page = span->page, pages = span->pages;
    if (span->class)
        set_page_classes(page, pages, 0);
    span_state_store(span, SPAN_NONE);
    subtract_in_use(pages);
    pages_set_dirty(page, pages, dirty);
    run_insert(page, pages);
}

static void init_bits(struct span *span)
{
    size_t objects = span->objects;
    memset(span->bits, 0, sizeof(span->bits));
    for (size_t i = objects; i < SPAN_OBJECTS_MAX; i = (i / 64 + 1) * 64)
        span->bits[i / 64] = ~UINT64_C(0) << i % 64;
}

size_t take_for_objects(size_t pages, size_t size)
{
    size_t run = run_find(pages);
    if (!run && grow_heap(pages))
        run = run_find(pages);
    if (!run)
        return 0;
    struct page_range fetch = ahead_plan(run, pages, size);
    run_take(run, 0, pages);
    ahead_fetch(fetch);
    return run;
}

/* With `apart` nobody finds them by their class entries. */
static struct span *alloc_span(unsigned class, bool apart, bool typed)
{
    size_t pages = size_classes[class].pages;
    struct span *span = NULL;
    bool dirty = true;
    lock_acquire(&mheap.lock);
    size_t run = take_for_objects(pages, size_classes[class].size);
    if (run) {
        dirty = pages_count_dirty(run, pages) > 0;
        span = span_init(run, pages, SPAN_SMALL, class);
        span->noscan = apart && !typed;
        span->typed = typed;
        if (apart) /* nobody knows an address in it yet */
            set_page_classes(run, pages, 0);
    }
    lock_release(&mheap.lock);
    if (span) {
        init_bits(span);
        span->zero = dirty ? 0 : ~UINT64_C(0);
    }
    return span;
}

struct span *mheap_alloc_span(unsigned class)
{
    return alloc_span(class, false, false);
}

struct span *mheap_alloc_noscan_span(unsigned class)
{
    return alloc_span(class, true, false);
}

struct span *mheap_alloc_typed_span(unsigned class)
{
    return alloc_span(class, true, true);
}

void mheap_free_span(struct span *span)
{
    lock_acquire(&mheap.lock);
    span_destroy(span, true);
    lock_release(&mheap.lock);
}

void pages_zero_dirty(size_t page, size_t pages)
{
    for (size_t end = page + pages; page < end; page++) {
        size_t from = page;
        while (page < end && page_is_dirty(page))
            page++;
        if (page > from)
            os_zero_touched((void *)mheap_page_address(from), (page - from) << HEAP_PAGE_SHIFT);
    }
}

void mheap_zero_fresh(struct span *span)
{
    pages_zero_dirty(span->page, span->pages);
}

struct span *mheap_span_of(const void *p)
{
    return mheap_find_span(p);
}

enum mheap_place mheap_place_of(const void *p)
{
    if (!mheap_spans_address(p))
        return PLACE_FOREIGN;
    struct span *span = mheap_span_of(p);
    if (!span)
        return PLACE_FREE;
    enum span_state state = span_state_load(span);
    if (state >= SPAN_HARDENED)
        return PLACE_OWNED;
    return state == SPAN_SMALL ? PLACE_SMALL : PLACE_LARGE;
}
