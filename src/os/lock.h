// SPDX-License-Identifier: MIT
/*
 * lock.h: the library's mutex, a futex word, and how it is held over a fork.
 *
 *              acquire                  another waits
 *   LOCK_FREE ---------> held by token ------------------> held, LOCK_AWAITED
 *      ^ ^                  |  |                            |  |
 *      | +----- release ----+  +-- freeze --+--- freeze ----+  | release, wake one
 *      |                                    v                  |
 *      +------ thaw, wake all ------- LOCK_FROZEN              |
 *      +-------------------------------------------------------+
 *
 * The word of a held lock says by whom: a token made of the thread pointer.
 *
 * A frozen lock is held by the thread that forks, and that thread alone passes through it as if it
 * were free: other fork handlers, which run while ours hold every lock, may allocate. Everybody
 * else waits until it thaws.
 *
 * A signal handler may fork, though it interrupted a thread that holds locks. Those of the thread's
 * own that it finds held it freezes as they are, and thaws to what they were, in the child too:
 * there as here the interrupted code goes on when the handler returns.
 *
 * Memory order: acquire on every path that takes it, release on those that give it up.
 *
 * The order in which locks are taken, outermost first, everywhere in the library:
 *   stdio's list lock (fork only) -> statistics -> the collector -> its settings -> extra roots ->
 * what is attached to blocks -> the barriers' buffers (fork and a stop take all, in order) -> their
 * list -> who is told of phases, types -> pins -> caches registry -> src/hardened's: large blocks,
 * a class's trays, a class (fork takes more than one, in order), sampled blocks, spare structs -> a
 * central (fork and the collector take more than one, in order of class) -> the page heap ->
 * metadata -> blocking regions.
 */
#ifndef GOALLOC_LOCK_H
#define GOALLOC_LOCK_H

#include "../goalloc.h"

enum lock_word {
    LOCK_FREE = 0,
    LOCK_FROZEN = 1,  /* held over a fork */
    LOCK_AWAITED = 1, /* added to a token: held, and somebody may sleep on it */
};

struct lock {
    atomic_uint word;
    bool interrupted; /* frozen while its own thread held it; the forking thread only */
};

/* Even and not 0. Two threads could have the same, once in 2^30 pairs; only a fork in a signal
 * handler would mistake one for the other. */
GA_INLINE unsigned lock_token(void)
{
    uint64_t pointer;
    GA_THREAD_POINTER(pointer);
    return (unsigned)(pointer * UINT64_C(0x9e3779b97f4a7c15) >> 33) << 1 | 2;
}

void lock_wait(struct lock *lock);
void lock_wake(struct lock *lock);

GA_INLINE void lock_acquire(struct lock *lock)
{
    unsigned expected = LOCK_FREE;
    if (GA_UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &lock->word, &expected, lock_token(), memory_order_acquire, memory_order_relaxed)))
        lock_wait(lock);
}

GA_INLINE void lock_release(struct lock *lock)
{
    unsigned expected = lock_token();
    if (GA_UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &lock->word, &expected, LOCK_FREE, memory_order_release, memory_order_relaxed)))
        lock_wake(lock);
}

/* --- Over a fork. Between begin and end no other thread forks: stdio's list lock sees to it. ---
 */

void lock_fork_begin(void); /* this thread passes through frozen locks from here on */
void lock_freeze(struct lock *lock);
void lock_thaw(struct lock *lock);
/* In the child, whose only thread this is: the lock becomes free, or what it was when a signal
 * interrupted its holder. */
void lock_reset(struct lock *lock);
void lock_fork_end(void);

/* For checkers: somebody holds it. */
GA_INLINE bool lock_is_held(const struct lock *lock)
{
    return atomic_load_explicit(&lock->word, memory_order_relaxed) != LOCK_FREE;
}

#endif
