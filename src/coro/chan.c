// SPDX-License-Identifier: MIT
/*
 * chan.c: channels: making, sending, receiving, closing.
 *
 * Place: called by programs through goalloc/chan.h, and by select.c and context.c. Calls park.h to
 * wait and wake, coro_alloc for memory.
 *
 * An element goes straight from the sender to a receiver that waits, into the receiver's own
 * memory; the buffer is touched only if nobody waits. What a waiting sender has is taken from its
 * memory, by way of the buffer's end if there is a buffer, so that the order stays that of sending.
 *
 * Invariants: chan.h; chan_check() looks at them.
 * Locking: the channel's latch, given up before anybody is woken: who is woken may free the
 * channel. Fork and signals: as latch.c.
 */
#include "../os/report.h"
#include "chan.h"
#include "memory.h"

/* --- Making and freeing --- */

GA_NORETURN GA_COLD static void refuse(const char *what, const char *file, int line)
{
    report_fatal("%s, at %s:%d", what, file, line);
}

/* The capacity is at most what the address space holds, so the product doesn't overflow. */
static size_t buffer_size(size_t element_size, long long capacity, const char *file, int line)
{
    if (element_size > GA_ELEMENT_MAX)
        refuse("makechan: element larger than 64 KB", file, line);
    if (capacity < 0 || (unsigned long long)capacity > SIZE_MAX / 4 / GA_ELEMENT_MAX)
        refuse("makechan: size out of range", file, line);
    return element_size * (size_t)capacity;
}

GA_EXPORT struct ga_channel *ga_chan_make(size_t element_size, long long capacity,
                                          bool pointer_free, const char *file, int line)
{
    size_t size = buffer_size(element_size, capacity, file, line);
    struct ga_channel *channel = coro_alloc(sizeof(*channel) + size, !pointer_free);
    if (!channel)
        refuse("makechan: out of memory", file, line);
    channel->element_size = (unsigned)element_size;
    channel->capacity = (size_t)capacity;
    channel->send_at = channel->recv_at = chan_buffer(channel);
    channel->buffer_end = chan_buffer(channel) + size;
    channel->file = file;
    channel->line = line;
    return channel;
}

GA_EXPORT void ga_chan_release(struct ga_channel *channel)
{
    if (!channel)
        return;
    if (queue_first(&channel->receivers) || queue_first(&channel->senders))
        chan_fatal(channel, "free of a channel that somebody waits on");
    coro_free(channel);
}

GA_EXPORT size_t ga_chan_len(const struct ga_channel *channel)
{
    return channel ? chan_count(channel) : 0;
}

GA_EXPORT size_t ga_chan_cap(const struct ga_channel *channel)
{
    return channel ? channel->capacity : 0;
}

void chan_fatal(const struct ga_channel *channel, const char *what)
{
    report_fatal("%s, made at %s:%d", what, channel->file, channel->line);
}

/* --- Waiting --- */

/* After the latch is free somebody else may wake the waiter, and nothing here is touched. */
static bool release_latch(struct waiter *self, void *latch)
{
    (void)self;
    latch_release(latch);
    return true;
}

/* Latch held. Whether an element was handed over; false: the channel was closed. */
static bool wait_in(struct ga_channel *channel, struct queue *queue, void *element,
                    enum park_reason reason)
{
    struct sudog sudog;
    sudog.element = element;
    sudog.waiter = park_self();
    sudog.select = NULL;
    queue_append(queue, &sudog);
    park(release_latch, &channel->latch, reason, channel);
    return sudog.success;
}

static bool stay(struct waiter *self, void *unused)
{
    (void)self;
    (void)unused;
    return true;
}

GA_NORETURN GA_COLD static void wait_for_ever(enum park_reason reason)
{
    for (;;)
        park(stay, NULL, reason, NULL);
}

/* --- Sending --- */

/* Latch held, the buffer not full. */
GA_INLINE void buffer_append(struct ga_channel *channel, const void *element)
{
    chan_copy(channel, channel->send_at, element);
    channel->send_at = chan_next_slot(channel, channel->send_at);
}

