// SPDX-License-Identifier: MIT
/*
 * lock.c: the waiting half of lock.h, and fork.
 *
 * Place: called by lock.h when a lock isn't simply free or simply held, and by src/libc/fork.c's
 * handlers. Calls the futex.
 *
 * Invariants:
 *   - a thread that sleeps on a held lock has seen or set LOCK_AWAITED; whoever releases wakes one,
 * and the woken thread sets it again, since it can't know whether others still sleep;
 *   - nobody but lock_thaw and lock_reset changes LOCK_FROZEN, so a release of a frozen lock, which
 *     only the forking thread can come to, leaves it as it is;
 *   - lock_thaw wakes every sleeper: those that slept when it was frozen, too.
 * Fork and signals: see src/libc/fork.c, which freezes every lock over a fork.
 */
#include <errno.h>
#include <limits.h>

#include "lock.h"
#include "os.h"

/* Critical sections are some tens of nanoseconds, a futex sleep is microseconds. */
#define SPINS 64

/* The thread that forks, by the address of its errno: it alone has that. NULL: none forks. */
static _Atomic(int *) forking_thread;

/* Somebody has slept on a frozen lock; from then on every thaw wakes. Never reset: a sleeper of an
 * earlier fork may fall asleep again on a lock that the next one froze meanwhile. */
static atomic_bool frozen_sleepers;

static bool forks(void)
{
    return atomic_load_explicit(&forking_thread, memory_order_relaxed) == &errno;
}

static bool try_acquire(struct lock *lock, unsigned word)
{
    unsigned expected = LOCK_FREE;
    return atomic_compare_exchange_strong_explicit(&lock->word, &expected, word,
                                                   memory_order_acquire, memory_order_relaxed);
}

static unsigned look(struct lock *lock)
{
    return atomic_load_explicit(&lock->word, memory_order_relaxed);
}

static void sleep_on(struct lock *lock, unsigned word)
{
    if (word != LOCK_FROZEN && !(word & LOCK_AWAITED)) {
        if (word == LOCK_FREE ||
            !atomic_compare_exchange_strong_explicit(&lock->word, &word, word | LOCK_AWAITED,
                                                     memory_order_relaxed, memory_order_relaxed))
            return;
        word |= LOCK_AWAITED;
    }
    /* Sequentially consistent: the sleeper sets the flag, then the kernel compares the word; a thaw
     * stores the word, then reads the flag. One of the two sees the other. */
    if (word == LOCK_FROZEN)
        atomic_store(&frozen_sleepers, true);
    os_futex_wait(&lock->word, word);
}

GA_COLD void lock_wait(struct lock *lock)
{
    if (look(lock) == LOCK_FROZEN && forks())
        return;
    for (int i = 0; i < SPINS; i++) {
        if (look(lock) == LOCK_FREE && try_acquire(lock, lock_token()))
            return;
        GA_CPU_RELAX();
    }
    while (!try_acquire(lock, lock_token() | LOCK_AWAITED))
        sleep_on(lock, look(lock));
}

GA_COLD void lock_wake(struct lock *lock)
{
    if (look(lock) == LOCK_FROZEN)
        return;
    atomic_store_explicit(&lock->word, LOCK_FREE, memory_order_release);
    os_futex_wake(&lock->word, 1);
}

/* --- Fork --- */

void lock_fork_begin(void)
{
    atomic_store_explicit(&forking_thread, &errno, memory_order_relaxed);
}

void lock_freeze(struct lock *lock)
{
    bool interrupted = (look(lock) & ~(unsigned)LOCK_AWAITED) == lock_token();
    if (!interrupted)
        lock_acquire(lock);
    lock->interrupted = interrupted;
    if (atomic_exchange_explicit(&lock->word, LOCK_FROZEN, memory_order_relaxed) & LOCK_AWAITED)
        atomic_store(&frozen_sleepers, true);
}

void lock_thaw(struct lock *lock)
{
    /* The sleepers that are woken fall asleep again on a lock that stays held. */
    atomic_store(&lock->word, lock->interrupted ? lock_token() : (unsigned)LOCK_FREE);
    if (atomic_load(&frozen_sleepers))
        os_futex_wake(&lock->word, INT_MAX);
}

void lock_reset(struct lock *lock)
{
    unsigned word = lock->interrupted ? lock_token() : (unsigned)LOCK_FREE;
    atomic_store_explicit(&lock->word, word, memory_order_relaxed);
}

void lock_fork_end(void)
{
    atomic_store_explicit(&forking_thread, NULL, memory_order_relaxed);
}
