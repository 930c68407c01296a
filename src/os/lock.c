// SPDX-License-Identifier: MIT
/*
 * lock.c: the waiting half of lock.h.
 *
 * Place: called by lock.h when a lock is held by another thread. Calls the futex.
 *
 * Invariants: a thread that sleeps has set the word to 2 before, so whoever releases wakes one; the
 * woken thread sets it to 2 again, since it can't know whether others still sleep.
 * Fork and signals: see src/libc/fork.c, which holds every lock over a fork.
 */
#include "lock.h"
#include "os.h"

/* Critical sections are some tens of nanoseconds, a futex sleep is microseconds. */
#define SPINS 64

GA_COLD void lock_wait(struct lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        unsigned expected = 0;
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(&lock->word, &expected, 1, memory_order_acquire,
                                                    memory_order_relaxed))
            return;
        GA_CPU_RELAX();
    }
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        os_futex_wait(&lock->word, 2);
}

GA_COLD void lock_wake(struct lock *lock)
{
    os_futex_wake(&lock->word, 1);
}
