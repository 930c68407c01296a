// SPDX-License-Identifier: MIT
/*
 * sched.c: who runs next, and the way there.
 *
 * Place: park.c and spawn.c leave coroutines and make them runnable; machine.c's threads run
 * sched_run. Calls queue.c, timers.c, netpoll.c and machine.c.
 *
 * A coroutine that leaves switches straight to the next one of its proc's queue. What remains to be
 * done for the one that left (its `commit`) is done by whoever arrives, on that one's stack, since
 * from then on others may run the first. Where nothing is at hand, or the turn of those elsewhere
 * has come, the way leads over the machine's own stack, whose loop finds somebody or sleeps.
 *
 * Waking others: a machine that makes a coroutine runnable wakes somebody only where that is likely
 * to help, since a wake-up takes 5 us, 50 times what a switch takes. So not for one that waits in
 * run_next alone, as a rule: its waker will park soon, and run it. The monitor finds those that
 * wait for long, and marks the proc as `eager`: from then on somebody is woken, until that was in
 * vain.
 *
 * Invariants: a machine without a proc touches no proc's queue; a runnable coroutine is on exactly
 * one queue, or in a machine's hands; a machine that looks for work is counted in sched.spinning,
 * and looks once more after it has stopped being counted. Locking: sched.lock for the idle lists.
 */
#include "frame.h"
#include "run_queue.h"

#define STEAL_ROUNDS 4

struct scheduler sched = {.watch_until = INT64_MAX};

/* --- Procs' owners --- */

void sched_assign(struct machine *machine, struct proc *proc)
{
    proc->machine = machine;
    atomic_store_explicit(&proc->seen_at, 0, memory_order_relaxed);
    proc->looked_at = 0;
    atomic_store_explicit(&machine->proc, proc, memory_order_relaxed);
}

void sched_put_idle_proc(struct proc *proc)
{
    proc->machine = NULL;
    proc->idle = true;
    if (proc->index >= atomic_load_explicit(&sched.proc_count, memory_order_relaxed))
        return; /* not to be used until there may be so many again */
    proc->next_idle = sched.idle_procs;
    sched.idle_procs = proc;
    atomic_fetch_add(&sched.idle_proc_count, 1);
}

struct proc *sched_take_idle_proc(void)
{
    struct proc *proc = sched.idle_procs;
    if (!proc)
        return NULL;
    sched.idle_procs = proc->next_idle;
    proc->idle = false;
    atomic_fetch_sub(&sched.idle_proc_count, 1);
    monitor_notice();
    return proc;
}

static struct proc *drop_proc(struct machine *machine)
{
    struct proc *proc = machine_proc(machine);
    atomic_store_explicit(&machine->proc, NULL, memory_order_relaxed);
    return proc;
}

/* --- Waking others --- */

/* Sequentially consistent, as is all that concerns `spinning`: of a machine that goes to sleep and
 * one that brings work, at least one sees the other. */
void sched_wake_idle(void)
{
    unsigned none = 0;
    if (atomic_load(&sched.idle_proc_count) == 0 || atomic_load(&sched.spinning) != 0 ||
        !atomic_compare_exchange_strong(&sched.spinning, &none, 1))
        return;
    lock_acquire(&sched.lock);
    struct proc *proc = sched_take_idle_proc();
    lock_release(&sched.lock);
    if (!proc) {
        atomic_fetch_sub(&sched.spinning, 1);
        return;
    }
    machine_start(proc, true);
}

/* Whether any proc has somebody queued; a run_next alone is its owner's business. */
static bool work_is_queued(void)
{
    unsigned made = procs_made();
    if (atomic_load_explicit(&sched.queued, memory_order_relaxed) > 0)
        return true;
    for (unsigned i = 0; i < made; i++)
        if (!queue_ring_is_empty(sched.procs[i]))
            return true;
    return false;
}

bool sched_events_wait(void)
{
    return atomic_load(&sched.watcher) == NULL &&
           (netpoll_has_waiters() || timers_next_of_all() != INT64_MAX);
}

void sched_hand_off(struct proc *proc, bool watches)
{
    if (!queue_is_empty(proc) || (!watches && sched_events_wait()) ||
        atomic_load_explicit(&sched.queued, memory_order_relaxed) > 0) {
        machine_start(proc, false);
        return;
    }
    lock_acquire(&sched.lock);
    sched_put_idle_proc(proc);
    lock_release(&sched.lock);
    /* Somebody may have pushed to the global queue, or started a timer, and found nobody idle. */
    if (atomic_load(&sched.queued) > 0)
        sched_wake_idle();
    sched_wake_watcher(timers_next(proc->timers));
}

