// SPDX-License-Identifier: MIT
/*
 * chan.h: a channel as chan.c and select.c see it.
 *
 *   one allocation:  | struct ga_channel | slot 0 | slot 1 | ... | slot capacity-1 |
 *                                        ^buffer       ^recv_at ... ^send_at       ^buffer_end
 *
 * Who waits lies in a queue as a sudog, which is on its own stack: a waiter's stack stays where it
 * is. A select has one in each of its channels' queues.
 *
 * Invariants, whenever the latch is free:
 *   - receivers wait only if the buffer is empty and nobody waits to send;
 *   - senders wait only if the buffer is full and nobody waits to receive;
 *     (to both, the exception is one select that waits at both ends of one channel)
 *   - of a closed channel nobody waits at either end, once whoever closed it has woken them all;
 *   - send_at is recv_at plus count slots, round the buffer;
 *   - a sudog with `queued` set is in exactly one queue of its channel.
 */
#ifndef GOALLOC_CORO_CHAN_H
#define GOALLOC_CORO_CHAN_H

#include <string.h>

#include "goalloc/chan.h"

#include "latch.h"
#include "park.h"

struct select_wait;

/* Somebody who waits at one end of a channel. */
struct sudog {
    struct sudog *next, *previous; /* guarded by the channel's latch */
    void *element;                 /* where to receive to, or what to send; constant while queued */
    struct waiter *waiter;         /* constant */
    struct select_wait *select;    /* NULL: it waits here alone; constant */
    unsigned index;                /* of the case; constant */
    bool queued;                   /* guarded by the channel's latch */
    bool success; /* false: woken by close. The waker's before park_ready, then the waiter's */
};

/* A select that waits. On its stack. */
struct select_wait {
    atomic_uint fired;    /* 0 until one waker has won */
    struct sudog *winner; /* the winner's before park_ready, then the select's */
};

struct queue {
    struct sudog
        *_Atomic first; /* guarded by the latch; read without it by who needs no exact answer */
    struct sudog *last; /* guarded by the latch */
};

struct ga_channel {
    struct latch latch;
    unsigned element_size;   /* constant */
    atomic_bool closed;      /* written under the latch */
    atomic_size_t count;     /* elements in the buffer; written under the latch */
    size_t capacity;         /* constant */
    char *send_at, *recv_at; /* guarded by the latch */
    char *buffer_end;        /* constant */
    struct queue receivers, senders;
    const char *file; /* where it was made; constant */
    int line;         /* constant */
};

GA_INLINE char *chan_buffer(struct ga_channel *channel)
{
    return (char *)(channel + 1);
}

/* --- Elements. The small ones that most channels are of need no call. --- */

GA_INLINE void chan_copy(const struct ga_channel *channel, void *to, const void *from)
{
    if (GA_LIKELY(channel->element_size == sizeof(uint64_t)))
        memcpy(to, from, sizeof(uint64_t));
    else if (GA_LIKELY(channel->element_size == sizeof(uint32_t)))
        memcpy(to, from, sizeof(uint32_t));
    else
        memcpy(to, from, channel->element_size);
}

/* To or from nowhere if NULL. */
GA_INLINE void chan_hand_over(const struct ga_channel *channel, void *to, const void *from)
{
    if (GA_LIKELY(to != NULL))
        chan_copy(channel, to, from);
}

GA_INLINE void chan_zero(const struct ga_channel *channel, void *element)
{
    if (element)
        memset(element, 0, channel->element_size);
}

/* --- What is written under the latch and also read without it: release, so that who reads a count
 * or a queue sees whatever was true before, above all that the channel was closed. --- */

GA_INLINE size_t chan_count(const struct ga_channel *channel)
{
    return atomic_load_explicit(&channel->count, memory_order_relaxed);
}

GA_INLINE void chan_set_count(struct ga_channel *channel, size_t count)
{
    atomic_store_explicit(&channel->count, count, memory_order_release);
}

GA_INLINE bool chan_is_closed(const struct ga_channel *channel)
{
    return atomic_load_explicit(&channel->closed, memory_order_relaxed);
}

GA_INLINE char *chan_next_slot(struct ga_channel *channel, char *slot)
{
    slot += channel->element_size;
    return slot == channel->buffer_end ? chan_buffer(channel) : slot;
}

/* --- Queues. The latch is held. --- */

GA_INLINE struct sudog *queue_first(const struct queue *queue)
{
    return atomic_load_explicit(&queue->first, memory_order_relaxed);
}

GA_INLINE void queue_set_first(struct queue *queue, struct sudog *first)
{
    atomic_store_explicit(&queue->first, first, memory_order_release);
}

GA_INLINE void queue_append(struct queue *queue, struct sudog *sudog)
{
    struct sudog *last = queue->last;
    sudog->next = NULL;
    sudog->previous = last;
    sudog->queued = true;
    if (last)
        last->next = sudog;
    else
        queue_set_first(queue, sudog);
    queue->last = sudog;
}

GA_INLINE void queue_remove(struct queue *queue, struct sudog *sudog)
{
    struct sudog *next = sudog->next, *previous = sudog->previous;
    sudog->queued = false;
    if (previous)
        previous->next = next;
    else
        queue_set_first(queue, next);
    if (next)
        next->previous = previous;
    else
        queue->last = previous;
}

/* Whether this waker is the one that wakes it: another channel of its select may have been first.
 */
GA_INLINE bool sudog_win(struct sudog *sudog)
{
    if (GA_LIKELY(sudog->select == NULL))
        return true;
    unsigned expected = 0;
    /* Relaxed: the latch orders all else, and park_ready the wake. */
    if (!atomic_compare_exchange_strong_explicit(&sudog->select->fired, &expected, 1,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    sudog->select->winner = sudog;
    return true;
}

/* The first that is still to be woken, off the queue; NULL: none. */
GA_INLINE struct sudog *queue_take(struct queue *queue)
{
    for (struct sudog *sudog; GA_UNLIKELY((sudog = queue_first(queue)) != NULL);) {
        queue_remove(queue, sudog);
        if (GA_UNLIKELY(park_forked) && park_is_gone(sudog->waiter))
            continue;
        if (sudog_win(sudog))
            return sudog;
    }
    return NULL;
}

/* Nothing of a sudog may be touched once its waiter is ready. */
GA_INLINE void sudog_wake(struct sudog *sudog, bool success)
{
    struct waiter *waiter = sudog->waiter;
    sudog->success = success;
    park_ready(waiter);
}

/* --- Between chan.c and select.c --- */

enum chan_result {
    CHAN_WAIT,   /* it can't be done at once; the latch is still held */
    CHAN_DONE,   /* the latch is released */
    CHAN_CLOSED, /* of a receive: closed and empty, the element is zeroed; the latch is released */
};

/* With the latch held. Sending on a closed channel ends the process. */
enum chan_result chan_send_locked(struct ga_channel *channel, const void *element);
enum chan_result chan_recv_locked(struct ga_channel *channel, void *element);

/* Without the latch: whether it would have to wait, as of some moment since the call. What is true
 * of a closed channel stays true. */
bool chan_would_block_send(const struct ga_channel *channel);
bool chan_would_block_recv(const struct ga_channel *channel);

GA_NORETURN void chan_fatal(const struct ga_channel *channel, const char *what);

/* Every invariant above that one thread can see, with the latch held. */
bool chan_check(const struct ga_channel *channel);

#endif
