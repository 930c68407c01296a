// SPDX-License-Identifier: MIT
/*
 * sema.h: queues of waiters by the address they wait for. What src/coro's locks are made of.
 *
 * A lock is a word or two in the program's memory; who waits for it is kept here, in a table that
 * is the library's. So a lock needs no room for a queue, a zeroed one is ready, and whoever unlocks
 * it touches only the table once the lock may belong to somebody who frees it.
 *
 *   bucket of an address
 *     latch
 *     first --> waiter for A --next--> waiter for A --> waiter for A     in the order of waking
 *                 | next_address
 *                 v
 *               waiter for B --next--> ...
 *
 * The first waiter of an address stands for it in its bucket's list and knows the last.
 */
#ifndef GOALLOC_CORO_SEMA_H
#define GOALLOC_CORO_SEMA_H

#include "context.h"
#include "latch.h"
#include "park.h"

/* On the waiter's stack. Guarded by the bucket's latch, but for what is constant. */
struct sema_wait {
    const void *address;                       /* constant while queued */
    struct waiter *waiter;                     /* constant */
    struct sema_wait *next, *previous;         /* of the same address */
    struct sema_wait *last;                    /* the first one's: of the same address */
    struct sema_wait *next_address, **pointer; /* the first one's: in the bucket's list */
    int64_t since;         /* when it began to wait; the user's of this header */
    unsigned weight;       /* the same */
    atomic_uint cancelled; /* its context has ended; written under the latch, read also without */
    bool queued;
    bool granted; /* what it waits for was given to it; the waker's, then the waiter's */
    bool removed; /* that took it off the queue, and woke it: nobody else did */
};

struct sema_bucket {
    struct latch latch;
    struct sema_wait *first; /* guarded by latch */
};

GA_INLINE bool sema_is_cancelled(const struct sema_wait *wait)
{
    return atomic_load_explicit(&wait->cancelled, memory_order_relaxed) != 0;
}

/* --- The table --- */

struct sema_bucket *sema_bucket_of(const void *address);

GA_INLINE struct sema_bucket *sema_acquire_bucket(const void *address)
{
    struct sema_bucket *bucket = sema_bucket_of(address);
    latch_acquire(&bucket->latch);
    return bucket;
}

GA_INLINE void sema_release_bucket(struct sema_bucket *bucket)
{
    latch_release(&bucket->latch);
}

/* --- With the bucket's latch held --- */

/* The one to be woken next; NULL: nobody waits for it. */
struct sema_wait *sema_first(const struct sema_bucket *bucket, const void *address);
/* Last in its address's queue, or first. Fills in the links. */
void sema_append(struct sema_bucket *bucket, struct sema_wait *wait);
void sema_prepend(struct sema_bucket *bucket, struct sema_wait *wait);
void sema_remove(struct sema_bucket *bucket, struct sema_wait *wait);
/* Takes it off its queue, gives it what it waits for, and wakes it. */
void sema_wake(struct sema_bucket *bucket, struct sema_wait *wait);
/* Waits to be woken; gives the latch up. */
void sema_park(struct sema_bucket *bucket, struct sema_wait *wait, enum park_reason reason);

/* --- Waits that a context may end: on the waiter's stack, from before it takes the bucket's latch
 * for the first time until it has been woken for the last. --- */

struct sema_watch {
    struct ga_context *context; /* NULL: nothing ends the wait */
    struct context_watch watch;
};

/* When the context ends, `cancelled` is set and the waiter leaves its queue and is woken. 0; or the
 * reason, if it has ended already: then nothing is to be unwatched. */
int sema_watch(struct sema_watch *watch, struct ga_context *context, struct sema_wait *wait);
void sema_unwatch(struct sema_watch *watch);

/* --- In a forked child: nobody waits, the waiters' threads are the parent's --- */

void sema_reset(void);
void mutex_reset(void); /* mutex.c's lines */

#endif
