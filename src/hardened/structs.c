// SPDX-License-Identifier: MIT
/*
 * structs.c: memory for struct slab.
 *
 * Place: slab.c and large.c. Calls src/mheap for metadata and, where there's none to be had, for
 * pages of the heap.
 *
 * Invariants: a struct that nobody uses has no span.
 * Locking: one lock, inside all others of this folder, outside the heap's.
 */
#include "internal.h"

static struct {
    struct lock lock; /* guards the list; inside all others of this folder */
    struct slab *unused;
    uintptr_t carve_at, carve_end; /* what is left of heap pages; guarded by lock */
} spares;

#define CARVE_PAGES ((size_t)8)

/* Out of the heap itself: where a limit leaves no address space for metadata. For good. */
static void *carve(size_t size)
{
    size = round_up(size, GA_CACHE_LINE);
    if (spares.carve_end - spares.carve_at < size) {
        struct span *span = mheap_alloc_owned(CARVE_PAGES, HEAP_PAGE, SPAN_GUARDED, NULL);
        if (!span)
            return NULL;
        spares.carve_at = span_address(span);
        spares.carve_end = spares.carve_at + (CARVE_PAGES << HEAP_PAGE_SHIFT);
    }
    spares.carve_at += size;
    return (void *)(spares.carve_at - size);
}

/* Lock held. */
static struct slab *take_struct(void)
{
    struct slab *slab = spares.unused;
    if (slab) {
        spares.unused = slab->next;
        return slab;
    }
    slab = mheap_meta_alloc(sizeof(*slab));
    return slab ? slab : carve(sizeof(*slab));
}

struct slab *slab_struct(unsigned class, uint16_t slots)
{
    lock_acquire(&spares.lock);
    struct slab *slab = take_struct();
    lock_release(&spares.lock);
    if (!slab)
        return NULL;
    *slab = (struct slab){.class = (uint8_t) class, .slots = slots};
    return slab;
}

void slab_struct_free(struct slab *slab)
{
    lock_acquire(&spares.lock);
    slab->span = NULL;
    slab->next = spares.unused;
    spares.unused = slab;
    lock_release(&spares.lock);
}

/* --- Fork --- */

void slab_structs_lock(void)
{
    lock_freeze(&spares.lock);
}

void slab_structs_unlock(void)
{
    lock_thaw(&spares.lock);
}

void slab_structs_reset(void)
{
    lock_reset(&spares.lock);
}
