// SPDX-License-Identifier: MIT
/*
 * cond.c: conditions.
 *
 * A waiter is in the queue before the mutex is free, so a signal by whoever has the mutex next
 * finds it. The mutex is unlocked on the scheduler's side, when the waiter is parked: two latches
 * are never held at once.
 *
 * Place: called by programs through goalloc/sync.h. Calls sema.h and mutex.c.
 *
 * Invariants: ga_waiters is how many are queued; it changes under the bucket's latch.
 * Locking: the bucket's latch of the condition's address; then, by itself, the mutex's.
 */
#include "../os/report.h"
#include "goalloc/sync.h"
#include "sema.h"

/* Go's copyChecker: the first use writes the address down. */
static void check_copy(ga_cond_t *cond)
{
    const void *self = __atomic_load_n(&cond->ga_self, __ATOMIC_RELAXED);
    if (GA_LIKELY(self == cond))
        return;
    if (self || !__atomic_compare_exchange_n(&cond->ga_self, &self, cond, false, __ATOMIC_RELAXED,
                                             __ATOMIC_RELAXED))
        if (self != cond)
            report_fatal("sync.Cond is copied");
}

struct cond_wait {
    struct sema_bucket *bucket;
    ga_mutex_t *mutex;
};

/*
 * Once the latch is free the waiter may be woken, and go on to wait for its mutex; it can't have
 * that before this has unlocked it, so the mutex is still there. `wait` may be gone.
 */
static bool release_both(struct waiter *self, void *argument)
{
    struct cond_wait wait = *(struct cond_wait *)argument;
    (void)self;
    sema_release_bucket(wait.bucket);
    ga_mutex_unlock(wait.mutex);
    return true;
}

static void add_waiters(ga_cond_t *cond, unsigned change)
{
    /* Relaxed: the mutex that belongs to the condition orders it, where anything does. */
    __atomic_fetch_add(&cond->ga_waiters, change, __ATOMIC_RELAXED);
}

/* false: the context has ended before it could wait; the mutex is still locked. */
static bool wait_as(ga_cond_t *cond, ga_mutex_t *mutex, struct sema_wait *wait)
{
    struct cond_wait both = {sema_acquire_bucket(cond), mutex};
    if (sema_is_cancelled(wait)) {
        sema_release_bucket(both.bucket);
        return false;
    }
    add_waiters(cond, 1);
    sema_append(both.bucket, wait);
    order_before(mutex);
    park(release_both, &both, park_cond, cond);
    return true;
}

GA_EXPORT int ga_cond_wait_ctx(struct ga_context *context, ga_cond_t *cond, ga_mutex_t *mutex)
{
    check_copy(cond);
    struct sema_wait wait = {.address = cond, .waiter = park_self()};
    struct sema_watch watch;
    int error = sema_watch(&watch, context, &wait);
    if (error)
        return error;
    bool waited = wait_as(cond, mutex, &wait);
    sema_unwatch(&watch);
    if (waited && !wait.granted)
        add_waiters(cond, -1u);
    if (waited)
        ga_mutex_lock(mutex);
    order_after(mutex);
    return wait.granted ? 0 : context_error(context);
}

GA_EXPORT void ga_cond_wait(ga_cond_t *cond, ga_mutex_t *mutex)
{
    ga_cond_wait_ctx(NULL, cond, mutex);
}

/* How many to wake at most. */
static void wake(ga_cond_t *cond, unsigned count)
{
    check_copy(cond);
    if (__atomic_load_n(&cond->ga_waiters, __ATOMIC_RELAXED) == 0)
        return;
    struct sema_bucket *bucket = sema_acquire_bucket(cond);
    struct sema_wait *next, *wait = sema_first(bucket, cond);
    for (; wait && count > 0; wait = next, count--) {
        next = wait->next;
        add_waiters(cond, -1u);
        sema_wake(bucket, wait);
    }
    sema_release_bucket(bucket);
}

GA_EXPORT void ga_cond_signal(ga_cond_t *cond)
{
    wake(cond, 1);
}

GA_EXPORT void ga_cond_broadcast(ga_cond_t *cond)
{
    wake(cond, UINT32_MAX);
}
