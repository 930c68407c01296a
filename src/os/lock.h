// SPDX-License-Identifier: MIT
/*
 * lock.h: the library's mutex, a futex word.
 *
 *            acquire (cas 0->1)              acquire by another (xchg 2)
 *   0 free ----------------------> 1 held ------------------------------> 2 held, maybe waiters
 *     ^                              |                                       |
 *     +-------- release (xchg 0) ----+------ release (xchg 0, wake one) -----+
 *
 * Memory order: acquire on every path that takes it, release on the one that gives it up.
 *
 * The order in which locks are taken, outermost first, everywhere in the library:
 *   stdio's list lock (fork only) -> caches registry -> a central (ascending class, fork only takes
 *   more than one) -> the page heap -> metadata.
 */
#ifndef GOALLOC_LOCK_H
#define GOALLOC_LOCK_H

#include "../goalloc.h"

struct lock {
    atomic_uint word;
};

void lock_wait(struct lock *lock);
void lock_wake(struct lock *lock);

GA_INLINE void lock_acquire(struct lock *lock)
{
    unsigned expected = 0;
    if (GA_UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &lock->word, &expected, 1, memory_order_acquire, memory_order_relaxed)))
        lock_wait(lock);
}

GA_INLINE void lock_release(struct lock *lock)
{
    if (GA_UNLIKELY(atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2))
        lock_wake(lock);
}

/* In a forked child: the lock that the parent's forking thread held becomes free. */
GA_INLINE void lock_reset(struct lock *lock)
{
    atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
}

/* For checkers: somebody holds it. */
GA_INLINE bool lock_is_held(const struct lock *lock)
{
    return atomic_load_explicit(&lock->word, memory_order_relaxed) != 0;
}

#endif
