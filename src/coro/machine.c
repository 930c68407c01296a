// SPDX-License-Identifier: MIT
/*
 * machine.c: the threads that run coroutines, and those that merely call in.
 *
 *   new thread --sched_run--> runs coroutines <--given a proc-- idle (on a futex)
 *                                    |                            ^
 *                                    +---- nothing to do ---------+
 *
 * Place: sched.c starts and stops machines; park.c attaches threads. Calls libc's threads.
 *
 * Invariants: a machine's memory is never given back, so that a stale pointer to one is harmless;
 * an idle machine has no proc but the one that it is given; libc is called with no lock held.
 * Locking: sched.lock for the idle list. Fork: see start.c.
 */
#include <errno.h>
#include <pthread.h>

#include "frame.h"
#include "stack.h"

#define BLIND_PAUSE        UINT64_C(10000000)
#define MIGRATION_MACHINES 5
#define SPINS              100

__thread struct machine *coro_machine __attribute__((tls_model("initial-exec"), used));

/* The C++ runtime's, if the program has one. */
extern void *__cxa_get_globals(void) __attribute__((weak));

static struct {
    struct lock lock;
    pthread_key_t key;       /* constant once made */
    bool key_made;           /* guarded by lock */
    struct machine *foreign; /* free ones of threads that ended, by next_idle; guarded by lock */
    struct machine *spare;   /* listed, but no thread was to be had; guarded by sched.lock */
} threads;

/* --- Making --- */

/* In the thread itself. */
static void settle_in(struct machine *machine)
{
    machine->errno_address = &errno;
    atomic_store_explicit(&machine->thread_id, os_thread_id(), memory_order_relaxed);
    if (&__cxa_get_globals)
        machine->cxx = __cxa_get_globals();
    if (sched.annotated)
        annotate_thread(&machine->fiber);
    GA_TLS_STORE(coro_machine, machine);
}

/* Lock held. */
static void list(struct machine *machine)
{
    machine->next = atomic_load_explicit(&sched.machines, memory_order_relaxed);
    atomic_store_explicit(&sched.machines, machine, memory_order_release);
    sched.machine_count++;
}

static void *run(void *argument)
{
    struct machine *machine = argument;
    pthread_setname_np(pthread_self(),
                       "goalloc-worker"); /* not its maker's: the monitor's, maybe */
    os_restore_signals(&sched.blocked);   /* likewise */
    settle_in(machine);
    if (machine->signal_stack)
        os_signal_stack(machine->signal_stack, os_signal_stack_size());
    sched_run(machine);
    return NULL;
}

/* One whose thread couldn't be started before, or a new one; it counts as working from here on. */
static struct machine *make_listed(struct proc *proc)
{
    lock_acquire(&sched.lock);
    struct machine *machine = threads.spare;
    bool room = machine || sched.machine_count < MACHINES_MAX;
    if (machine) {
        threads.spare = machine->next_idle;
        sched.waiting_machines--;
        sched.spare_machines--;
        sched_assign(machine, proc);
    }
    lock_release(&sched.lock);
    if (machine || !room)
        return machine;
    machine = coro_alloc(sizeof(*machine), true);
    if (!machine)
        return NULL;
    machine->signal_stack = signals_make_stack();
    atomic_store_explicit(&machine->inside, true, memory_order_relaxed);
    lock_acquire(&sched.lock);
    list(machine);
    sched_assign(machine, proc);
    lock_release(&sched.lock);
    return machine;
}

static bool make(struct proc *proc, bool spinning)
{
    struct machine *machine = make_listed(proc);
    if (!machine)
        return false;
    machine->spinning = spinning;
    if (thread_start(&machine->stack, run, machine))
        return true;
    lock_acquire(&sched.lock);
    atomic_store_explicit(&machine->proc, NULL, memory_order_relaxed);
    machine->next_idle = threads.spare;
    threads.spare = machine;
    sched.waiting_machines++;
    sched.spare_machines++;
    lock_release(&sched.lock);
    return false;
}

