// SPDX-License-Identifier: MIT
/*
 * run_queue.h: what the owner of a proc does to its queue at every switch; the rest is queue.c,
 * which also says how it works.
 */
#ifndef GOALLOC_CORO_RUN_QUEUE_H
#define GOALLOC_CORO_RUN_QUEUE_H

#include "internal.h"

/* --- run_next, and its lock --- */

/* The owner; not inside on return. */
void queue_wait_for_thief(struct run_next *slot);

/* The owner. */
GA_INLINE void run_next_enter(struct run_next *slot)
{
    atomic_store_explicit(&slot->busy, true, memory_order_relaxed);
    sched_fence();
    /* Acquire: what the last thief did is seen. */
    if (GA_UNLIKELY(atomic_load_explicit(&slot->thief, memory_order_acquire)))
        queue_wait_for_thief(slot);
}

GA_INLINE void run_next_leave(struct run_next *slot)
{
    /* Release: a thief sees what the owner did. */
    atomic_store_explicit(&slot->busy, false, memory_order_release);
}

/* Lock held: nothing but that orders it. */
GA_INLINE struct waiter *run_next_exchange(struct run_next *slot, struct waiter *waiter)
{
    struct waiter *before = atomic_load_explicit(&slot->waiter, memory_order_relaxed);
    atomic_store_explicit(&slot->waiter, waiter, memory_order_relaxed);
    return before;
}

/* The owner. */
GA_INLINE struct waiter *run_next_replace(struct run_next *slot, struct waiter *waiter)
{
    run_next_enter(slot);
    struct waiter *before = run_next_exchange(slot, waiter);
    run_next_leave(slot);
    return before;
}

GA_INLINE struct waiter *queue_next(const struct proc *proc)
{
    return atomic_load_explicit(&proc->run_next.waiter, memory_order_relaxed);
}

/* --- The ring --- */

/* The older half and `waiter` to the global queue. false: thieves were quicker, there is room. */
bool queue_overflow(struct run_queue *queue, struct waiter *waiter, unsigned head);

GA_INLINE void queue_push(struct proc *proc, struct waiter *waiter)
{
    struct run_queue *queue = &proc->queue;
    for (;;) {
        /* Acquire: what takers read of the slots came before they moved head. */
        unsigned head = atomic_load_explicit(&queue->head, memory_order_acquire);
        unsigned tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
        if (GA_LIKELY(tail - head < QUEUE_SIZE)) {
            atomic_store_explicit(&queue->slots[tail % QUEUE_SIZE], waiter, memory_order_relaxed);
            /* Release: a taker that sees the new tail sees the slot and the coroutine. */
            atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
            return;
        }
        if (queue_overflow(queue, waiter, head))
            return;
    }
}

/* To run before all others; the one that was to do so is the last now. Whether there was one. */
GA_INLINE bool queue_push_next(struct proc *proc, struct waiter *waiter)
{
    struct waiter *before = run_next_replace(&proc->run_next, waiter);
    if (!before)
        return false;
    queue_push(proc, before);
    return true;
}

/* Where there are no thieves. NULL: there are by now. The ring is not empty. */
GA_INLINE struct waiter *queue_pop_alone(struct proc *proc)
{
    struct run_queue *queue = &proc->queue;
    struct waiter *waiter = NULL;
    run_next_enter(&proc->run_next);
    if (GA_LIKELY(GA_LOAD_ANY(sched.alone))) {
        unsigned head = atomic_load_explicit(&queue->head, memory_order_relaxed);
        waiter = atomic_load_explicit(&queue->slots[head % QUEUE_SIZE], memory_order_relaxed);
        atomic_store_explicit(&queue->head, head + 1, memory_order_relaxed);
    }
    run_next_leave(&proc->run_next);
    return waiter;
}

/* Whether or not there is a run_next. */
GA_INLINE struct waiter *queue_pop_first(struct proc *proc)
{
    struct run_queue *queue = &proc->queue;
    unsigned head = atomic_load_explicit(&queue->head, memory_order_acquire);
    for (;;) {
        unsigned tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
        if (tail == head)
            return NULL;
        if (GA_LOAD_ANY(sched.alone)) {
            struct waiter *mine = queue_pop_alone(proc);
            if (GA_LIKELY(mine != NULL))
                return mine;
            continue;
        }
        struct waiter *waiter =
            atomic_load_explicit(&queue->slots[head % QUEUE_SIZE], memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(&queue->head, &head, head + 1,
                                                  memory_order_acq_rel, memory_order_acquire))
            return waiter;
    }
}

/* run_next first. */
GA_INLINE struct waiter *queue_pop(struct proc *proc)
{
    struct waiter *next = queue_next(proc) ? run_next_replace(&proc->run_next, NULL) : NULL;
    return next ? next : queue_pop_first(proc);
}

#endif
