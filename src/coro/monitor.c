// SPDX-License-Identifier: MIT
/*
 * monitor.c: the thread that sees to it that nobody stops the others.
 *
 * Place: started with the runtime. Calls sched.c, stack.c, netpoll.c and report.c.
 *
 * Every millisecond while work waits, every ten while there is none, not at all while everything
 * is idle, it looks at each proc. Where the tick stands still, a coroutine computes, or sits in the
 * kernel. Then, if others could use the proc, it is taken from its machine and given to another: at
 * once if the thread sleeps in the kernel, after 10 ms if it computes. The machine notices at its
 * next call into the runtime, and waits for a proc then. No stack is switched for that.
 *
 * Beside: it runs timers and looks for descriptors where all machines are too busy to, gives back
 * the memory of stacks, prints schedtrace's lines, and does what a signal handler can't.
 *
 * Locking: sched.lock for a moment. Signals: all are blocked in it.
 */
#include <pthread.h>

#include "run_queue.h"

#define MICROSECOND INT64_C(1000)
#define MILLISECOND (1000 * MICROSECOND)
#define SHORTEST    MILLISECOND
#define LONGEST     (10 * MILLISECOND)
#define SLICE       (10 * MILLISECOND)
#define SITS_LONG   (100 * MILLISECOND)
#define TRIM_EVERY  (500 * MILLISECOND)
#define PROVE_EVERY (20 * MILLISECOND)
#define IDLE_ROUNDS 5

static struct {
    atomic_uint wake;   /* futex: counts what woke it */
    atomic_bool asleep; /* without a limit; sequentially consistent */
    atomic_bool dump;   /* by a signal */
    int64_t interval;   /* the thread's own, as are the following */
    int64_t trimmed_at;
    int64_t proved_at;
    int64_t traced_at;
    unsigned idle_rounds;
    struct waiter *stack; /* its own; see thread.c */
} monitor;

static void wake(void)
{
    atomic_fetch_add(&monitor.wake, 1);
    os_futex_wake(&monitor.wake, 1);
}

void monitor_notice(void)
{
    if (GA_UNLIKELY(atomic_load(&monitor.asleep)))
        wake();
}

void monitor_dump(void)
{
    atomic_store(&monitor.dump, true);
    wake();
}

/* --- Taking procs --- */

/* The machine that owns a proc, NULL if none. */
static struct machine *owner_of(const struct proc *proc)
{
    lock_acquire(&sched.lock);
    struct machine *machine = proc->idle ? NULL : proc->machine;
    lock_release(&sched.lock);
    return machine;
}

/* See internal.h: it is outside, and stays there, or we let go. */
static bool take(struct proc *proc, struct machine *machine)
{
    GA_STORE_FIRST(machine->retaking, true);
    sched_barrier();
    /* Acquire: what it did to the proc while it was inside. */
    bool outside = !atomic_load_explicit(&machine->inside, memory_order_acquire) &&
                   machine_proc(machine) == proc;
    if (outside) {
        atomic_store_explicit(&machine->proc, NULL, memory_order_relaxed);
        proc->machine = NULL;
    }
    /* Release: it sees that it has no proc. */
    atomic_store_explicit(&machine->retaking, false, memory_order_release);
    return outside;
}

static bool others_wait(const struct proc *proc)
{
    if (atomic_load_explicit(&sched.queued, memory_order_relaxed) > 0)
        return true;
    for (unsigned i = 0; i < procs_made(); i++)
        if (!queue_is_empty(sched.procs[i]))
            return true;
    (void)proc;
    return false;
}

static bool thread_sleeps(const struct machine *machine)
{
    return os_thread_sleeps(atomic_load_explicit(&machine->thread_id, memory_order_relaxed));
}

static bool is_due(const struct proc *proc, const struct machine *machine, int64_t still)
{
    if (others_wait(proc) || sched_events_wait())
        return still >= SLICE || thread_sleeps(machine);
    return still >= SITS_LONG && thread_sleeps(machine);
}

/* Whether it has stood still since the last look. */
static bool stands_still(struct proc *proc, int64_t now)
{
    unsigned tick = atomic_load_explicit(&proc->tick, memory_order_relaxed);
    struct waiter *next = queue_next(proc);
    bool still =
        atomic_load_explicit(&proc->seen_at, memory_order_relaxed) != 0 && proc->seen_tick == tick;
    bool waits = still && next && proc->seen_next == next;
    if (!still)
        atomic_store_explicit(&proc->seen_at, now, memory_order_relaxed);
    proc->seen_tick = tick;
    proc->seen_next = next;
    if (waits)
        GA_STORE_ANY(proc->eager, true);
    return still;
}