/* --- Making runnable --- */

static void put_next(struct proc *proc, struct waiter *waiter)
{
    bool more = queue_push_next(proc, waiter);
    if ((more || GA_LOAD_ANY(proc->eager)) && atomic_load(&sched.idle_proc_count) > 0)
        sched_wake_idle();
}

static void ready_thread(struct waiter *waiter)
{
    /* Before it can run on: it no longer counts as asleep. */
    atomic_fetch_add(&sched.wakes, 1);
    atomic_fetch_sub(&sched.foreign_parked, 1);
    if (atomic_exchange_explicit(&waiter->word, THREAD_READY, memory_order_release) ==
        THREAD_SLEEPS)
        os_futex_wake(&waiter->word, 1);
}

/* sched.lock held. To a machine that waits for its pinned coroutine. */
static void give_proc(struct machine *machine, struct proc *proc)
{
    atomic_fetch_add(&sched.wakes, 1);
    sched.waiting_machines--;
    proc->machine = machine;
    atomic_store_explicit(&proc->seen_at, 0, memory_order_relaxed);
    proc->looked_at = 0;
    machine->given = proc;
}

/* A coroutine that has a machine to itself, and an idle proc: no need to queue. */
static bool ready_pinned(struct waiter *waiter)
{
    if (atomic_load(&sched.idle_proc_count) == 0)
        return false;
    lock_acquire(&sched.lock);
    struct proc *proc = sched_take_idle_proc();
    if (proc)
        give_proc(waiter->pinned, proc);
    lock_release(&sched.lock);
    if (proc)
        machine_wake(waiter->pinned);
    return proc != NULL;
}

void sched_ready(struct machine *machine, struct waiter *waiter)
{
    if (GA_UNLIKELY(park_forked) && park_is_gone(waiter))
        return;
    if (GA_UNLIKELY(waiter->flags & WAITER_THREAD)) {
        ready_thread(waiter);
        return;
    }
    waiter_set_status(waiter, WAITER_RUNNABLE);
    if (GA_UNLIKELY(waiter->pinned) && ready_pinned(waiter))
        return;
    if (GA_LIKELY(machine && !machine->foreign)) {
        bool was = machine_enter(machine);
        struct proc *proc = machine_proc(machine);
        if (GA_LIKELY(proc && !sched.migrate)) {
            if (GA_LIKELY(machine->current != NULL))
                put_next(proc, waiter);
            else
                queue_push(proc, waiter); /* of timers and descriptors: in their order */
            machine_leave(machine, was);
            return;
        }
        machine_leave(machine, was);
    }
    queue_global_push(waiter);
    /* The watcher goes on by itself with what turned up. */
    if (!machine || !machine->watching)
        sched_wake_idle();
}

GA_INLINE void push_tail(struct machine *machine, struct waiter *waiter, bool migrate)
{
    struct proc *proc = machine_proc(machine);
    waiter_set_status(waiter, WAITER_RUNNABLE);
    if (GA_LIKELY(proc && !migrate)) {
        queue_push(proc, waiter);
    } else {
        queue_global_push(waiter);
        sched_wake_idle();
    }
}

bool sched_push_tail(struct waiter *waiter, void *unused)
{
    (void)unused;
    push_tail(machine_self(), waiter, sched.migrate);
    return true;
}

/* --- The switch --- */

