// SPDX-License-Identifier: MIT
/*
 * semaphore.c: the weighted semaphore.
 *
 *   state:  | who waits, 32 bits | available, 32 bits |
 *
 * Place: called by programs through goalloc/sync.h. Calls sema.h.
 *
 * Invariants:
 *   - the high half is how many are queued; while it isn't zero the state changes under the
 * bucket's latch only, and what becomes available goes to the first in the queue before any other;
 *   - the first in the queue wants more than is available.
 * Locking: the bucket's latch of the state's address. Fork: as mutex.c.
 */
#include "../os/report.h"
#include "goalloc/sync.h"
#include "sema.h"

#define WAITER (UINT64_C(1) << 32)

static uint64_t look(const ga_sem_t *semaphore)
{
    return __atomic_load_n(&semaphore->ga_state, __ATOMIC_RELAXED);
}

static unsigned available(uint64_t state)
{
    return (unsigned)state;
}

static bool anybody_waits(uint64_t state)
{
    return state >= WAITER;
}

/* Acquire for who takes, release for who gives back. */
static bool change(ga_sem_t *semaphore, uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(&semaphore->ga_state, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

GA_EXPORT void ga_sem_init(ga_sem_t *semaphore, unsigned size)
{
    semaphore->ga_state = size;
    semaphore->ga_size = size;
}

/* --- Acquiring --- */

GA_EXPORT bool ga_sem_try_acquire(ga_sem_t *semaphore, unsigned count)
{
    for (;;) {
        uint64_t state = look(semaphore);
        if (anybody_waits(state) || available(state) < count)
            return false;
        if (change(semaphore, state, state - count)) {
            order_after(semaphore);
            return true;
        }
    }
}

/* Bucket held. Counts one more that waits, unless it need not. */
static bool start_waiting(ga_sem_t *semaphore, unsigned count)
{
    for (;;) {
        uint64_t state = look(semaphore);
        if (!anybody_waits(state) && available(state) >= count)
            return false;
        if (change(semaphore, state, state + WAITER))
            return true;
    }
}

/* Bucket held. In a forked child: who is counted but not queued waited in the parent. */
static void recount(ga_sem_t *semaphore, const struct sema_bucket *bucket)
{
    uint64_t waiters = 0;
    for (struct sema_wait *wait = sema_first(bucket, semaphore); wait; wait = wait->next)
        waiters += WAITER;
    /* While anybody waits the state changes under the latch only. */
    uint64_t state = look(semaphore);
    if (anybody_waits(state))
        __atomic_store_n(&semaphore->ga_state, waiters + available(state), __ATOMIC_RELAXED);
}

/* Bucket held. Those at the front for whom there is enough. */
static void serve(ga_sem_t *semaphore, struct sema_bucket *bucket)
{
    struct sema_wait *wait;
    while ((wait = sema_first(bucket, semaphore)) && available(look(semaphore)) >= wait->weight) {
        __atomic_fetch_sub(&semaphore->ga_state, WAITER + wait->weight, __ATOMIC_ACQUIRE);
        sema_wake(bucket, wait);
    }
}

/* The context ended; it is in no queue. Those behind it may want less. */
static void give_up(ga_sem_t *semaphore)
{
    struct sema_bucket *bucket = sema_acquire_bucket(semaphore);
    __atomic_fetch_sub(&semaphore->ga_state, WAITER, __ATOMIC_RELAXED);
    serve(semaphore, bucket);
    sema_release_bucket(bucket);
}

static bool wait_as(ga_sem_t *semaphore, struct sema_wait *wait)
{
    while (!ga_sem_try_acquire(semaphore, wait->weight)) {
        struct sema_bucket *bucket = sema_acquire_bucket(semaphore);
        if (GA_UNLIKELY(park_forked))
            recount(semaphore, bucket);
        if (sema_is_cancelled(wait) || !start_waiting(semaphore, wait->weight)) {
            sema_release_bucket(bucket);
            if (sema_is_cancelled(wait))
                return false;
            continue;
        }
        sema_append(bucket, wait);
        sema_park(bucket, wait, park_semaphore);
        if (!wait->granted)
            give_up(semaphore);
        return wait->granted;
    }
    return true;
}

GA_EXPORT int ga_sem_acquire_ctx(struct ga_context *context, ga_sem_t *semaphore, unsigned count)
{
    int error = context_error(context);
    if (error || ga_sem_try_acquire(semaphore, count))
        return error;
    struct sema_wait wait = {.address = semaphore, .waiter = park_self(), .weight = count};
    struct sema_watch watch;
    error = sema_watch(&watch, context, &wait);
    if (error)
        return error;
    bool acquired = wait_as(semaphore, &wait);
    sema_unwatch(&watch);
    order_after(semaphore);
    return acquired ? 0 : context_error(context);
}

GA_EXPORT void ga_sem_acquire(ga_sem_t *semaphore, unsigned count)
{
    ga_sem_acquire_ctx(NULL, semaphore, count);
}

/* --- Releasing --- */

GA_NOINLINE static void release_slow(ga_sem_t *semaphore, unsigned count)
{
    struct sema_bucket *bucket = sema_acquire_bucket(semaphore);
    __atomic_fetch_add(&semaphore->ga_state, count, __ATOMIC_ACQ_REL);
    serve(semaphore, bucket);
    sema_release_bucket(bucket);
}

GA_EXPORT void ga_sem_release(ga_sem_t *semaphore, unsigned count)
{
    order_before(semaphore);
    for (;;) {
        uint64_t state = look(semaphore);
        if (semaphore->ga_size - available(state) < count)
            report_fatal("semaphore: released more than held");
        if (anybody_waits(state)) {
            release_slow(semaphore, count);
            return;
        }
        if (change(semaphore, state, state + count))
            return;
    }
}
