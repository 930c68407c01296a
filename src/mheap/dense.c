// SPDX-License-Identifier: MIT
/*
 * dense.c: which parts of the heap are worth a huge page.
 *
 * Place: src/scavenger asks for one, has the kernel put it on a huge page, and says how that went;
 * release.c says what went back. Calls src/os.
 *
 * A part is 2 MB at a multiple of that. It is worth it when all its pages are in use, at two looks
 * a second apart, and have memory that no forked process shares: then a huge page takes no more
 * memory than there is, and is likely to stay whole. From one that comes apart later, as pages of
 * it go back, more is asked:
 *
 *   NEW --dense--> 1 --dense--> found --kernel agrees--> WHOLE
 *    ^ not dense   |                |                      | pages of it go back
 *    +-------------+                +--refuses--> AGAIN <--+   so many more looks
 *
 * Invariants: a part that the kernel has filled while pages of it were let go counts those as
 * dirty, so that they go back once more. Locking: the heap's lock, for a few parts at a time; not
 * while the kernel works.
 */
#include "../os/os.h"
#include "internal.h"

#define PARTS_A_LOOK 8
#define PART_NEW     0
#define PART_FOUND   2
#define PART_WHOLE   INT8_MAX
#define PART_AGAIN   (-60)

static bool any_whole; /* guarded by the heap's lock */

static int8_t *look_of(size_t page)
{
    return &mheap_arena_of(page)->looks[page % ARENA_PAGES / PART_PAGES];
}

/* Lock held. What covers the page; NULL: it is free, or isn't the heap's. */
static const struct span *cover_of(size_t page)
{
    size_t first = page_span_load(page);
    const struct span *span = first ? mheap_span_at(first) : NULL;
    enum span_state state = span ? span_state_load(span) : SPAN_NONE;
    bool covers = state != SPAN_NONE && state != SPAN_FREE && page - span->page < span->pages;
    return covers ? span : NULL;
}

/* Lock held. Whether spans in use cover it: such as the kernel may move, without guards inside. */
static bool is_in_use(size_t part)
{
    for (size_t page = part; page < part + PART_PAGES;) {
        const struct span *span = cover_of(page);
        enum span_state state = span ? span_state_load(span) : SPAN_NONE;
        if (state != SPAN_SMALL && state != SPAN_LARGE)
            return false;
        page = (size_t)span->page + span->pages;
    }
    return true;
}

/* Lock held. Whether it has been so for long enough. */
static bool look_at(size_t part)
{
    int8_t *looks = look_of(part);
    bool in_use = is_in_use(part);
    if (!in_use && *looks > PART_NEW)
        *looks = PART_NEW;
    if (!in_use || *looks == PART_WHOLE)
        return false;
    if (*looks < PART_FOUND)
        ++*looks;
    return *looks == PART_FOUND;
}

/* Some more parts; whether one of them is ripe, and *at is behind it then. */
static bool find_some(size_t *at)
{
    bool found = false;
    lock_acquire(&mheap.lock);
    size_t end = mheap_end();
    for (unsigned i = 0; i < PARTS_A_LOOK && !found && *at + PART_PAGES <= end; i++) {
        found = look_at(*at);
        *at += PART_PAGES;
    }
    lock_release(&mheap.lock);
    return found;
}

uintptr_t mheap_find_dense(size_t *at)
{
    if (!atomic_load_explicit(&mheap.ready, memory_order_acquire))
        return 0;
    if (*at == 0)
        *at = round_up(mheap_view.start, PART_PAGES);
    while (*at + PART_PAGES <= mheap_end()) {
        uintptr_t part = find_some(at) ? mheap_page_address(*at - PART_PAGES) : 0;
        if (!part)
            continue;
        if (os_has_alone(part, MHEAP_PART))
            return part;
        mheap_note_collapse(part, false); /* a large block that is hardly used, say */
    }
    *at = 0;
    return 0;
}

/* Lock held. Its free pages have memory now; it was all in use a moment ago, so the rest is ours.
 */
static void count_dirty(size_t part)
{
    ahead_forget();
    for (size_t page = part; page < part + PART_PAGES; page++) {
        if (cover_of(page) || page_is_dirty(page))
            continue;
        add_free_dirty(1);
        pages_set_dirty(page, 1, true);
    }
}

void mheap_note_collapse(uintptr_t address, bool done)
{
    size_t part = address >> HEAP_PAGE_SHIFT;
    lock_acquire(&mheap.lock);
    bool whole = done && is_in_use(part);
    *look_of(part) = whole ? PART_WHOLE : PART_AGAIN;
    any_whole |= whole;
    if (done)
        GA_STORE_ANY(mheap.stats.collapsed, mheap.stats.collapsed + MHEAP_PART);
    if (done && !whole)
        count_dirty(part);
    lock_release(&mheap.lock);
}

void dense_released(size_t page, size_t end)
{
    if (GA_LIKELY(!any_whole))
        return;
    for (size_t part = round_down(page, PART_PAGES); part < end; part += PART_PAGES)
        if (*look_of(part) == PART_WHOLE)
            *look_of(part) = PART_AGAIN;
}