GA_INLINE enum chan_result send_locked(struct ga_channel *channel, const void *element)
{
    if (GA_UNLIKELY(chan_is_closed(channel))) {
        latch_release(&channel->latch);
        chan_fatal(channel, "send on closed channel");
    }
    struct sudog *receiver = queue_take(&channel->receivers);
    if (receiver) {
        chan_hand_over(channel, receiver->element, element);
        latch_release(&channel->latch);
        sudog_wake(receiver, true);
        return CHAN_DONE;
    }
    size_t count = chan_count(channel);
    if (count == channel->capacity)
        return CHAN_WAIT;
    buffer_append(channel, element);
    chan_set_count(channel, count + 1);
    latch_release(&channel->latch);
    return CHAN_DONE;
}

enum chan_result chan_send_locked(struct ga_channel *channel, const void *element)
{
    return send_locked(channel, element);
}

/* The sender's element is only read. */
GA_NOINLINE static void send_wait(struct ga_channel *channel, const void *element)
{
    if (!wait_in(channel, &channel->senders, (void *)(uintptr_t)element, park_chan_send))
        chan_fatal(channel, "send on closed channel");
}

GA_EXPORT void ga_chan_send(struct ga_channel *channel, const void *element)
{
    if (GA_UNLIKELY(channel == NULL))
        wait_for_ever(park_nil_send);
    latch_acquire(&channel->latch);
    if (send_locked(channel, element) == CHAN_WAIT)
        send_wait(channel, element);
}

bool chan_would_block_send(const struct ga_channel *channel)
{
    /* A closed channel stays closed: if it is open now, it was open when it was full. */
    bool full =
        channel->capacity == 0
            ? atomic_load_explicit(&channel->receivers.first, memory_order_acquire) == NULL
            : atomic_load_explicit(&channel->count, memory_order_acquire) == channel->capacity;
    return full && !chan_is_closed(channel);
}

GA_EXPORT bool ga_chan_try_send(struct ga_channel *channel, const void *element)
{
    if (!channel || chan_would_block_send(channel))
        return false;
    latch_acquire(&channel->latch);
    if (send_locked(channel, element) == CHAN_DONE)
        return true;
    latch_release(&channel->latch);
    return false;
}

/* --- Receiving --- */

/* Latch held, the buffer not empty. */
GA_INLINE void buffer_take(struct ga_channel *channel, void *element)
{
    chan_hand_over(channel, element, channel->recv_at);
    channel->recv_at = chan_next_slot(channel, channel->recv_at);
}

/* Latch held; a sender waits, so the buffer, if there is one, is full. */
GA_INLINE void take_from_sender(struct ga_channel *channel, struct sudog *sender, void *element)
{
    if (channel->capacity == 0) {
        chan_hand_over(channel, element, sender->element);
        return;
    }
    buffer_take(channel, element);
    buffer_append(channel, sender->element);
}

GA_INLINE enum chan_result recv_locked(struct ga_channel *channel, void *element)
{
    struct sudog *sender = queue_take(&channel->senders);
    if (sender) {
        take_from_sender(channel, sender, element);
        latch_release(&channel->latch);
        sudog_wake(sender, true);
        return CHAN_DONE;
    }
    size_t count = chan_count(channel);
    if (GA_LIKELY(count != 0)) {
        buffer_take(channel, element);
        chan_set_count(channel, count - 1);
        latch_release(&channel->latch);
        return CHAN_DONE;
    }
    if (!chan_is_closed(channel))
        return CHAN_WAIT;
    latch_release(&channel->latch);
    chan_zero(channel, element);
    return CHAN_CLOSED;
}

enum chan_result chan_recv_locked(struct ga_channel *channel, void *element)
{
    return recv_locked(channel, element);
}

GA_NOINLINE static bool recv_wait(struct ga_channel *channel, void *element)
{
    return wait_in(channel, &channel->receivers, element, park_chan_recv);
}

GA_EXPORT bool ga_chan_recv(struct ga_channel *channel, void *element)
{
    if (GA_UNLIKELY(channel == NULL))
        wait_for_ever(park_nil_recv);
    latch_acquire(&channel->latch);
    enum chan_result result = recv_locked(channel, element);
    return result == CHAN_DONE || (result == CHAN_WAIT && recv_wait(channel, element));
}

bool chan_would_block_recv(const struct ga_channel *channel)
{
    bool empty = channel->capacity == 0
                     ? atomic_load_explicit(&channel->senders.first, memory_order_acquire) == NULL
                     : atomic_load_explicit(&channel->count, memory_order_acquire) == 0;
    return empty && !chan_is_closed(channel);
}

