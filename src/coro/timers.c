// SPDX-License-Identifier: MIT
/*
 * timers.c: the heaps of timers, one a proc.
 *
 * Place: whoever owns a timer starts and stops it; sched.c runs what is due. Calls coro_alloc.
 *
 * Each heap is a 4-ary heap in an array, earliest first; a timer knows its heap and its place in
 * it, so that it can be taken out from the middle.
 *
 * Invariants: heap[i].when >= heap[(i - 1) / 4].when; heap[i].timer->position == i; `next` is
 * heap[0].when, or INT64_MAX. A timer is in one heap at most. Fire functions run with no lock held.
 * Locking: each heap's own.
 */
#include "../os/report.h"
#include "internal.h"

#define FIRST_ROOM ((size_t)32)

struct slot {
    int64_t when; /* the timer's, here so that comparing needs no look at it */
    struct timer *timer;
};

struct timers {
    struct lock lock;
    _Atomic(int64_t) next; /* the earliest; written under lock */
    struct slot *heap;     /* guarded by lock, as are the following */
    size_t count;
    size_t room;
};

struct timers *timers_make(void)
{
    struct timers *timers = coro_alloc(sizeof(*timers), true);
    if (timers)
        atomic_store_explicit(&timers->next, INT64_MAX, memory_order_relaxed);
    return timers;
}

int64_t timers_next(const struct timers *timers)
{
    return atomic_load(&timers->next);
}

int64_t timers_next_of_all(void)
{
    unsigned made = procs_made();
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < made; i++) {
        int64_t its = timers_next(sched.procs[i]->timers);
        if (its < next)
            next = its;
    }
    return next;
}

int64_t timer_now(void)
{
    return (int64_t)os_nanotime();
}

int64_t timer_after(int64_t nanoseconds)
{
    int64_t now = timer_now(), when;
    if (nanoseconds <= 0)
        return now;
    return __builtin_add_overflow(now, nanoseconds, &when) ? INT64_MAX - 1 : when;
}

/* --- The heap; lock held --- */

static void place(struct timers *timers, size_t at, struct slot slot)
{
    timers->heap[at] = slot;
    slot.timer->position = at;
}

static void sift_up(struct timers *timers, size_t at, struct slot slot)
{
    while (at > 0) {
        size_t parent = (at - 1) / 4;
        if (timers->heap[parent].when <= slot.when)
            break;
        place(timers, at, timers->heap[parent]);
        at = parent;
    }
    place(timers, at, slot);
}

static size_t earliest_child(const struct timers *timers, size_t at)
{
    size_t first = at * 4 + 1, best = first;
    for (size_t child = first + 1; child < first + 4 && child < timers->count; child++)
        if (timers->heap[child].when < timers->heap[best].when)
            best = child;
    return best;
}

static void sift_down(struct timers *timers, size_t at, struct slot slot)
{
    while (at * 4 + 1 < timers->count) {
        size_t child = earliest_child(timers, at);
        if (timers->heap[child].when >= slot.when)
            break;
        place(timers, at, timers->heap[child]);
        at = child;
    }
    place(timers, at, slot);
}

static void update_next(struct timers *timers)
{
    /* Sequentially consistent: see stop_as_watcher in machine.c. */
    GA_STORE_FIRST(timers->next, timers->count ? timers->heap[0].when : INT64_MAX);
}

static void make_room(struct timers *timers)
{
    if (timers->count < timers->room)
        return;
    size_t room = timers->room ? timers->room * 2 : FIRST_ROOM;
    struct slot *heap = coro_alloc(room * sizeof(*heap), true);
    if (!heap)
        report_fatal("out of memory for %zu timers", room);
    for (size_t i = 0; i < timers->count; i++)
        heap[i] = timers->heap[i];
    coro_free(timers->heap);
    timers->heap = heap;
    timers->room = room;
}

static void insert(struct timers *timers, struct timer *timer)
{
    make_room(timers);
    /* Relaxed: who reads it locks that heap and looks again. */
    atomic_store_explicit(&timer->heap, timers, memory_order_relaxed);
    sift_up(timers, timers->count++, (struct slot){timer->when, timer});
    update_next(timers);
}

