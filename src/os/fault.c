// SPDX-License-Identifier: MIT
/*
 * fault.c: the fault-injection hook of debug builds; see fault.h.
 *
 * Place: called by memory.c before each mapping call. A release build compiles this file to
 * nothing. Invariants: with os_fault_at zero no call fails. Locking: the counter is atomic; each
 * call sees its own value of it.
 */
#include "fault.h"

#ifdef GOALLOC_DEBUG
atomic_long os_fault_at;
atomic_bool os_fault_forever;

bool os_fault_now(void)
{
    if (GA_LIKELY(atomic_load_explicit(&os_fault_at, memory_order_relaxed) == 0))
        return false;
    long left = atomic_fetch_sub_explicit(&os_fault_at, 1, memory_order_relaxed);
    if (left > 1)
        return false;
    /* left == 1 is the chosen call; stay at -1, or go back to 0, for the calls that follow. */
    bool forever = atomic_load_explicit(&os_fault_forever, memory_order_relaxed);
    atomic_store_explicit(&os_fault_at, forever ? -1 : 0, memory_order_relaxed);
    return true;
}
#endif