GA_INLINE void count_tick(struct proc *proc)
{
    atomic_store_explicit(&proc->tick, atomic_load_explicit(&proc->tick, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* Others' turn has come: without any on the global queue or among the timers those are who waits
 * in the ring. NULL: the machine's own stack has to see to it. */
static GA_NOINLINE struct waiter *pick_other(struct proc *proc)
{
    if (atomic_load_explicit(&sched.queued, memory_order_relaxed) > 0 ||
        timers_next(proc->timers) != INT64_MAX ||
        proc->index >= atomic_load_explicit(&sched.proc_count, memory_order_relaxed))
        return NULL;
    proc->countdown = GLOBAL_TICKS;
    struct waiter *next = queue_pop_first(proc);
    return next ? next : queue_pop(proc);
}

/* Whom to switch to directly; NULL: the machine's own stack has to see to it. */
GA_INLINE struct waiter *pick(struct machine *machine, bool migrate)
{
    struct proc *proc = machine_proc(machine);
    if (GA_UNLIKELY(!proc))
        return NULL;
    proc->countdown--; /* whoever leaves, and whichever way: others' turn comes */
    if (GA_UNLIKELY(machine->locked || migrate))
        return NULL;
    struct waiter *next;
    if (GA_UNLIKELY(proc->countdown <= 0))
        next = pick_other(proc);
    else
        next = queue_pop(proc);
    if (GA_UNLIKELY(next && next->pinned)) {
        machine->picked = next;
        return NULL;
    }
    if (next)
        count_tick(proc);
    return next;
}

GA_INLINE void save_globals(const struct machine *machine, struct waiter *self)
{
    self->saved_errno = *machine->errno_address;
    if (machine->cxx)
        self->cxx = *machine->cxx;
}

GA_INLINE void restore_globals(const struct machine *machine, const struct waiter *self)
{
    *machine->errno_address = self->saved_errno;
    if (machine->cxx)
        *machine->cxx = self->cxx;
}

/* What the one that left wants done. It may run elsewhere before this returns. */
GA_INLINE void settle(struct machine *machine, bool migrate)
{
    struct waiter *previous = machine->previous;
    park_commit *commit = machine->commit;
    if (!commit)
        return;
    machine->commit = NULL;
    if (commit == sched_push_tail)
        push_tail(machine, previous, migrate);
    else if (GA_UNLIKELY(!commit(previous, machine->commit_argument)))
        sched_ready(machine, previous);
}

GA_INLINE void arrive(struct machine *machine, bool watched)
{
    struct waiter *self = machine->current;
    if (watched && sched.annotated)
        annotate_arrive(&self->fiber, machine->left);
    settle(machine, watched && sched.migrate);
    restore_globals(machine, self);
}

void sched_arrive(struct machine *machine)
{
    arrive(machine, sched.watched);
}

/* The switch itself, and what sanitizers are told of it; nothing may come between. */
GA_INLINE struct machine *switch_to(struct machine *machine, struct waiter *self,
                                    struct waiter *next, bool watched)
{
    void *sp = next ? next->sp : machine->scheduler_sp;
    if (watched && sched.annotated) {
        machine->left = &self->fiber;
        annotate_leave(&self->fiber, next ? &next->fiber : &machine->fiber,
                       waiter_status(self) == WAITER_NONE);
    }
    return frame_switch(&self->sp, sp, machine);
}

GA_INLINE struct machine *leave(struct machine *machine, park_commit *commit, void *argument,
                                bool watched)
{
    struct waiter *self = machine->current;
    save_globals(machine, self);
    machine->previous = self;
    machine->commit = commit;
    machine->commit_argument = argument;
    struct waiter *next = pick(machine, watched && sched.migrate);
    machine->current = next;
    if (GA_LIKELY(next != NULL))
        waiter_set_status(next, WAITER_RUNNING);
    machine = switch_to(machine, self, next, watched);
    arrive(machine, watched);
    return machine;
}

static GA_NOINLINE struct machine *leave_watched(struct machine *machine, park_commit *commit,
                                                 void *argument)
{
    return leave(machine, commit, argument, true);
}

struct machine *sched_leave(struct machine *machine, park_commit *commit, void *argument)
{
    if (GA_UNLIKELY(sched.watched))
        return leave_watched(machine, commit, argument);
    return leave(machine, commit, argument, false);
}

/* From the machine's own stack. */
static void run(struct machine *machine, struct waiter *next)
{
    waiter_set_status(next, WAITER_RUNNING);
    count_tick(machine_proc(machine));
    machine->current = next;
    if (GA_UNLIKELY(sched.annotated)) {
        machine->left = &machine->fiber;
        annotate_leave(&machine->fiber, &next->fiber, false);
    }
    frame_switch(&machine->scheduler_sp, next->sp, machine);
    if (GA_UNLIKELY(sched.annotated))
        annotate_arrive(&machine->fiber, machine->left);
}

static bool get_proc(struct machine *machine)
{
    lock_acquire(&sched.lock);
    struct proc *proc = sched_take_idle_proc();
    if (proc)
        sched_assign(machine, proc);
    lock_release(&sched.lock);
    return proc != NULL;
}

struct machine *sched_get_proc(struct machine *machine)
{
    if (get_proc(machine))
        return machine;
    return sched_leave(machine, sched_push_tail, NULL);
}

/* --- Finding somebody --- */

void sched_start_spinning(struct machine *machine)
{
    if (!machine->spinning) {
        machine->spinning = true;
        atomic_fetch_add(&sched.spinning, 1);
    }
}

/* Whether there is work to see to: who brought it may have seen us spin, and woken nobody. */
static bool stop_spinning(struct machine *machine)
{
    if (!machine->spinning)
        return false;
    machine->spinning = false;
    atomic_fetch_sub(&sched.spinning, 1);
    return work_is_queued();
}

static uint64_t random_next(struct proc *proc)
{
    proc->random ^= proc->random << 13;
    proc->random ^= proc->random >> 7;
    proc->random ^= proc->random << 17;
    return proc->random;
}

static unsigned common_divisor(unsigned a, unsigned b)
{
    while (b) {
        unsigned rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* A step that visits all `count` procs once. */
unsigned sched_steal_step(struct proc *proc, unsigned count)
{
    unsigned step = 1 + (unsigned)(random_next(proc) % count);
    while (common_divisor(step, count) != 1)
        step = step % count + 1;
    return step;
}

static struct waiter *steal_round(struct proc *proc, bool last)
{
    unsigned count = procs_made();
    unsigned step = sched_steal_step(proc, count);
    unsigned at = (unsigned)(random_next(proc) % count);
    for (unsigned i = 0; i < count; i++, at = (at + step) % count) {
        struct proc *victim = sched.procs[at];
        if (victim == proc)
            continue;
        if (last && timers_next(victim->timers) <= timer_now())
            timers_run(victim->timers, timer_now());
        struct waiter *waiter = queue_steal(proc, victim, last);
        if (!waiter)
            waiter = last ? queue_pop(proc) : NULL; /* of a timer that was due */
        if (waiter)
            return waiter;
    }
    return NULL;
}

static struct waiter *steal(struct machine *machine, struct proc *proc)
{
    unsigned procs = atomic_load_explicit(&sched.proc_count, memory_order_relaxed);
    unsigned busy = procs - atomic_load(&sched.idle_proc_count);
    struct waiter *waiter = NULL;
    if (procs_made() == 1 || (!machine->spinning && 2 * atomic_load(&sched.spinning) >= busy))
        return NULL;
    sched_start_spinning(machine);
    for (int i = 0; i < STEAL_ROUNDS && !waiter; i++)
        waiter = steal_round(proc, i == STEAL_ROUNDS - 1);
    if (!waiter)
        for (unsigned i = 0; i < procs_made(); i++)
            GA_STORE_ANY(sched.procs[i]->eager, false); /* waking somebody was in vain */
    return waiter;
}

/* In the order of Go's: those that came first elsewhere get a turn now and then. */
static struct waiter *look(struct machine *machine, struct proc *proc)
{
    struct waiter *waiter = NULL;
    int64_t timer = timers_next(proc->timers);
    bool others_turn = proc->countdown <= 0;
    if (others_turn) /* else a lone one that yields, and so comes here each time, would put it off
                      */
        proc->countdown = timer == INT64_MAX ? GLOBAL_TICKS : TIMER_TICKS;
    if (timer != INT64_MAX && timers_run(proc->timers, timer_now())) {
        machine->events = 0; /* they aren't alone */
        if (!queue_is_empty(proc))
            sched_wake_idle();
    }
    if (others_turn && (waiter = queue_global_pop(proc)))
        return waiter;
    if (others_turn && (waiter = queue_pop_first(proc)))
        return waiter;
    if ((waiter = queue_pop(proc)) || (waiter = queue_global_pop(proc)))
        return waiter;
    if (netpoll_has_waiters() && netpoll(0)) {
        help_note_look(proc, netpoll_looked_at());
        if ((waiter = queue_pop(proc)))
            return waiter;
    }
    return steal(machine, proc);
}

/* Without a proc from here on. false: there is work after all, and a proc again. */
static bool give_up(struct machine *machine, struct proc *proc)
{
    if (proc->stacks[0].count + proc->stacks[1].count > POOL_IDLE)
        stack_flush(proc);
    lock_acquire(&sched.lock);
    if (sched.first) {
        lock_release(&sched.lock);
        return false;
    }
    drop_proc(machine);
    sched_put_idle_proc(proc);
    lock_release(&sched.lock);
    if (!stop_spinning(machine) || !get_proc(machine))
        return true;
    sched_start_spinning(machine);
    return false;
}

/* There may be fewer procs than there were: this one's coroutines go to the others. */
static void retire(struct machine *machine, struct proc *proc)
{
    struct waiter *waiter;
    if (machine->picked)
        queue_global_push(machine->picked);
    machine->picked = NULL;
    while ((waiter = queue_pop(proc)))
        queue_global_push(waiter);
    stack_flush(proc);
    drop_proc(machine);
    lock_acquire(&sched.lock);
    sched_put_idle_proc(proc);
    lock_release(&sched.lock);
    sched_wake_idle();
}

static struct waiter *find(struct machine *machine)
{
    for (;;) {
        struct proc *proc = machine_proc(machine);
        if (!proc) {
            /* It may have looked when it lost its proc, or was the watcher. */
            if (!get_proc(machine) && !(stop_spinning(machine) && get_proc(machine)))
                machine_stop(machine);
            continue;
        }
        if (proc->index >= atomic_load_explicit(&sched.proc_count, memory_order_relaxed)) {
            retire(machine, proc);
            continue;
        }
        struct waiter *waiter = machine->picked;
        machine->picked = NULL;
        if (!waiter)
            waiter = look(machine, proc);
        if (waiter) {
            if (stop_spinning(machine) &&
                (!machine->events || help_is_worth(proc, machine->events)))
                sched_wake_idle();
            machine->events = 0;
            return waiter;
        }
        if (give_up(machine, proc))
            machine_stop(machine);
    }
}

/* --- Pinned coroutines --- */

static void count_waiting(unsigned change)
{
    lock_acquire(&sched.lock);
    sched.waiting_machines += change;
    lock_release(&sched.lock);
}

/*
 * A timer was due, or a descriptor ready, while this machine watched: what that made runnable goes
 * to others, unless it is the one that the machine waits for.
 */
static bool act_on_events(struct machine *machine)
{
    unsigned made = procs_made();
    if (!get_proc(machine))
        return false;
    struct proc *proc = machine_proc(machine);
    for (unsigned i = 0; i < made; i++)
        timers_run(sched.procs[i]->timers, timer_now());
    struct waiter *waiter = queue_pop(proc);
    if (!waiter)
        waiter = queue_global_pop(proc);
    if (waiter && waiter == machine->locked)
        return true;
    if (waiter) /* first again */
        queue_push_next(proc, waiter);
    sched_hand_off(drop_proc(machine), true);
    return false;
}

/* The coroutine of this machine alone has left; the proc goes to others until it is to go on. Who
 * gives the machine a proc takes it off the count, be it before it is on it. */
static struct waiter *wait_for_pinned(struct machine *machine)
{
    struct proc *proc = drop_proc(machine);
    if (proc)
        sched_hand_off(proc, true);
    count_waiting(1);
    for (;;) {
        if (machine_wait_pinned(machine))
            return machine->locked;
        if (act_on_events(machine)) {
            count_waiting(-1u);
            return machine->locked;
        }
    }
}

/* The coroutine may only run on another machine: that one gets our proc. */
static void give_to_pinned(struct machine *machine, struct waiter *waiter)
{
    struct proc *proc = drop_proc(machine);
    lock_acquire(&sched.lock);
    give_proc(waiter->pinned, proc);
    lock_release(&sched.lock);
    machine_wake(waiter->pinned);
}

/* So that the next coroutine runs on another thread; one that spins has just come. */
static void change_machines(struct machine *machine)
{
    struct proc *proc = machine_proc(machine);
    if (!proc || machine->spinning || !work_is_queued())
        return;
    drop_proc(machine);
    machine_start(proc, false);
    machine_stop(machine);
}

void sched_run(struct machine *machine)
{
    if (GA_UNLIKELY(sched.annotated && machine->commit))
        annotate_arrive(&machine->fiber, machine->left);
    for (;;) {
        settle(machine, sched.migrate);
        struct waiter *next;
        if (GA_UNLIKELY(machine->locked)) {
            next = wait_for_pinned(machine);
        } else {
            if (GA_UNLIKELY(sched.migrate))
                change_machines(machine);
            next = find(machine);
            if (GA_UNLIKELY(next->pinned && next->pinned != machine)) {
                give_to_pinned(machine, next);
                continue;
            }
        }
        run(machine, next);
    }
}
