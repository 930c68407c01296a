// SPDX-License-Identifier: MIT
/*
 * meta.c: memory for caches and magazines.
 *
 * Place: src/mcache and src/mcentral allocate here; what they no longer need they keep on free
 * lists of their own. Calls src/os.
 *
 * Invariants: what is given is zeroed, aligned to a cache line and never taken back.
 * Locking: meta_lock, the innermost lock of all.
 */
#include "../os/os.h"
#include "internal.h"

#define META_STEP ((size_t)256 << 10)

/* Lock held. */
static bool map_more(size_t size)
{
    size_t more = round_up(size, META_STEP);
    if (more > mheap.meta_start + META_MAX - mheap.meta_end ||
        os_map_at(mheap.meta_end, more) != OS_MAPPED)
        return false;
    mheap.meta_end += more;
    return true;
}

void *mheap_meta_alloc(size_t size)
{
    void *memory = NULL;
    size = round_up(size, GA_CACHE_LINE);
    if (!mheap_init())
        return NULL;
    lock_acquire(&mheap.meta_lock);
    if (mheap.meta_end - mheap.meta_at >= size || map_more(size)) {
        memory = (void *)mheap.meta_at;
        GA_STORE_ANY(mheap.meta_at, mheap.meta_at + size);
    }
    lock_release(&mheap.meta_lock);
    return memory;
}