static void take_out(struct timers *timers, struct timer *timer)
{
    size_t at = timer->position;
    struct slot last = timers->heap[--timers->count];
    atomic_store_explicit(&timer->heap, NULL, memory_order_relaxed);
    if (at < timers->count) {
        if (at > 0 && timers->heap[(at - 1) / 4].when > last.when)
            sift_up(timers, at, last);
        else
            sift_down(timers, at, last);
    }
    update_next(timers);
}

/* --- Starting and stopping --- */

/* The heap that the timer is in, locked; NULL: it is in none. */
static struct timers *lock_heap_of(struct timer *timer)
{
    for (;;) {
        struct timers *timers = atomic_load_explicit(&timer->heap, memory_order_relaxed);
        if (!timers)
            return NULL;
        lock_acquire(&timers->lock);
        if (atomic_load_explicit(&timer->heap, memory_order_relaxed) == timers)
            return timers;
        lock_release(&timers->lock);
    }
}

/* The caller's proc's; a thread without one takes the first's. */
static struct timers *own_heap(void)
{
    struct machine *machine = machine_attached();
    if (!sched_started() && !sched_start())
        report_fatal("out of memory for a timer");
    bool was = machine_enter(machine);
    struct proc *proc = machine_proc(machine);
    struct timers *timers = proc ? proc->timers : sched.procs[0]->timers;
    machine_leave(machine, was);
    return timers;
}

void timer_start(struct timer *timer)
{
    struct timers *timers = own_heap();
    int64_t when = timer->when;
    order_before(timer->argument);
    lock_acquire(&timers->lock);
    insert(timers, timer);
    bool first = timers->heap[0].timer == timer;
    lock_release(&timers->lock);
    /* The timer may have fired by now. */
    if (!first)
        return;
    sched_wake_watcher(when);
    /* Of a thread that is none of ours, where nobody is at work to find it. */
    if (atomic_load(&sched.watcher) == NULL &&
        atomic_load(&sched.idle_proc_count) >=
            atomic_load_explicit(&sched.proc_count, memory_order_relaxed))
        sched_wake_idle();
}

bool timer_stop(struct timer *timer)
{
    struct timers *timers = lock_heap_of(timer);
    if (!timers)
        return false;
    take_out(timers, timer);
    lock_release(&timers->lock);
    return true;
}

bool timer_reset(struct timer *timer, int64_t when, int64_t period)
{
    bool was_waiting = timer_stop(timer);
    timer->when = when;
    timer->period = period;
    timer_start(timer);
    return was_waiting;
}

/* --- Firing --- */

/* Lock held. Periods that were missed are left out. */
static void go_on(struct timers *timers, struct timer *timer, int64_t now)
{
    if (timer->period <= 0) {
        take_out(timers, timer);
        return;
    }
    timer->when += timer->period * (1 + (now - timer->when) / timer->period);
    sift_down(timers, timer->position, (struct slot){timer->when, timer});
    update_next(timers);
}

bool timers_run(struct timers *timers, int64_t now)
{
    bool any = false;
    if (timers_next(timers) > now)
        return false;
    atomic_fetch_add(&sched.wakers, 1); /* before the first is taken out */
    lock_acquire(&timers->lock);
    while (timers->count > 0 && timers->heap[0].when <= now) {
        struct timer *timer = timers->heap[0].timer;
        void (*fire)(void *) = timer->fire;
        void *argument = timer->argument;
        go_on(timers, timer, now);
        lock_release(&timers->lock);
        order_after(argument);
        fire(argument);
        any = true;
        lock_acquire(&timers->lock);
    }
    lock_release(&timers->lock);
    atomic_fetch_sub(&sched.wakers, 1);
    return any;
}

/* --- Fork --- */

void timers_freeze(struct timers *timers)
{
    lock_freeze(&timers->lock);
}

void timers_thaw(struct timers *timers)
{
    lock_thaw(&timers->lock);
}

void timers_reset(struct timers *timers)
{
    lock_reset(&timers->lock);
    for (size_t i = 0; i < timers->count; i++)
        atomic_store_explicit(&timers->heap[i].timer->heap, NULL, memory_order_relaxed);
    timers->count = 0;
    update_next(timers);
}