/* Whether somebody waits for what this proc could do. */
static bool look_at(struct proc *proc, int64_t now)
{
    struct machine *machine = owner_of(proc);
    if (!machine || !stands_still(proc, now))
        return false;
    if (!queue_is_empty(proc) && atomic_load(&sched.idle_proc_count) > 0) {
        sched_wake_idle();
        return true;
    }
    int64_t since = atomic_load_explicit(&proc->seen_at, memory_order_relaxed);
    if (since && is_due(proc, machine, now - since) && take(proc, machine))
        sched_hand_off(proc, false);
    return others_wait(proc) || sched_events_wait();
}

static bool look_at_procs(int64_t now)
{
    bool waits = false;
    for (unsigned i = 0; i < procs_made(); i++)
        waits |= look_at(sched.procs[i], now);
    return waits;
}

/* --- What else there is to do --- */

/* Timers that nobody runs in time: their proc's coroutine is in no hurry to let others run. Where
 * they take turns, the proc itself looks soon, and keeps those that wake in their order. */
static bool is_overdue(const struct proc *proc, int64_t now)
{
    bool turns = atomic_load_explicit(&proc->tick, memory_order_relaxed) != proc->seen_tick;
    return timers_next(proc->timers) < now - (turns ? SLICE : 2 * MILLISECOND);
}

static void run_overdue(int64_t now)
{
    for (unsigned i = 0; i < procs_made(); i++)
        if (is_overdue(sched.procs[i], now))
            timers_run(sched.procs[i]->timers, now);
}

static void trim(int64_t now)
{
    if (now - monitor.trimmed_at < TRIM_EVERY)
        return;
    stack_trim();
    monitor.trimmed_at = now;
}

/* Each time it touches all descriptors that somebody waits for, in others' caches. */
static void prove(int64_t now)
{
    if (now - monitor.proved_at < PROVE_EVERY)
        return;
    netpoll_prove();
    monitor.proved_at = now;
}

static void trace(int64_t now)
{
    if (!sched.trace || now - monitor.traced_at < sched.trace * MILLISECOND)
        return;
    report_trace_line();
    monitor.traced_at = now;
}

static bool all_idle(void)
{
    return atomic_load(&sched.idle_proc_count) >=
           atomic_load_explicit(&sched.proc_count, memory_order_relaxed);
}

static void look(void)
{
    int64_t now = timer_now();
    atomic_store_explicit(&sched.clock, now, memory_order_relaxed);
    if (atomic_load(&monitor.dump)) {
        report_all();
        os_exit(2);
    }
    run_overdue(now);
    bool waits = look_at_procs(now);
    netpoll_if_late(now);
    waits |= help_look(now);
    prove(now);
    trim(now);
    trace(now);
    monitor.interval = waits ? SHORTEST : monitor.interval * 2;
    if (monitor.interval > LONGEST)
        monitor.interval = LONGEST;
    if (all_idle())
        deadlock_check(); /* who looked while this woke somebody took it for work */
    monitor.idle_rounds =
        all_idle() && !stack_has_warm() && !netpoll_has_unproved() ? monitor.idle_rounds + 1 : 0;
}

static void rest(void)
{
    unsigned seen = atomic_load(&monitor.wake);
    if (monitor.idle_rounds <= IDLE_ROUNDS || sched.trace) {
        os_futex_wait_for(&monitor.wake, seen, (uint64_t)monitor.interval);
        return;
    }
    GA_STORE_FIRST(monitor.asleep, true);
    if (all_idle() && !netpoll_has_unproved())
        os_futex_wait(&monitor.wake, seen);
    atomic_store(&monitor.asleep, false);
    monitor.idle_rounds = 0;
    monitor.interval = SHORTEST;
}

static void *run(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "goalloc-monitor");
    for (;;) {
        rest();
        look();
    }
    return NULL;
}

bool monitor_start(void)
{
    monitor.interval = SHORTEST;
    monitor.trimmed_at = timer_now();
    atomic_store_explicit(&sched.clock, monitor.trimmed_at, memory_order_relaxed);
    os_block_signals(&sched.blocked);
    bool started = thread_start(&monitor.stack, run, NULL);
    os_restore_signals(&sched.blocked);
    return started;
}

void monitor_reset(void)
{
    thread_forget_stack(&monitor.stack);
    atomic_store(&monitor.asleep, false);
    atomic_store(&monitor.dump, false);
    monitor.idle_rounds = 0;
}
