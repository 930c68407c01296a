// SPDX-License-Identifier: MIT
/*
 * fork.c: the runtime over a fork.
 *
 * Place: called by src/libc/fork.c's handlers, before and after the heap's own locks. Calls each
 * file's part.
 *
 * The child has the coroutine that forked and no other one: the others were on threads that the
 * child hasn't got, or waited for those. What they hold stays held, as with the parent's other
 * threads. The procs' queues, the timers and the poller start anew, and nobody waits for a lock any
 * more; the monitor starts with the next use.
 *
 * Locking: starting's, the threads', sched.lock, then the heaps of timers, the stacks', the
 * poller's.
 */
#include "internal.h"
#include "sema.h"

static bool
    frozen; /* by the thread that forks; a runtime that was never started has no locks held */

void coro_lock_for_fork(void)
{
    start_freeze();
    machine_freeze();
    frozen = atomic_load_explicit(&sched.state, memory_order_acquire) != SCHED_NONE;
    if (!frozen)
        return;
    lock_freeze(&sched.lock);
    for (unsigned i = 0; i < procs_made(); i++)
        timers_freeze(sched.procs[i]->timers);
    stack_freeze();
    netpoll_freeze();
}

static void thaw_runtime(void)
{
    netpoll_thaw();
    stack_thaw();
    for (unsigned i = 0; i < procs_made(); i++)
        timers_thaw(sched.procs[i]->timers);
    lock_thaw(&sched.lock);
}

void coro_unlock_after_fork(void)
{
    if (frozen)
        thaw_runtime();
    machine_thaw();
    start_thaw();
}

/* Free stacks of one that somebody else was at are lost to the child. */
static void empty_proc(struct proc *proc, const struct proc *own)
{
    queue_reset(proc);
    timers_reset(proc->timers);
    if (proc->idle || proc == own)
        stack_flush(proc);
    proc->stacks[0] = proc->stacks[1] = (struct batch){.first = NULL};
    proc->started = proc->ended = 0;
    proc->machine = NULL;
    proc->idle = true;
}

static void count_self(const struct machine *self)
{
    bool runs = self && !self->foreign && self->current;
    bool is_coroutine = runs && !(self->current->flags & WAITER_MAIN);
    atomic_store(&sched.foreign_started, is_coroutine && !self->current->daemon);
    atomic_store(&sched.foreign_ended, 0);
    atomic_store(&sched.daemons, is_coroutine && self->current->daemon);
    sched.main = runs && !is_coroutine ? self->current : NULL;
}

static void empty_lists(void)
{
    sched.first = sched.last = NULL;
    atomic_store(&sched.queued, 0);
    sched.idle_procs = NULL;
    atomic_store(&sched.idle_proc_count, 0);
    sched.idle_machines = NULL;
    sched.idle_machine_count = sched.waiting_machines = sched.spare_machines = 0;
    atomic_store(&sched.spinning, 0);
    atomic_store(&sched.wakers, 0);
    atomic_store(&sched.watcher, NULL);
    atomic_store(&sched.watch_until, INT64_MAX);
    atomic_store(&sched.foreign_parked, 0);
}

static void list_procs(struct machine *self)
{
    struct proc *own = self && !self->foreign ? machine_proc(self) : NULL;
    for (unsigned i = sched.procs_made; i-- > 0;)
        empty_proc(sched.procs[i], own);
    if (own) {
        own->idle = false;
        own->machine = self;
    }
    for (unsigned i = sched.procs_made; i-- > 0;)
        if (sched.procs[i] != own)
            sched_put_idle_proc(sched.procs[i]);
}

void coro_reset_in_child(void)
{
    struct machine *self = machine_self();
    start_reset();
    machine_reset();
    if (!frozen && !machine_any())
        return; /* as most processes: the tables' pages stay untouched */
    sema_reset();
    mutex_reset();
    park_forked = true;
    sched.forks++;
    if (self) {
        if (self->current) /* none: a signal's handler has forked, on an idle machine */
            self->current->forks = sched.forks;
        atomic_store(&self->retaking, false); /* the monitor was about to, in the parent */
    }
    if (!frozen)
        return;
    lock_reset(&sched.lock);
    stack_reset();
    netpoll_reset();
    help_reset();
    empty_lists();
    machine_list_alone();
    scope_reset();
    list_procs(self);
    count_self(self);
    monitor_reset();
    atomic_store(&sched.state, SCHED_FORKED);
}