bool machine_attach_main(struct proc *proc)
{
    struct machine *machine = coro_alloc(sizeof(*machine), true);
    struct waiter *waiter = coro_alloc(sizeof(*waiter), true);
    struct waiter *stack = stack_take(NULL, (size_t)64 << 10);
    if (!machine || !waiter || !stack)
        return false;
    waiter->flags = WAITER_MAIN;
    waiter->forks = sched.forks;
    waiter->id = 1;
    waiter->name = "main";
    /* What main has called so far may count on its thread; it may say that it doesn't. */
    waiter->pins = 1;
    waiter->pinned = machine;
    machine->locked = waiter;
    waiter_set_status(waiter, WAITER_RUNNING);
    machine->current = sched.main = waiter;
    /* Its own stack is main's: the scheduler gets one like a coroutine's. */
    frame_make(stack);
    machine->scheduler_sp = stack->sp;
    atomic_store_explicit(&sched.last_id, 1, memory_order_relaxed);
    lock_acquire(&sched.lock);
    list(machine);
    sched_assign(machine, proc);
    lock_release(&sched.lock);
    settle_in(machine);
    waiter->fiber = machine->fiber;
    machine->fiber = stack->fiber;
    machine->signal_stack = signals_make_stack();
    if (machine->signal_stack)
        os_signal_stack(machine->signal_stack, os_signal_stack_size());
    return true;
}

/* --- Threads that are none of ours --- */

static void forget(void *argument)
{
    struct machine *machine = argument;
    GA_TLS_STORE(coro_machine, NULL);
    lock_acquire(&threads.lock);
    machine->next_idle = threads.foreign;
    threads.foreign = machine;
    lock_release(&threads.lock);
}

static struct machine *reuse_foreign(void)
{
    lock_acquire(&threads.lock);
    if (!threads.key_made)
        threads.key_made = pthread_key_create(&threads.key, forget) == 0;
    struct machine *machine = threads.foreign;
    if (machine)
        threads.foreign = machine->next_idle;
    lock_release(&threads.lock);
    return machine;
}

static struct machine *make_foreign(void)
{
    struct machine *machine = coro_alloc(sizeof(*machine), true);
    struct waiter *waiter = machine ? coro_alloc(sizeof(*waiter), true) : NULL;
    if (!waiter) {
        coro_free(machine);
        return NULL;
    }
    machine->foreign = true;
    machine->current = waiter;
    waiter->flags = WAITER_THREAD;
    return machine;
}

/* Never fails where it succeeded once: a thread without memory for some hundred bytes can't wait.
 */
struct machine *machine_attach(void)
{
    struct machine *machine;
    int saved = errno;
    if (os_is_first_thread() && sched_start() && (machine = machine_self()))
        return machine;
    machine = reuse_foreign();
    if (!machine)
        machine = make_foreign();
    if (!machine)
        park_fatal("out of memory for a thread's first call");
    machine->current->forks = sched.forks;
    settle_in(machine);
    if (threads.key_made)
        pthread_setspecific(threads.key, machine);
    errno = saved;
    return machine;
}

/* --- Waking and stopping --- */

enum wake {
    WAKE_NOT,
    WAKE_GIVEN, /* somebody took it off the idle list: it goes on with what it was given */
    WAKE_LOOK,  /* the watcher only: something it waits for has changed */
};

void machine_wake(struct machine *machine)
{
    /* Sequentially consistent: the machine becomes the watcher, or says that it sleeps, then reads
     * this; we write it, then read the others. */
    GA_STORE_FIRST(machine->wake, WAKE_GIVEN);
    if (atomic_load(&machine->asleep))
        os_futex_wake(&machine->wake, 1);
    if (atomic_load(&sched.watcher) == machine)
        netpoll_interrupt();
}

void sched_wake_watcher(int64_t when)
{
    struct machine *machine = atomic_load(&sched.watcher);
    unsigned expected = WAKE_NOT;
    if (!machine || when >= atomic_load(&sched.watch_until))
        return;
    if (atomic_compare_exchange_strong(&machine->wake, &expected, WAKE_LOOK))
        os_futex_wake(&machine->wake, 1);
    netpoll_interrupt();
}

