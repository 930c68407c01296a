// SPDX-License-Identifier: MIT
/*
 * lock.h: the library's mutex, a futex word, and how it is held over a fork.
 *
 *              acquire                  another waits
 *   LOCK_FREE ---------> LOCK_HELD ------------------> LOCK_AWAITED
 *      ^ ^                  |  |                            |  |
 *      | +----- release ----+  +-- freeze --+--- freeze ----+  | release, wake one
 *      |                                    v                  |
 *      +------ thaw, wake all ------- LOCK_FROZEN              |
 *      +-------------------------------------------------------+
 *
 * A frozen lock is held by the thread that forks, and that thread alone passes through it as if it
 * were free: other fork handlers, which run while ours hold every lock, may allocate. Everybody
 * else waits until it thaws.
 *
 * Memory order: acquire on every path that takes it, release on those that give it up.
 *
 * The order in which locks are taken, outermost first, everywhere in the library:
 *   stdio's list lock (fork only) -> caches registry -> a central (fork only takes more than one,
 * in order of class) -> the page heap -> metadata.
 */
#ifndef GOALLOC_LOCK_H
#define GOALLOC_LOCK_H

#include "../goalloc.h"

enum lock_word {
    LOCK_FREE,
    LOCK_HELD,
    LOCK_AWAITED, /* held, and somebody may sleep on it */
    LOCK_FROZEN,  /* held over a fork */
};

struct lock {
    atomic_uint word;
};

void lock_wait(struct lock *lock);
void lock_wake(struct lock *lock);

GA_INLINE void lock_acquire(struct lock *lock)
{
    unsigned expected = LOCK_FREE;
    if (GA_UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &lock->word, &expected, LOCK_HELD, memory_order_acquire, memory_order_relaxed)))
        lock_wait(lock);
}

GA_INLINE void lock_release(struct lock *lock)
{
    unsigned expected = LOCK_HELD;
    if (GA_UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &lock->word, &expected, LOCK_FREE, memory_order_release, memory_order_relaxed)))
        lock_wake(lock);
}

/* --- Over a fork. Between begin and end no other thread forks: stdio's list lock sees to it. ---
 */

void lock_fork_begin(void); /* this thread passes through frozen locks from here on */
void lock_freeze(struct lock *lock);
void lock_thaw(struct lock *lock);
/* In the child, whose only thread this is: the lock becomes free, whatever it was. */
void lock_reset(struct lock *lock);
void lock_fork_end(void);

/* For checkers: somebody holds it. */
GA_INLINE bool lock_is_held(const struct lock *lock)
{
    return atomic_load_explicit(&lock->word, memory_order_relaxed) != LOCK_FREE;
}

#endif
