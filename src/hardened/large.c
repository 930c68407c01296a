// SPDX-License-Identifier: MIT
/*
 * large.c: blocks without a size class, and freed ones held back.
 *
 * Place: blocks.c. Calls slab.c for spans and pads, guard.c to make freed blocks trap.
 *
 * Every such block has a slab of its own. When it is freed its pages trap, which gives their memory
 * back at the same time, and the last so many freed stay like that: a use after free is caught at
 * the instruction. Where the kernel can't do that the pages are released and read as zero.
 *
 * Invariants: `ring` holds at most RING_MAX slabs of at most RING_PAGES pages in all.
 * Locking: one lock, in the place of the slabs' in the order.
 */
#include "../os/os.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

#define RING_MAX   16
#define RING_PAGES (((size_t)512 << 20) >> HEAP_PAGE_SHIFT)

static struct {
    struct lock lock;
    struct slab *ring[RING_MAX]; /* freed blocks, oldest at `at`; guarded by lock, as is all else */
    unsigned at, count;
    size_t ring_pages;
    size_t blocks, bytes; /* in use */
} large;

struct slab *large_alloc(size_t size, bool grows, size_t align)
{
    struct slab *slab = slab_struct(0, 1);
    if (!slab)
        return NULL;
    struct slab *made = slab_make_single(slab, size ? size : 1, grows, align);
    if (!made) {
        slab_struct_free(slab);
        return NULL;
    }
    lock_acquire(&large.lock);
    large.blocks++;
    large.bytes += made->counted = made->stride;
    lock_release(&large.lock);
    return made;
}

bool large_extend(struct slab *slab, size_t size)
{
    if (!slab_extend(slab, size))
        return false;
    lock_acquire(&large.lock);
    large.bytes += slab->stride - slab->counted;
    slab->counted = slab->stride;
    lock_release(&large.lock);
    return true;
}

/* From this size on it is cheaper to forbid access to a freed block, at two mappings while it is
 * held back, than to mark each of its pages: 7 us against 57 for 16 MB, and again when it ends. */
#define FORBID_MIN ((size_t)512 << 10)

static bool forbid(struct slab *slab)
{
    if (slab->guard == GUARD_NONE || slab->stride < FORBID_MIN)
        return false;
    slab->forbidden =
        os_release(slab->base, slab->stride) && os_protect(slab->base, slab->stride, false);
    return slab->forbidden;
}

/* Freed pages trap, or hold nothing, or neither where the kernel refuses both. true: they are zero
 * once they no longer trap. */
static bool deaden(struct slab *slab)
{
    if (forbid(slab) || (slab->guard == GUARD_MARKED && os_guard(slab->base, slab->stride)))
        return true;
    return os_page_size() <= HEAP_PAGE && os_release(slab->base, slab->stride);
}

/* Not in the ring any more. Where the kernel won't allow access again the pages are nobody's, for
 * good. */
static void destroy(struct slab *slab)
{
    if (slab->forbidden && !os_protect(slab->base, slab->stride, true))
        return;
    if (!slab->forbidden && slab->guard == GUARD_MARKED)
        os_unguard(slab->base, slab->stride);
    slab_free_span(slab, !slab->clean || !slab->pads_zero);
    slab_struct_free(slab);
}

/* Lock held. */
static struct slab *pop_oldest(void)
{
    struct slab *slab = large.ring[large.at];
    large.at = (large.at + 1) % RING_MAX;
    large.count--;
    large.ring_pages -= slab->span->pages;
    return slab;
}

void large_free(struct slab *slab)
{
    struct slab *out[RING_MAX];
    unsigned outs = 0;
    slab->clean = deaden(slab);
    lock_acquire(&large.lock);
    large.blocks--;
    large.bytes -= slab->counted;
    bool holds = hardened.quarantine && slab->span->pages <= RING_PAGES;
    while (holds && large.count &&
           (large.count == RING_MAX || large.ring_pages + slab->span->pages > RING_PAGES))
        out[outs++] = pop_oldest();
    if (holds) {
        large.ring[(large.at + large.count++) % RING_MAX] = slab;
        large.ring_pages += slab->span->pages;
    }
    lock_release(&large.lock);
    for (unsigned i = 0; i < outs; i++)
        destroy(out[i]);
    if (!holds)
        destroy(slab);
    scavenger_tick();
}

void large_flush(void)
{
    struct slab *out[RING_MAX];
    unsigned outs = 0;
    lock_acquire(&large.lock);
    while (large.count)
        out[outs++] = pop_oldest();
    lock_release(&large.lock);
    for (unsigned i = 0; i < outs; i++)
        destroy(out[i]);
}

void large_lock(void)
{
    lock_freeze(&large.lock);
}

void large_unlock(void)
{
    lock_thaw(&large.lock);
}

void large_reset(void)
{
    lock_reset(&large.lock);
}

void large_read_stats(struct hardened_stats *out)
{
    lock_acquire(&large.lock);
    out->spans += large.blocks;
    out->blocks += large.blocks;
    out->live += large.bytes;
    lock_release(&large.lock);
}
