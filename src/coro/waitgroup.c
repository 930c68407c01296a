// SPDX-License-Identifier: MIT
/*
 * waitgroup.c: waiting until a counter comes to zero.
 *
 *   state:  | counter, 32 bits, signed | 1 while somebody waits |
 *
 * Place: called by programs through goalloc/sync.h. Calls sema.h.
 *
 * Invariants:
 *   - somebody is queued only while the low half is 1, and while that is so the counter is above
 * zero, or who brought it to zero is about to wake them all;
 *   - who brings it to zero touches the state again only while somebody is queued, for then it is
 *     not over for them.
 * Locking: the bucket's latch of the state's address. Fork: as mutex.c.
 */
#include "../os/report.h"
#include "goalloc/sync.h"
#include "sema.h"

#define WAITING UINT64_C(1)
#define ONE     (UINT64_C(1) << 32)

static int32_t counter(uint64_t state)
{
    return (int32_t)(state >> 32);
}

/* Acquire: who sees zero sees what was done before. */
static uint64_t look(const ga_waitgroup_t *group)
{
    return __atomic_load_n(&group->ga_state, __ATOMIC_ACQUIRE);
}

/* Bucket held. */
static void clear_waiting(ga_waitgroup_t *group)
{
    __atomic_fetch_and(&group->ga_state, ~WAITING, __ATOMIC_RELAXED);
}

/* The counter has come to zero. If nobody is queued any more, the group may be gone. */
GA_NOINLINE static void wake_all(ga_waitgroup_t *group)
{
    struct sema_bucket *bucket = sema_acquire_bucket(group);
    struct sema_wait *wait = sema_first(bucket, group);
    if (wait)
        clear_waiting(group);
    for (struct sema_wait *next; wait; wait = next) {
        next = wait->next;
        sema_wake(bucket, wait);
    }
    sema_release_bucket(bucket);
}

/* In a forked child: whether who waits did so in the parent. */
static bool forget_the_parents(ga_waitgroup_t *group)
{
    struct sema_bucket *bucket = sema_acquire_bucket(group);
    bool nobody = sema_first(bucket, group) == NULL;
    if (nobody)
        clear_waiting(group);
    sema_release_bucket(bucket);
    return nobody;
}

GA_EXPORT void ga_waitgroup_add(ga_waitgroup_t *group, int delta)
{
    order_before(group);
    /* Release: who sees zero sees what was done before; acquire: whoever comes last has it all. */
    uint64_t added = (uint64_t)(int64_t)delta * ONE;
    uint64_t state = __atomic_add_fetch(&group->ga_state, added, __ATOMIC_ACQ_REL);
    if (GA_UNLIKELY(counter(state) < 0))
        report_fatal("sync: negative WaitGroup counter");
    if (GA_LIKELY(!(state & WAITING)))
        return;
    if (GA_UNLIKELY(park_forked) && forget_the_parents(group))
        return;
    if (delta > 0 && counter(state) == delta)
        report_fatal("sync: WaitGroup misuse: Add called concurrently with Wait");
    if (counter(state) == 0)
        wake_all(group);
}

GA_EXPORT void ga_waitgroup_done(ga_waitgroup_t *group)
{
    ga_waitgroup_add(group, -1);
}

/* Bucket held. false: the counter is zero. */
static bool set_waiting(ga_waitgroup_t *group)
{
    uint64_t state = look(group);
    while (counter(state) != 0)
        if (state & WAITING ||
            __atomic_compare_exchange_n(&group->ga_state, &state, state | WAITING, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
            return true;
    return false;
}

/* The context ended: the last to give up leaves the state as if nobody had waited. */
static void give_up(ga_waitgroup_t *group)
{
    struct sema_bucket *bucket = sema_acquire_bucket(group);
    if (!sema_first(bucket, group))
        clear_waiting(group);
    sema_release_bucket(bucket);
}

/* Whether the counter came to zero. */
static bool wait_as(ga_waitgroup_t *group, struct sema_wait *wait)
{
    struct sema_bucket *bucket = sema_acquire_bucket(group);
    bool waits = !sema_is_cancelled(wait) && set_waiting(group);
    if (!waits) {
        sema_release_bucket(bucket);
        return !sema_is_cancelled(wait);
    }
    sema_append(bucket, wait);
    sema_park(bucket, wait, park_waitgroup);
    if (!wait->granted)
        give_up(group);
    return wait->granted;
}

GA_NOINLINE static int wait_slow(struct ga_context *context, ga_waitgroup_t *group)
{
    struct sema_wait wait = {.address = group, .waiter = park_self()};
    struct sema_watch watch;
    int error = sema_watch(&watch, context, &wait);
    if (error)
        return error;
    bool done = wait_as(group, &wait);
    sema_unwatch(&watch);
    return done ? 0 : context_error(context);
}

GA_EXPORT int ga_waitgroup_wait_ctx(struct ga_context *context, ga_waitgroup_t *group)
{
    int error = counter(look(group)) == 0 ? 0 : wait_slow(context, group);
    order_after(group);
    return error;
}

GA_EXPORT void ga_waitgroup_wait(ga_waitgroup_t *group)
{
    ga_waitgroup_wait_ctx(NULL, group);
}
