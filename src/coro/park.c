// SPDX-License-Identifier: MIT
/*
 * park.c: park.h for coroutines and for plain threads, and what programs call of it.
 *
 * Place: channels, sync, timers and I/O park here. Calls sched.c; for plain threads the futex.
 *
 * Invariants: a coroutine that returns from park is on the machine that the switch came back with,
 * never the one that it left; nothing of a thread is kept in a variable across it.
 * Locking: none held here; a caller's lock is released by its commit.
 */
#include <errno.h>
#include <goalloc/coro.h>

#include "internal.h"

/* What spins before it sleeps: a few hundred nanoseconds. */
#define THREAD_SPINS 100
#define SPIN_ROUNDS  4u

const char *const park_reason_texts[park_reason_count] = {
    [park_none] = "running",
    [park_chan_send] = "chan send",
    [park_chan_recv] = "chan receive",
    [park_nil_send] = "chan send (nil chan)",
    [park_nil_recv] = "chan receive (nil chan)",
    [park_select] = "select",
    [park_select_empty] = "select (no cases)",
    [park_mutex] = "sync.Mutex.Lock",
    [park_rwmutex_r] = "sync.RWMutex.RLock",
    [park_rwmutex_w] = "sync.RWMutex.Lock",
    [park_waitgroup] = "sync.WaitGroup.Wait",
    [park_cond] = "sync.Cond.Wait",
    [park_semaphore] = "semacquire",
    [park_once] = "sync.Once.Do",
    [park_context] = "context",
    [park_sleep] = "sleep",
    [park_io] = "IO wait",
    [park_scope] = "scope wait",
    [park_wait_all] = "wait all",
    [park_finished] = "finished",
};

const char *park_reason_text(enum park_reason reason)
{
    return reason < park_reason_count && park_reason_texts[reason] ? park_reason_texts[reason]
                                                                   : "waiting";
}

struct waiter *park_self(void)
{
    return machine_attached()->current;
}

void *park_gift(const struct waiter *self)
{
    return self->gift;
}

bool park_forked;

bool park_is_gone(const struct waiter *waiter)
{
    return waiter->forks != sched.forks;
}

void park_set_gift(struct waiter *waiter, void *gift)
{
    waiter->gift = gift;
}

uint64_t park_id(const struct waiter *waiter)
{
    return waiter->id;
}

static void say_why(struct waiter *self, enum park_reason reason, const void *object)
{
    self->reason = (uint8_t)reason;
    self->object = object;
    self->since = atomic_load_explicit(&sched.clock, memory_order_relaxed);
    waiter_set_status(self, WAITER_WAITING);
}

/* It counts as asleep once all is done that may wake it: what it waits for may be a timer that it
 * starts itself. Who wakes it may take it off the count before it is on. */
static void park_thread(struct waiter *self, park_commit *commit, void *argument)
{
    atomic_store_explicit(&self->word, THREAD_WAITS, memory_order_relaxed);
    if (commit && !commit(self, argument)) {
        waiter_set_status(self, WAITER_RUNNING);
        return;
    }
    atomic_fetch_add(&sched.foreign_parked, 1);
    unsigned waits = THREAD_WAITS;
    for (int i = 0; i < THREAD_SPINS; i++) {
        if (atomic_load_explicit(&self->word, memory_order_acquire) == THREAD_READY)
            break;
        GA_CPU_RELAX();
    }
    if (sched_started() && atomic_load_explicit(&self->word, memory_order_acquire) == THREAD_WAITS)
        deadlock_check();
    /* Acquire: where it was made ready meanwhile, the waker's writes are seen. */
    if (atomic_compare_exchange_strong_explicit(&self->word, &waits, THREAD_SLEEPS,
                                                memory_order_acquire, memory_order_acquire))
        while (atomic_load_explicit(&self->word, memory_order_acquire) != THREAD_READY)
            os_futex_wait(&self->word, THREAD_SLEEPS);
    waiter_set_status(self, WAITER_RUNNING);
}

void park(park_commit *commit, void *argument, enum park_reason reason, const void *object)
{
    struct machine *machine = machine_self();
    if (GA_UNLIKELY(!machine))
        machine = machine_attached();
    struct waiter *self = machine->current;
    if (GA_UNLIKELY(machine->foreign)) {
        say_why(self, reason, object);
        park_thread(self, commit, argument);
        order_after(self);
        return;
    }
    machine_enter(machine);
    say_why(self, reason, object);
    machine = sched_leave(machine, commit, argument);
    machine_leave(machine, false);
    order_after(self);
}

void park_ready(struct waiter *waiter)
{
    order_before(waiter);
    sched_ready(machine_self(), waiter);
}

void park_yield(void)
{
    struct machine *machine = machine_self();
    if (GA_UNLIKELY(!machine || machine->foreign)) {
        os_yield();
        return;
    }
    machine_enter(machine);
    machine = sched_leave(machine, sched_push_tail, NULL);
    machine_leave(machine, false);
}

bool park_can_spin(unsigned iteration)
{
    struct machine *machine = machine_self();
    if (!machine || machine->foreign || iteration >= SPIN_ROUNDS)
        return false;
    unsigned procs = atomic_load_explicit(&sched.proc_count, memory_order_relaxed);
    unsigned still = atomic_load_explicit(&sched.idle_proc_count, memory_order_relaxed) +
                     atomic_load_explicit(&sched.spinning, memory_order_relaxed);
    bool was = machine_enter(machine);
    struct proc *proc = machine_proc(machine);
    bool queued = !proc || !queue_is_empty(proc);
    machine_leave(machine, was);
    return procs > 1 && procs > still + 1 && !queued;
}

/* --- For programs --- */

GA_EXPORT void ga_yield(void)
{
    park_yield();
}

/* A function of its own, and nothing that a compiler could take for constant. */
GA_EXPORT GA_NOINLINE int *ga_errno(void)
{
    int *address = __errno_location();
    __asm__ volatile("" : "+r"(address)::"memory");
    return address;
}

GA_EXPORT uint64_t ga_self(void)
{
    struct machine *machine = machine_self();
    return machine ? machine->current->id : 0;
}

GA_EXPORT void ga_set_name(const char *name)
{
    machine_attached()->current->name = name;
}

GA_EXPORT void ga_lock_os_thread(void)
{
    struct machine *machine = machine_attached();
    struct waiter *self = machine->current;
    if (machine->foreign || self->pins++ > 0)
        return;
    machine_enter(machine);
    self->pinned = machine;
    machine_pin(machine, self);
    machine_leave(machine, false);
}

GA_EXPORT void ga_unlock_os_thread(void)
{
    struct machine *machine = machine_attached();
    struct waiter *self = machine->current;
    if (machine->foreign || self->pins == 0 || --self->pins > 0)
        return;
    machine_enter(machine);
    self->pinned = NULL;
    machine_pin(machine, NULL);
    machine_leave(machine, false);
}
