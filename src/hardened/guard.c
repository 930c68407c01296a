// SPDX-License-Identifier: MIT
/*
 * guard.c: pages that trap.
 *
 * Place: slab.c, large.c. Calls src/os.
 *
 * Since Linux 6.13 a page can be marked so that every access to it faults, which costs no mapping.
 * Before that, and in memory that a program has locked, mprotect does it, at two mappings for each
 * stretch: of the 65,530 that the kernel allows a process these take at most 2 * MAX_SPLITS.
 *
 * Invariants: `splits` counts the stretches that are GUARD_SPLIT.
 * Locking: none; the counter is atomic.
 */
#include "../os/os.h"
#include "internal.h"

#define MAX_SPLITS 200

static _Atomic(int) splits; /* relaxed: a limit */

enum guard guard_install(uintptr_t address, size_t size)
{
    if (!hardened.guard_pages || os_page_size() > HEAP_PAGE)
        return GUARD_NONE;
    if (os_guard(address, size))
        return GUARD_MARKED;
    if (atomic_fetch_add_explicit(&splits, 1, memory_order_relaxed) < MAX_SPLITS &&
        os_protect(address, size, false))
        return GUARD_SPLIT;
    atomic_fetch_sub_explicit(&splits, 1, memory_order_relaxed);
    return GUARD_NONE;
}

void guard_remove(enum guard guard, uintptr_t address, size_t size)
{
    if (guard == GUARD_MARKED)
        os_unguard(address, size);
    if (guard == GUARD_SPLIT) {
        os_protect(address, size, true);
        atomic_fetch_sub_explicit(&splits, 1, memory_order_relaxed);
    }
}