/* Takes an idle machine off its list; under a forced migration, not the one that slept last. */
static struct machine *take_idle(void)
{
    struct machine **at = &sched.idle_machines;
    while (sched.migrate && *at && (*at)->next_idle)
        at = &(*at)->next_idle;
    struct machine *machine = *at;
    if (machine) {
        atomic_fetch_add(&sched.wakes, 1);
        *at = machine->next_idle;
        machine->is_idle = false;
        sched.idle_machine_count--;
    }
    return machine;
}

static void put_back(struct proc *proc, bool spinning)
{
    if (spinning)
        atomic_fetch_sub(&sched.spinning, 1);
    lock_acquire(&sched.lock);
    sched_put_idle_proc(proc);
    lock_release(&sched.lock);
}

bool machine_start(struct proc *proc, bool spinning)
{
    lock_acquire(&sched.lock);
    /* A forced migration wants threads to choose from. */
    bool more = sched.migrate && sched.machine_count < MIGRATION_MACHINES;
    struct machine *machine = more ? NULL : take_idle();
    if (machine) {
        machine->given = proc;
        machine->given_spinning = spinning;
        sched_assign(machine, proc);
    }
    lock_release(&sched.lock);
    if (!machine) {
        if (make(proc, spinning))
            return true;
        put_back(proc, spinning);
        return false;
    }
    machine_wake(machine);
    return true;
}

/* Until the word is another one, or `until`. */
static void sleep_while(struct machine *machine, unsigned word, int64_t until)
{
    int64_t now = until == INT64_MAX ? 0 : timer_now();
    GA_STORE_FIRST(machine->asleep, true);
    if (until == INT64_MAX)
        os_futex_wait(&machine->wake, word);
    else if (until > now)
        os_futex_wait_for(&machine->wake, word, (uint64_t)(until - now));
    atomic_store_explicit(&machine->asleep, false, memory_order_relaxed);
}

/* As the watcher: until woken, a timer is due, or a descriptor is ready. */
static void watch(struct machine *machine, int64_t until)
{
    if (!netpoll_started())
        sleep_while(machine, WAKE_NOT, until);
    else if (atomic_load(&machine->wake) == WAKE_NOT)
        machine->events = netpoll(until);
}

/* Takes itself off the idle list; false: somebody else did, and wakes it. */
static bool unlist(struct machine *machine)
{
    lock_acquire(&sched.lock);
    bool was = machine->is_idle;
    struct machine **at = &sched.idle_machines;
    while (was && *at != machine)
        at = &(*at)->next_idle;
    if (was) {
        atomic_fetch_add(&sched.wakes, 1);
        *at = machine->next_idle;
        machine->is_idle = false;
        sched.idle_machine_count--;
    }
    lock_release(&sched.lock);
    return was;
}

static bool is_given(struct machine *machine)
{
    return atomic_load_explicit(&machine->wake, memory_order_acquire) == WAKE_GIVEN;
}

/* While somebody at work looks for events, until a timer is due; the monitor wakes it if nobody
 * does any more. */
static void rest(struct machine *machine)
{
    unsigned word;
    while ((word = atomic_load_explicit(&machine->wake, memory_order_acquire)) != WAKE_GIVEN) {
        int64_t now = timer_now(), until = timers_next_of_all();
        if (until <= now || !help_is_needless(now))
            return;
        sleep_while(machine, word, until);
    }
}

/* Some microseconds: what a futex's sleep and wake-up take. */
static void wait_for_wake(struct machine *machine)
{
    for (int i = 0; sched.spins && i < SPINS && !is_given(machine); i++)
        GA_CPU_RELAX();
    unsigned word;
    while ((word = atomic_load_explicit(&machine->wake, memory_order_acquire)) != WAKE_GIVEN)
        sleep_while(machine, word, INT64_MAX);
}

/* Without an idle proc to act with, it's for those that work to look. */
static bool is_watch_wanted(void)
{
    return atomic_load(&sched.idle_proc_count) > 0 &&
           (netpoll_has_waiters() || timers_next_of_all() != INT64_MAX);
}

/*
 * Watches, if nobody does, and there is something to watch for. The order matters: it becomes the
 * watcher, then looks at the timers; who adds one looks for a watcher then. And it gives the part
 * up, then looks whether it is wanted after all: who came meanwhile has left it to us.
 */
