// SPDX-License-Identifier: MIT
/*
 * spawn.c: a coroutine's beginning and end.
 *
 * Place: ga_go's macro calls ga_go_start; coro_start, where a first switch arrives, calls
 * coro_begin. Calls stack.c for the stack and sched.c to have it run.
 *
 * Invariants: what is refused leaves nothing behind, and errno says why; a coroutine that ends is
 * counted before its stack can be taken by another. Locking: none.
 */
#include <errno.h>

#include "frame.h"
#include "run_queue.h"
#include "stack.h"
#include "unwinding.h"

#define IDS_AT_ONCE 16u

typedef void entry(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

/* --- Beginning --- */

static uint64_t next_id(struct proc *proc)
{
    if (!proc)
        return 1 + atomic_fetch_add_explicit(&sched.last_id, 1, memory_order_relaxed);
    if (GA_UNLIKELY(proc->next_id == proc->last_id)) {
        proc->next_id =
            1 + atomic_fetch_add_explicit(&sched.last_id, IDS_AT_ONCE, memory_order_relaxed);
        proc->last_id = proc->next_id + IDS_AT_ONCE;
    }
    return proc->next_id++;
}

static void count_started(const struct waiter *waiter, struct proc *proc)
{
    if (waiter->daemon)
        atomic_fetch_add_explicit(&sched.daemons, 1, memory_order_relaxed);
    else if (proc)
        count_up(&proc->started);
    else
        atomic_fetch_add_explicit(&sched.foreign_started, 1, memory_order_relaxed);
}

static void prepare(struct waiter *waiter, struct proc *proc, const struct waiter *creator)
{
    waiter->id = next_id(proc);
    waiter->creator = creator ? creator->id : 0; /* none: a timer started it */
    waiter->forks = sched.forks;
    waiter->gift = NULL;
    waiter->saved_errno = 0;
    waiter->flags = 0;
    waiter->pins = 0;
    waiter->obeys_mode = false;
    waiter->pinned = NULL;
    waiter->cxx = (struct cxx_globals){0};
    frame_make(waiter);
}

static bool is_bad(const struct ga_go_options *options, void (*function)(void))
{
    return !function ||
           (options && options->stack_size > 0 && !stack_size_is_allowed(options->stack_size));
}

static void apply(struct waiter *waiter, const struct ga_go_options *options)
{
    waiter->name = options ? options->name : NULL;
    waiter->daemon = options && options->daemon;
    waiter->starts_pinned = options && options->pinned;
}

/* Without a proc: from a thread that runs no coroutines. */
static void start_from_thread(struct waiter *waiter)
{
    waiter_set_status(waiter, WAITER_RUNNABLE);
    queue_global_push(waiter);
    sched_wake_idle();
}

static void start(struct proc *proc, struct waiter *waiter)
{
    order_before(waiter);
    count_started(waiter, proc);
    if (GA_UNLIKELY(!proc || sched.migrate)) {
        start_from_thread(waiter);
        return;
    }
    waiter_set_status(waiter, WAITER_RUNNABLE);
    queue_push_next(proc, waiter);
    if (GA_UNLIKELY(atomic_load(&sched.idle_proc_count) > 0))
        sched_wake_idle();
}

static int refuse(int error)
{
    errno = error;
    return -1;
}

GA_EXPORT int ga_go_start(const struct ga_site *site, const struct ga_go_options *options,
                          struct ga_scope *scope, void (*function)(void), uintptr_t a, uintptr_t b,
                          uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f)
{
    if (GA_UNLIKELY(is_bad(options, function)))
        return refuse(EINVAL);
    if (GA_UNLIKELY(!sched_started()) && !sched_start())
        return -1;
    struct machine *machine = machine_attached();
    bool was = machine_enter(machine);
    if (GA_UNLIKELY(!machine_proc(machine)) && !machine->foreign && !was)
        machine = sched_get_proc(machine);
    struct proc *proc = machine_proc(machine);
    struct waiter *waiter = stack_take(proc, options ? options->stack_size : 0);
    if (GA_UNLIKELY(!waiter)) {
        machine_leave(machine, was);
        return -1;
    }
    prepare(waiter, proc, machine->current);
    waiter->function = function;
    waiter->args[0] = a;
    waiter->args[1] = b;
    waiter->args[2] = c;
    waiter->args[3] = d;
    waiter->args[4] = e;
    waiter->args[5] = f;
    waiter->site = site;
    apply(waiter, options);
    waiter->scope = scope;
    if (scope)
        scope_child_starts(scope);
    start(proc, waiter);
    machine_leave(machine, was);
    return 0;
}

/* --- Ending --- */

static void count_ended(const struct waiter *self, struct proc *proc)
{
    /* Release: who sees that it has ended sees whom it started. */
    if (self->daemon)
        atomic_fetch_sub_explicit(&sched.daemons, 1, memory_order_relaxed);
    else if (proc)
        __atomic_store_n(&proc->ended, proc->ended + 1, __ATOMIC_RELEASE);
    else
        atomic_fetch_add_explicit(&sched.foreign_ended, 1, memory_order_release);
}

/* On the next one's stack: this one is free. */
static bool bury(struct waiter *self, void *machine)
{
    struct proc *proc = machine_proc(machine);
    count_ended(self, proc);
    stack_give(proc, self);
    if (GA_UNLIKELY(!proc)) /* see scope.c, as for the next */
        atomic_thread_fence(memory_order_seq_cst);
    sched_fence();
    if (GA_UNLIKELY(atomic_load_explicit(&sched.wait_all, memory_order_relaxed))) {
        if (!proc)
            sched_barrier();
        scope_check_wait_all(proc);
    }
    return true;
}

GA_NORETURN static void end(void)
{
    struct machine *machine = machine_self();
    struct waiter *self = machine->current;
    machine_enter(machine);
    if (GA_UNLIKELY(self->pins)) {
        self->pinned = NULL;
        machine_pin(machine, NULL);
    }
    order_before(&sched.wait_all);
    if (self->scope)
        scope_child_ended(self->scope);
    waiter_set_status(self, WAITER_NONE);
    sched_leave(machine, bury, machine);
    __builtin_unreachable();
}

__attribute__((used)) void coro_begin(struct machine *machine)
{
    struct waiter *self = machine->current;
    if (GA_UNLIKELY(!self))
        sched_run(machine); /* the first thread's scheduler; it never returns */
    sched_arrive(machine);
    machine_leave(machine, false);
    order_after(self);
    if (GA_UNLIKELY(self->starts_pinned))
        ga_lock_os_thread();
    /* Both ABIs pass words in registers, whether the function takes them or not. */
    ((entry *)self->function)(self->args[0], self->args[1], self->args[2], self->args[3],
                              self->args[4], self->args[5]);
    end();
}

static bool stay(struct waiter *self, void *unused)
{
    (void)self;
    (void)unused;
    return true;
}

/* main's stack is the process's: it just never goes on. */
GA_NORETURN static void end_main(void)
{
    sched.main_ended = true;
    for (;;)
        park(stay, NULL, park_finished, NULL);
}

GA_EXPORT void ga_exit(void)
{
    struct machine *machine = machine_attached();
    if (machine->foreign)
        park_fatal("ga_exit called on a thread that is no coroutine");
    if (machine->current->flags & WAITER_MAIN)
        end_main();
    unwind_all(machine->current, end);
    end();
}

/* --- Counting --- */

uint64_t coro_count_awaited(void)
{
    uint64_t ended = atomic_load_explicit(&sched.foreign_ended, memory_order_acquire), started = 0;
    unsigned made = procs_made();
    /* Those that ended first: one that starts meanwhile counts rather than not. */
    for (unsigned i = 0; i < made; i++)
        ended += __atomic_load_n(&sched.procs[i]->ended, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < made; i++)
        started += __atomic_load_n(&sched.procs[i]->started, __ATOMIC_RELAXED);
    started += atomic_load_explicit(&sched.foreign_started, memory_order_relaxed);
    return started - ended;
}

uint64_t coro_count_living(void)
{
    return coro_count_awaited() + atomic_load_explicit(&sched.daemons, memory_order_relaxed);
}

GA_EXPORT size_t ga_num_coroutines(void)
{
    bool main = sched.main && !sched.main_ended;
    return (size_t)coro_count_living() + main;
}