GA_EXPORT int ga_chan_try_recv(struct ga_channel *channel, void *element)
{
    if (!channel || chan_would_block_recv(channel))
        return 0;
    latch_acquire(&channel->latch);
    enum chan_result result = recv_locked(channel, element);
    if (result == CHAN_WAIT)
        latch_release(&channel->latch);
    return result == CHAN_DONE ? 1 : result == CHAN_CLOSED ? -1 : 0;
}

/* --- Closing --- */

/* Receivers that are taken for one hold of the latch: others look for it meanwhile. */
#define CLOSED_AT_ONCE 256

/* Latch held. `first`, if there is one, and those that wait before others in a queue, linked by
 * `next`. */
static struct sudog *take_some(struct queue *queue, struct sudog *first, size_t most)
{
    struct sudog *some = first, **end = first ? &first->next : &some;
    for (struct sudog *sudog; most > 0 && (sudog = queue_take(queue)); most--) {
        *end = sudog;
        end = &sudog->next;
    }
    *end = NULL;
    return some;
}

static void wake_receivers(const struct ga_channel *channel, struct sudog *receivers)
{
    for (struct sudog *next, *sudog = receivers; sudog; sudog = next) {
        next = sudog->next;
        chan_zero(channel, sudog->element);
        sudog_wake(sudog, false);
    }
}

static void wake_senders(struct sudog *senders)
{
    for (struct sudog *next, *sudog = senders; sudog; sudog = next) {
        next = sudog->next;
        sudog_wake(sudog, false);
    }
}

/*
 * From the first release of the latch on everyone finds it closed: nobody comes to wait any more.
 * Those who are woken may free the channel once they all were. So its latch is only taken again for
 * one that has been taken off the queue, and isn't woken yet.
 */
GA_EXPORT void ga_chan_close(struct ga_channel *channel)
{
    if (!channel)
        report_fatal("close of nil channel");
    latch_acquire(&channel->latch);
    if (chan_is_closed(channel)) {
        latch_release(&channel->latch);
        chan_fatal(channel, "close of closed channel");
    }
    /* Release: who sees it closed without the latch sees what came before. */
    atomic_store_explicit(&channel->closed, true, memory_order_release);
    struct sudog *senders = take_some(&channel->senders, NULL, SIZE_MAX), *next = NULL;
    for (;;) {
        struct sudog *receivers = take_some(&channel->receivers, next, CLOSED_AT_ONCE);
        next = queue_take(&channel->receivers);
        latch_release(&channel->latch);
        wake_receivers(channel, receivers);
        if (!next)
            break;
        latch_acquire(&channel->latch);
    }
    wake_senders(senders);
}

/* --- Checking --- */

static bool queue_check(const struct queue *queue, bool *selects)
{
    const struct sudog *previous = NULL;
    *selects = false;
    for (const struct sudog *sudog = queue_first(queue); sudog; sudog = sudog->next) {
        if (!sudog->queued || sudog->previous != previous)
            return false;
        *selects |= sudog->select != NULL;
        previous = sudog;
    }
    return queue->last == previous;
}

/* Bytes from recv_at to send_at, round the buffer. */
static size_t distance(const struct ga_channel *channel)
{
    size_t size = channel->capacity * channel->element_size;
    return channel->send_at >= channel->recv_at
               ? (size_t)(channel->send_at - channel->recv_at)
               : size - (size_t)(channel->recv_at - channel->send_at);
}

bool chan_check(const struct ga_channel *channel)
{
    size_t count = chan_count(channel), capacity = channel->capacity;
    bool no_receivers = queue_first(&channel->receivers) == NULL;
    bool no_senders = queue_first(&channel->senders) == NULL;
    bool receivers_select, senders_select;
    return count <= capacity &&
           (distance(channel) == count * channel->element_size ||
            (count == capacity && distance(channel) == 0)) &&
           queue_check(&channel->receivers, &receivers_select) &&
           queue_check(&channel->senders, &senders_select) && (no_receivers || count == 0) &&
           (no_senders || count == capacity) &&
           (no_receivers || no_senders || receivers_select || senders_select) &&
           (!chan_is_closed(channel) || (no_receivers && no_senders));
}