static bool watch_if_wanted(struct machine *machine)
{
    do {
        struct machine *nobody = NULL;
        if (!atomic_compare_exchange_strong(&sched.watcher, &nobody, machine))
            return false;
        int64_t until = timers_next_of_all();
        GA_STORE_FIRST(sched.watch_until, until);
        bool watched = is_watch_wanted();
        if (watched) {
            machine->watching = true;
            watch(machine, until);
            machine->watching = false;
        }
        atomic_store(&sched.watch_until, INT64_MAX);
        GA_STORE_FIRST(sched.watcher, NULL);
        if (watched)
            return true;
    } while (is_watch_wanted());
    return false;
}

/* Whether something may have turned up before anybody woke it; else it is woken. */
void machine_stop(struct machine *machine)
{
    if (machine->spinning)
        park_fatal("the scheduler stops a machine that counts as looking for work");
    machine->events = 0;
    lock_acquire(&sched.lock);
    atomic_store(&machine->wake, WAKE_NOT);
    machine->next_idle = sched.idle_machines;
    sched.idle_machines = machine;
    machine->is_idle = true;
    sched.idle_machine_count++;
    lock_release(&sched.lock);
    rest(machine);
    if (watch_if_wanted(machine)) {
        if (unlist(machine)) {
            sched_start_spinning(machine); /* who brought more has left it to us to wake others */
            return;
        }
    } else {
        deadlock_check();
    }
    wait_for_wake(machine);
    machine->events = 0;
    machine->spinning = machine->given_spinning;
}

void machine_pin(struct machine *machine, struct waiter *waiter)
{
    atomic_store_explicit(&machine->wake, WAKE_NOT, memory_order_relaxed);
    machine->locked = waiter;
}

bool machine_wait_pinned(struct machine *machine)
{
    unsigned look = WAKE_LOOK;
    rest(machine);
    if (!is_given(machine)) {
        if (watch_if_wanted(machine) && !is_given(machine)) {
            atomic_compare_exchange_strong(&machine->wake, &look, WAKE_NOT);
            machine->events = 0;
            return false;
        }
        deadlock_check();
        wait_for_wake(machine);
    }
    /* Nobody wakes it again before its coroutine has left and was made ready. */
    atomic_store_explicit(&machine->wake, WAKE_NOT, memory_order_relaxed);
    atomic_store_explicit(&machine->proc, machine->given, memory_order_relaxed);
    return true;
}

/*
 * Those who sandbox a process may have the kernel refuse what it granted at the start. Then
 * machines run barriers of their own from now on; those that are inside without one get the time to
 * finish.
 */
void sched_barrier(void)
{
    if (!sched.fences && !os_barrier()) {
        GA_STORE_ANY(sched.fences, true);
        os_pause(BLIND_PAUSE);
    }
    if (sched.fences)
        atomic_thread_fence(memory_order_seq_cst);
}

void machine_enter_wait(struct machine *machine)
{
    while (atomic_load_explicit(&machine->retaking, memory_order_acquire))
        GA_CPU_RELAX();
}

/* --- Fork --- */

/* Whether any thread has ever called in; who waits has. Under the frozen lock. */
bool machine_any(void)
{
    return threads.key_made || machine_self() != NULL;
}

void machine_freeze(void)
{
    lock_freeze(&threads.lock);
}

void machine_thaw(void)
{
    lock_thaw(&threads.lock);
}

void machine_reset(void)
{
    lock_reset(&threads.lock);
}

/* In a forked child: the caller's thread is the only one. */
void machine_list_alone(void)
{
    struct machine *self = machine_self();
    struct machine *machine = atomic_load_explicit(&sched.machines, memory_order_relaxed);
    for (; machine; machine = machine->next)
        if (machine != self)
            thread_forget_stack(&machine->stack);
    threads.spare = NULL;
    sched.machine_count = 0;
    atomic_store_explicit(&sched.machines, NULL, memory_order_relaxed);
    if (!self)
        return;
    atomic_store_explicit(&self->thread_id, os_thread_id(), memory_order_relaxed);
    self->next = NULL;
    if (!self->foreign)
        list(self);
}
