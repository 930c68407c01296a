// SPDX-License-Identifier: MIT
/*
 * holes.c: pages that go back to the kernel from within spans in use.
 *
 * Place: src/mcentral knows what is in use of a span and which of its pages hold none of it. Calls
 * src/os.
 *
 * Invariants: stats.holes is the sum over all spans of the OS pages that their `holes` name.
 * Locking: the caller holds a central's lock, so that nobody takes an object that lies there; the
 * heap's is taken inside it, not while the kernel works.
 */
#include "../os/os.h"
#include "internal.h"

bool mheap_give_hole(uintptr_t address, size_t size, size_t fresh)
{
    if (!os_release(address, size))
        return false;
    lock_acquire(&mheap.lock);
    dense_released(address >> HEAP_PAGE_SHIFT, pages_for(address + size));
    mheap.stats.released += fresh;
    GA_STORE_ANY(mheap.stats.holes, mheap.stats.holes + fresh);
    lock_release(&mheap.lock);
    return true;
}

void mheap_take_holes(size_t bytes)
{
    lock_acquire(&mheap.lock);
    GA_STORE_ANY(mheap.stats.holes, mheap.stats.holes - bytes);
    lock_release(&mheap.lock);
}
