// SPDX-License-Identifier: MIT
/*
 * structs.c: memory for struct slab.
 *
 * Place: slab.c and large.c. Calls src/mheap for metadata and, where there's none to be had, for
 * pages of the heap.
 *
 * Invariants: a struct in a bin has room for at least 2^bin slots' states, and no span.
 * Locking: one lock, inside all others of this folder, outside the heap's.
 */
#include "internal.h"

/* Structs without a span, by the room they have: log2 of the slots, rounded up. */
#define SPARE_BINS 10
_Static_assert(1 << (SPARE_BINS - 1) >= SPAN_OBJECTS_MAX, "the last bin is for the most slots");

static struct {
    struct lock lock; /* guards the lists; inside all others of this folder */
    struct slab *bins[SPARE_BINS];
    uintptr_t carve_at, carve_end; /* what is left of heap pages; guarded by lock */
} spares;

static unsigned bin_of(uint16_t slots)
{
    unsigned bin = 0;
    while (1u << bin < slots)
        bin++;
    return bin;
}

static struct slab *pop_spare(unsigned bin)
{
    struct slab *slab = spares.bins[bin];
    if (slab)
        spares.bins[bin] = slab->next;
    return slab;
}

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

static struct slab *make_struct(unsigned bin)
{
    size_t size = sizeof(struct slab) + (sizeof(uint16_t) << bin);
    struct slab *slab = mheap_meta_alloc(size);
    if (!slab)
        slab = carve(size);
    if (slab)
        slab->bin = (uint8_t)bin;
    return slab;
}

/* Where no memory is to be had for a new one, a larger one that nobody uses will do. */
static struct slab *find_struct(unsigned bin)
{
    struct slab *slab = pop_spare(bin);
    if (!slab)
        slab = make_struct(bin);
    while (!slab && ++bin < SPARE_BINS)
        slab = pop_spare(bin);
    return slab;
}

struct slab *slab_struct(unsigned class, uint16_t slots)
{
    lock_acquire(&spares.lock);
    struct slab *slab = find_struct(bin_of(slots));
    lock_release(&spares.lock);
    if (!slab)
        return NULL;
    uint8_t bin = slab->bin;
    memset(slab, 0, sizeof(*slab) + slots * sizeof(slab->state[0]));
    slab->bin = bin;
    slab->class = (uint8_t) class;
    slab->slots = slots;
    return slab;
}

void slab_struct_free(struct slab *slab)
{
    lock_acquire(&spares.lock);
    slab->span = NULL;
    slab->next = spares.bins[slab->bin];
    spares.bins[slab->bin] = slab;
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
