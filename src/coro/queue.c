// SPDX-License-Identifier: MIT
/*
 * queue.c: the queues of runnable coroutines: one a proc, and a global one.
 *
 * Place: called by sched.c. Calls nothing but sched.lock.
 *
 * A proc's queue is a ring of 256 with a slot before it, run_next, for whoever was made ready last.
 * The owner appends to the ring without a read-modify-write; owner and thieves take from its front
 * by compare-and-swap. Half of a ring that overflows goes to the global queue. Of a proc that is
 * the only one nobody steals: its owner takes without a read-modify-write too, under the lock
 * below, so that a second proc can be made while it does.
 *
 * run_next is the owner's at each wake-up and each wait, and a thief's hardly ever. So it has a
 * lock that is biased: the owner stores `busy`, then looks for a thief; a thief, one at a time by
 * compare-and-swap, stores `thief`, has the kernel make every running thread pass a barrier (some
 * 20 us in a virtual machine), then looks whether the owner is busy. One of the two sees the other.
 * An owner that sees a thief waits for it; a thief that sees an owner at work for long lets go.
 * Where the kernel hasn't got that barrier, sched.fences makes owners pay for one each.
 *
 * Invariants: a coroutine is on one queue at most, and its stack is saved when it gets there; head
 * and tail only grow, tail - head is at most QUEUE_SIZE; run_next changes under its lock only.
 * Locking: run_next's, innermost; sched.lock for the global queue. tests/model/run_next.pml is the
 * former, alone.pml the end of being alone.
 */
#include "run_queue.h"

#define THIEF_LOOKS 100 /* at an owner that is busy */
#define THIEF_PAUSE UINT64_C(20000)
#define OWNER_LOOKS 1000           /* at a thief, before it lets others have the processor */
#define THIEF_WAITS INT64_C(30000) /* nanoseconds, before that */

/* --- A proc's run_next, and its lock --- */

void queue_wait_for_thief(struct run_next *slot)
{
    do {
        /* Release: as run_next_leave(); the thief may be waiting for it. */
        atomic_store_explicit(&slot->busy, false, memory_order_release);
        for (int i = 0; atomic_load_explicit(&slot->thief, memory_order_relaxed); i++) {
            if (i < OWNER_LOOKS)
                GA_CPU_RELAX();
            else /* not just yield: the thief may have a lower priority */
                os_pause(THIEF_PAUSE);
        }
        atomic_store_explicit(&slot->busy, true, memory_order_relaxed);
        sched_fence();
        /* Acquire: what the last thief did is seen. */
    } while (atomic_load_explicit(&slot->thief, memory_order_acquire));
}

/* Anybody else. false: another thief is there, or the owner is busy for long. */
static bool break_in(struct run_next *slot)
{
    bool nobody = false;
    if (!atomic_compare_exchange_strong_explicit(&slot->thief, &nobody, true, memory_order_acquire,
                                                 memory_order_relaxed))
        return false;
    sched_barrier();
    for (int i = 0; i < THIEF_LOOKS; i++) {
        /* Acquire: what the owner did is seen. */
        if (!atomic_load_explicit(&slot->busy, memory_order_acquire))
            return true;
        GA_CPU_RELAX();
    }
    atomic_store_explicit(&slot->thief, false, memory_order_release);
    return false;
}

static void get_out(struct run_next *slot)
{
    /* Release: owner and later thieves see what this one did. */
    atomic_store_explicit(&slot->thief, false, memory_order_release);
}

/* The owner may be in the middle of a pop as of one who is alone; later ones see `alone`. */
void queue_end_alone(struct proc *proc)
{
    GA_STORE_ANY(sched.alone, false);
    while (!break_in(&proc->run_next))
        os_pause(THIEF_PAUSE); /* the owner may have a lower priority */
    get_out(&proc->run_next);
}

/* --- A proc's own --- */

bool queue_overflow(struct run_queue *queue, struct waiter *waiter, unsigned head)
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
    for (unsigned i = 0; i + 1 < count; i++) {
        batch[i]->next = batch[i + 1];
        batch[i]->ahead = batch[i + QUEUE_AHEAD < count ? i + QUEUE_AHEAD : count - 1];
    }
    last = batch[count - 1];
    last->next = waiter;
    queue_global_push_list(first, waiter, count + 1);
    return true;
}

unsigned queue_length(const struct proc *proc)
{
    unsigned head = atomic_load_explicit(&proc->queue.head, memory_order_relaxed);
    return atomic_load_explicit(&proc->queue.tail, memory_order_relaxed) - head;
}

bool queue_ring_is_empty(const struct proc *proc)
{
    return atomic_load(&proc->queue.head) == atomic_load(&proc->queue.tail);
}

bool queue_is_empty(const struct proc *proc)
{
    return queue_ring_is_empty(proc) && !queue_next(proc);
}

/* --- Stealing --- */

/* Whether it still waits after a moment, and neither has its proc switched. */
static bool stays(const struct proc *victim, const struct waiter *next)
{
    unsigned tick = atomic_load_explicit(&victim->tick, memory_order_relaxed);
    int64_t until = timer_now() + THIEF_WAITS;
    do {
        for (int i = 0; i < 10; i++)
            GA_CPU_RELAX();
        if (queue_next(victim) != next ||
            atomic_load_explicit(&victim->tick, memory_order_relaxed) != tick)
            return false;
    } while (timer_now() < until);
    return true;
}

/*
 * A proc's run_next is about to run there, as a rule: to take it would have two processors fight
 * for a pair that talks to each other. And the barrier costs its owner some microseconds too.
 * (After 5 us instead of 30, to start and park 100,000 on two processors took a quarter longer.)
 */
static struct waiter *steal_run_next(struct proc *victim)
{
    struct waiter *next = queue_next(victim), *waiter = NULL;
    if (!next || !stays(victim, next) || !break_in(&victim->run_next))
        return NULL;
    if (queue_next(victim) == next)
        waiter = run_next_exchange(&victim->run_next, NULL);
    get_out(&victim->run_next);
    if (waiter)
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

/* --- Fork --- */

void queue_reset(struct proc *proc)
{
    atomic_store(&proc->queue.head, 0);
    atomic_store(&proc->queue.tail, 0);
    proc->run_next = (struct run_next){.waiter = NULL};
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
    waiter_fetch(waiter->ahead);
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
