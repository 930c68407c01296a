// SPDX-License-Identifier: MIT
/*
 * owned.c: spans whose blocks src/hardened looks after.
 *
 * Place: src/hardened alone calls it. Calls runs.c and spans.c.
 *
 * Such a span's pages have class entry 0, as a large block's have: so every free, realloc and
 * malloc_usable_size of one of its blocks leaves the fast path by the compare that is there anyway,
 * and the slow path finds the span's state.
 *
 * Invariants: an owned span's class is 0; it counts as in use, not as large.
 * Locking: takes the heap's lock.
 */
#include "internal.h"

/* Lock held. `page` is the first of what was taken out of a run, or 0. */
static struct span *init_owned(size_t page, size_t pages, enum span_state state, void *owner)
{
    if (!page)
        return NULL;
    __atomic_store_n(&mheap_span_at(page)->owner, owner, __ATOMIC_RELAXED);
    return span_init(page, pages, state, 0);
}

struct span *mheap_alloc_owned(size_t pages, size_t align, enum span_state state, void *owner)
{
    lock_acquire(&mheap.lock);
    struct span *span = init_owned(take_aligned(pages, align), pages, state, owner);
    lock_release(&mheap.lock);
    return span;
}

struct span *mheap_alloc_owned_objects(size_t pages, size_t size, enum span_state state,
                                       void *owner)
{
    lock_acquire(&mheap.lock);
    struct span *span = init_owned(take_for_objects(pages, size), pages, state, owner);
    lock_release(&mheap.lock);
    return span;
}

struct span *mheap_alloc_owned_growing(size_t pages, enum span_state state, void *owner)
{
    if (pages >= WINDOW_PAGES)
        return NULL;
    lock_acquire(&mheap.lock);
    struct span *span = init_owned(take_growing(pages), pages, state, owner);
    lock_release(&mheap.lock);
    return span;
}

bool mheap_extend_owned(struct span *span, size_t pages)
{
    lock_acquire(&mheap.lock);
    bool extended = pages < WINDOW_PAGES && span_extend(span, pages);
    lock_release(&mheap.lock);
    return extended;
}

/* Relaxed: a block's owner got its address by some synchronisation that carries these along. */
void mheap_set_owner(size_t page, size_t pages, void *owner)
{
    for (size_t i = page; i < page + pages; i++)
        __atomic_store_n(&mheap_span_at(i)->owner, owner, __ATOMIC_RELAXED);
}

void mheap_free_owned(struct span *span, bool dirty)
{
    lock_acquire(&mheap.lock);
    __atomic_store_n(&span->owner, NULL, __ATOMIC_RELAXED);
    span_destroy(span, dirty);
    lock_release(&mheap.lock);
}

/* Free pages and large blocks have none, so all may be cleared. */
void mheap_hide_classes(void)
{
    lock_acquire(&mheap.lock);
    mheap.hidden = true;
    for (size_t page = mheap_view.start; page < mheap_end(); page++)
        if (mheap.classes[page])
            __atomic_store_n(&mheap.classes[page], 0, __ATOMIC_RELAXED);
    lock_release(&mheap.lock);
}

bool mheap_was_clean(const struct span *span)
{
    return pages_count_dirty(span->page, span->pages) == 0;
}
