// SPDX-License-Identifier: MIT
/*
 * queue.c: the queues of runnable coroutines: one a proc, and a global one.
 *
 * Place: called by sched.c. Calls nothing but sched.lock.
 *
 * A proc's queue is a ring of 256 with a slot before it, run_next, for whoever was made ready last.
 * The owner appends without a read-modify-write; owner and thieves take from the front by
 * compare-and-swap. Half of a ring that overflows goes to the global queue.
 *
 * Invariants: a coroutine is on one queue at most, and its stack is saved when it gets there; head
 * and tail only grow, tail - head is at most QUEUE_SIZE. Locking: sched.lock for the global queue.
 */
#include "internal.h"

/* --- A proc's own --- */

/* The older half and `waiter` to the global queue. false: thieves were quicker, there is room. */
GA_NOINLINE static bool overflow(struct run_queue *queue, struct waiter *waiter, unsigned head)
{
    struct waiter *first = NULL, *last = NULL;
    unsigned count = QUEUE_SIZE / 2;
    struct waiter *batch[QUEUE_SIZE / 2];
    for (unsigned i = 0; i < count; i++)
        batch[i] =
            atomic_load_explicit(&queue->slots[(head + i) % QUEUE_SIZE], memory_order_relaxed);
    /* Release: the slots are read before the owner may write them again. */
    if (!atomic_compare_exchange_strong_explicit(&queue->head, &head, head + count,
                                                 memory_order_release, memory_order_relaxed))
        return false;
    first = batch[0];
    for (unsigned i = 0; i + 1 < count; i++)
        batch[i]->next = batch[i + 1];
    last = batch[count - 1];
    last->next = waiter;
    queue_global_push_list(first, waiter, count + 1);
    return true;
}

void queue_push(struct proc *proc, struct waiter *waiter)
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
        if (overflow(queue, waiter, head))
            return;
    }
}

struct waiter *queue_pop(struct proc *proc)
{
    struct run_queue *queue = &proc->queue;
    unsigned head = atomic_load_explicit(&queue->head, memory_order_acquire);
    for (;;) {
        unsigned tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
        if (tail == head)
            return NULL;
        struct waiter *waiter =
            atomic_load_explicit(&queue->slots[head % QUEUE_SIZE], memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(&queue->head, &head, head + 1,
                                                  memory_order_acq_rel, memory_order_acquire))
            return waiter;
    }
}

bool queue_is_empty(const struct proc *proc)
{
    return atomic_load_explicit(&proc->queue.head, memory_order_acquire) ==
               atomic_load_explicit(&proc->queue.tail, memory_order_acquire) &&
           atomic_load_explicit(&proc->run_next, memory_order_acquire) == NULL;
}

/* --- Stealing --- */

/*
 * A proc's run_next is about to run there, as a rule: to take it would have two processors fight
 * for a pair that talks to each other. So only if it still waits after a moment.
 */
static struct waiter *steal_run_next(struct proc *victim)
{
    struct waiter *waiter = atomic_load_explicit(&victim->run_next, memory_order_acquire);
    unsigned tick = atomic_load_explicit(&victim->tick, memory_order_relaxed);
    if (!waiter)
        return NULL;
    for (int i = 0; i < 100; i++)
        GA_CPU_RELAX();
    if (atomic_load_explicit(&victim->tick, memory_order_relaxed) != tick ||
        !atomic_compare_exchange_strong_explicit(&victim->run_next, &waiter, NULL,
                                                 memory_order_acq_rel, memory_order_relaxed))
        return NULL;
    GA_STORE_ANY(victim->eager, true);
    return waiter;
}

/* Copies half of the victim's into the slots behind proc's tail. How many. */
static unsigned grab(struct proc *proc, struct proc *victim)
{
    struct run_queue *from = &victim->queue, *to = &proc->queue;
    unsigned at = atomic_load_explicit(&to->tail, memory_order_relaxed);
    for (;;) {
        unsigned head = atomic_load_explicit(&from->head, memory_order_acquire);
        unsigned tail = atomic_load_explicit(&from->tail, memory_order_acquire);
        unsigned count = tail - head;
        count -= count / 2;
        if (count == 0)
            return 0;
        if (count > QUEUE_SIZE / 2)
            continue; /* head and tail were of different moments */
        for (unsigned i = 0; i < count; i++) {
            struct waiter *waiter =
                atomic_load_explicit(&from->slots[(head + i) % QUEUE_SIZE], memory_order_relaxed);
            atomic_store_explicit(&to->slots[(at + i) % QUEUE_SIZE], waiter, memory_order_relaxed);
        }
        if (atomic_compare_exchange_strong_explicit(&from->head, &head, head + count,
                                                    memory_order_acq_rel, memory_order_relaxed))
            return count;
    }
}

/* proc's own queue is empty. */
struct waiter *queue_steal(struct proc *proc, struct proc *victim, bool run_next_too)
{
    unsigned count = grab(proc, victim);
    if (count == 0)
        return run_next_too ? steal_run_next(victim) : NULL;
    unsigned tail = atomic_load_explicit(&proc->queue.tail, memory_order_relaxed);
    struct waiter *last = atomic_load_explicit(&proc->queue.slots[(tail + count - 1) % QUEUE_SIZE],
                                               memory_order_relaxed);
    atomic_store_explicit(&proc->queue.tail, tail + count - 1, memory_order_release);
    return last;
}

/* --- The global queue --- */

void queue_global_push_list(struct waiter *first, struct waiter *last, unsigned count)
{
    last->next = NULL;
    lock_acquire(&sched.lock);
    if (sched.last)
        sched.last->next = first;
    else
        sched.first = first;
    sched.last = last;
    /* Relaxed: readers without the lock take it as a hint, and check again under the lock. */
    atomic_store_explicit(&sched.queued,
                          atomic_load_explicit(&sched.queued, memory_order_relaxed) + count,
                          memory_order_relaxed);
    lock_release(&sched.lock);
}

void queue_global_push(struct waiter *waiter)
{
    queue_global_push_list(waiter, waiter, 1);
}

/* Lock held. */
static struct waiter *global_pop(void)
{
    struct waiter *waiter = sched.first;
    if (!waiter)
        return NULL;
    sched.first = waiter->next;
    if (!sched.first)
        sched.last = NULL;
    atomic_store_explicit(&sched.queued,
                          atomic_load_explicit(&sched.queued, memory_order_relaxed) - 1,
                          memory_order_relaxed);
    return waiter;
}

/* proc's queue has room for half of its size: it is empty, or share is 1. */
struct waiter *queue_global_pop(struct proc *proc)
{
    if (atomic_load_explicit(&sched.queued, memory_order_relaxed) == 0)
        return NULL;
    struct waiter *batch[QUEUE_SIZE / 2];
    unsigned taken = 0;
    lock_acquire(&sched.lock);
    struct waiter *first = global_pop();
    unsigned share = atomic_load_explicit(&sched.queued, memory_order_relaxed) /
                     atomic_load_explicit(&sched.proc_count, memory_order_relaxed);
    if (share > QUEUE_SIZE / 2)
        share = QUEUE_SIZE / 2;
    if (!queue_is_empty(proc))
        share = 0;
    while (taken < share)
        batch[taken++] = global_pop();
    lock_release(&sched.lock);
    for (unsigned i = 0; i < taken; i++)
        queue_push(proc, batch[i]);
    return first;
}
