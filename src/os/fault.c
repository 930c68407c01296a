// SPDX-License-Identifier: MIT
/*
 * fault.c: the fault-injection hook of debug builds; see fault.h.
 *
 * Place: called by memory.c before each system call for memory. A release build compiles this file
 * to nothing.
 *
 * Invariants: with os_fault_at zero no call fails; exactly one thread's call is the n-th.
 * Locking: the counter is atomic. It rests at -1 while all calls fail.
 */
#include "fault.h"

#ifdef GOALLOC_DEBUG
atomic_long os_fault_at;
atomic_bool os_fault_forever;
atomic_uint os_fault_kinds;

static bool counts(enum os_fault_kind kind)
{
    unsigned kinds = atomic_load_explicit(&os_fault_kinds, memory_order_relaxed);
    return kinds == 0 || (kinds & kind) != 0;
}

/* Relaxed throughout: the counter orders nothing but itself. */
bool os_fault_now(enum os_fault_kind kind)
{
    long left = atomic_load_explicit(&os_fault_at, memory_order_relaxed), next;
    if (GA_LIKELY(left == 0) || !counts(kind))
        return false;
    do {
        if (left <= 0)
            return left < 0;
        bool forever = atomic_load_explicit(&os_fault_forever, memory_order_relaxed);
        next = left > 1 ? left - 1 : forever ? -1 : 0;
    } while (!atomic_compare_exchange_weak_explicit(&os_fault_at, &left, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return left == 1;
}
#endif
