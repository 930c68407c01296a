// SPDX-License-Identifier: MIT
/*
 * sema.c: the table of waiters by address.
 *
 * Place: called by the locks of src/coro (mutex.c and its neighbours). Calls park.h; context.c for
 * waits that a context may end.
 *
 * Invariants:
 *   - a waiter with `queued` set is in the bucket of its address, in the one queue of that address;
 *   - `next_address`, `pointer` and `last` are good in the first waiter of an address only;
 * Locking: a bucket's latch, after any latch of a channel or context. Never two of them.
 * Fork: in the child all buckets are empty and free.
 */
#include "goalloc/sync.h"
#include "sema.h"

#define BUCKETS GA_MUTEX_LINES /* numbered as the lines of mutex.c are */

static struct {
    struct sema_bucket bucket;
    char apart[GA_CACHE_LINE - sizeof(struct sema_bucket)]; /* a line each */
} buckets[BUCKETS] __attribute__((aligned(GA_CACHE_LINE)));

/* Locks lie at multiples of four, often many in a row. */
struct sema_bucket *sema_bucket_of(const void *address)
{
    return &buckets[ga_mutex_line_of(address)].bucket;
}

/* --- Queues --- */

struct sema_wait *sema_first(const struct sema_bucket *bucket, const void *address)
{
    struct sema_wait *wait = bucket->first;
    while (wait && wait->address != address)
        wait = wait->next_address;
    return wait;
}

/* It becomes the first of its address, before `before`: the list is told. */
static void link_address(struct sema_wait **pointer, struct sema_wait *wait,
                         struct sema_wait *next_address)
{
    wait->pointer = pointer;
    wait->next_address = next_address;
    *pointer = wait;
    if (next_address)
        next_address->pointer = &wait->next_address;
}

static void start(struct sema_bucket *bucket, struct sema_wait *wait)
{
    wait->next = wait->previous = NULL;
    wait->last = wait;
    link_address(&bucket->first, wait, bucket->first);
}

void sema_append(struct sema_bucket *bucket, struct sema_wait *wait)
{
    struct sema_wait *first = sema_first(bucket, wait->address);
    wait->queued = true;
    if (!first) {
        start(bucket, wait);
        return;
    }
    wait->next = NULL;
    wait->previous = first->last;
    first->last->next = wait;
    first->last = wait;
}

void sema_prepend(struct sema_bucket *bucket, struct sema_wait *wait)
{
    struct sema_wait *first = sema_first(bucket, wait->address);
    wait->queued = true;
    if (!first) {
        start(bucket, wait);
        return;
    }
    wait->previous = NULL;
    wait->next = first;
    wait->last = first->last;
    first->previous = wait;
    link_address(first->pointer, wait, first->next_address);
}

static void remove_first(struct sema_wait *wait)
{
    struct sema_wait *next = wait->next;
    if (next) {
        next->previous = NULL;
        next->last = wait->last;
        link_address(wait->pointer, next, wait->next_address);
        return;
    }
    *wait->pointer = wait->next_address;
    if (wait->next_address)
        wait->next_address->pointer = wait->pointer;
}

void sema_remove(struct sema_bucket *bucket, struct sema_wait *wait)
{
    wait->queued = false;
    if (!wait->previous) {
        remove_first(wait);
        return;
    }
    wait->previous->next = wait->next;
    if (wait->next)
        wait->next->previous = wait->previous;
    else
        sema_first(bucket, wait->address)->last = wait->previous;
}

static bool release(struct waiter *self, void *bucket)
{
    (void)self;
    sema_release_bucket(bucket);
    return true;
}

void sema_park(struct sema_bucket *bucket, struct sema_wait *wait, enum park_reason reason)
{
    park(release, bucket, reason, wait->address);
}

/* --- Waits that a context may end --- */

/* With the context's latch held. The wait is not over before sema_unwatch has had that latch. */
static void cancel(void *argument)
{
    struct sema_wait *wait = argument;
    struct sema_bucket *bucket = sema_acquire_bucket(wait->address);
    bool wakes = wait->queued;
    atomic_store_explicit(&wait->cancelled, 1, memory_order_relaxed);
    if (wakes) {
        wait->removed = true;
        sema_remove(bucket, wait);
    }
    struct waiter *waiter = wait->waiter;
    sema_release_bucket(bucket);
    if (wakes)
        park_ready(waiter);
}

int sema_watch(struct sema_watch *watch, struct ga_context *context, struct sema_wait *wait)
{
    watch->watch.kind = CONTEXT_WATCH_WAIT;
    watch->watch.fire = cancel;
    watch->watch.argument = wait;
    watch->context = context;
    return context ? context_watch(context, &watch->watch) : 0;
}

void sema_unwatch(struct sema_watch *watch)
{
    if (watch->context)
        context_unwatch(watch->context, &watch->watch);
}

void sema_wake(struct sema_bucket *bucket, struct sema_wait *wait)
{
    struct waiter *waiter = wait->waiter;
    sema_remove(bucket, wait);
    wait->granted = true;
    park_ready(waiter);
}

/* --- Fork --- */

/* Reads first: few buckets ever had a waiter. */
void sema_reset(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct sema_bucket *bucket = &buckets[i].bucket;
        if (bucket->first || latch_is_held(&bucket->latch) || latch_has_waiters(&bucket->latch))
            *bucket = (struct sema_bucket){.first = NULL};
    }
}
