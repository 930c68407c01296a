// SPDX-License-Identifier: MIT
/*
 * internal.h: the scheduler's own words. Nothing outside src/coro includes it.
 *
 *   waiter    a coroutine (Go's G), or what stands for a thread that is none.
 *   machine   a thread of the system that runs coroutines (M), or one that merely calls in.
 *   proc      the right to run coroutines, with a queue of them (P). Their number is GOMAXPROCS.
 *   stack     64 KB of a slab; its struct waiter lies at the high end, its guard page at the low.
 *   inside    a machine is inside while it may touch its proc: from its call into the runtime until
 *             it is back in the program's code. The monitor takes procs of machines outside only.
 *
 *              ga_go                 picked             returns
 *   WAITER_NONE -----> WAITER_RUNNABLE ---> WAITER_RUNNING ---> WAITER_NONE (its stack is pooled)
 *                        ^      ^              |    |
 *                        |      +--- yield ----+    | park
 *                        |                          v
 *                        +---- park_ready --- WAITER_WAITING
 *
 * How a machine inside and the monitor exclude each other, at no cost for the machine: the machine
 * stores `inside`, then loads `retaking`; the monitor stores `retaking`, has the kernel run a full
 * barrier on every processor (membarrier), then loads `inside`. One of the two sees the other.
 * Where the kernel hasn't got it, sched.fences makes the machines pay for a barrier each.
 *
 * Locks, outermost first, none held over a switch: a channel's (theirs) -> sched.lock; a heap of
 * timers; stacks.lock; the poller's. No two of the latter at once but sched.lock -> stacks.lock.
 */
#ifndef GOALLOC_CORO_INTERNAL_H
#define GOALLOC_CORO_INTERNAL_H

#include "../os/lock.h"
#include "../os/os.h"
#include "coro.h"
#include "memory.h"
#include "order.h"
#include "park.h"
#include "timer.h"

#define QUEUE_SIZE     256u /* of a proc's own queue; a power of two */
#define PROCS_MAX      256u
#define BATCH_STACKS   32u /* free stacks that change hands in one go; a proc keeps two of these */
#define STACKS_AHEAD   4u  /* so far ahead of their use free stacks are fetched into the cache */
#define QUEUE_AHEAD    8u  /* the same of coroutines in the global queue */
#define POOL_IDLE      16u /* those that it keeps while nobody runs there */
#define GLOBAL_TICKS   61  /* every so many switches the global queue and others come first */
#define TIMER_TICKS    8   /* the same where timers wait: how often the clock is read */
#define MACHINES_MAX   10000u
#define COROUTINE_ARGS 6
#define UNWINDING_SIZE 64

struct machine;
struct proc;

enum waiter_status {
    WAITER_NONE, /* no coroutine: its stack is free */
    WAITER_RUNNABLE,
    WAITER_RUNNING,
    WAITER_WAITING,
};

enum waiter_flags {
    WAITER_THREAD = 1, /* a thread that is no coroutine */
    WAITER_MAIN = 2,   /* the process's first thread, on the stack that the kernel gave it */
};

/* Of a thread that is no coroutine, in park. */
enum thread_state {
    THREAD_WAITS, /* and looks: it needs no waking */
    THREAD_READY,
    THREAD_SLEEPS,
};

/* What sanitizers want to know of a stack; see annotate.h. Whoever switches. */
struct fiber {
    void *thread_sanitizer;
    void *fake_stack;
    const void *bottom;
    size_t size;
};

/* What the C++ runtime keeps for each thread: __cxa_eh_globals. */
struct cxx_globals {
    void *caught;
    unsigned uncaught;
};

/* In the order of use: what a start and a switch touch lies in the first three cache lines. */
struct waiter {
    /* What a switch touches; guarded by whoever may run it. */
    void *sp;            /* while it is off a thread */
    struct waiter *next; /* the list that it is on: a queue's, or a pool's */
    void *gift;          /* of the waker's; see park.h. Free: see stack.c */
    atomic_uint status;  /* enum waiter_status; relaxed: the queues order it */
    int saved_errno;
    uint8_t pool;           /* which pool the stack came from; constant while in use */
    uint8_t reason;         /* enum park_reason; for reports */
    uint8_t flags;          /* constant */
    bool obeys_mode;        /* O_NONBLOCK means it; itself. See ga_io_begin */
    bool starts_pinned;     /* as ga_go_options say */
    bool daemon;            /* ga_wait_all doesn't wait for it; constant */
    unsigned pins;          /* calls of ga_lock_os_thread; itself. Free: see stack.c */
    struct machine *pinned; /* the one machine that may run it; itself */
    struct waiter *ahead;   /* some places on in its list, to be fetched early; a hint */

    /* What it runs; constant from ga_go on. */
    void (*function)(void);
    uintptr_t args[COROUTINE_ARGS];
    uint64_t id;
    uint64_t creator; /* id of the coroutine that started it, 0: a thread */
    const struct ga_site *site;
    struct ga_scope *scope; /* or NULL */
    const char *name;       /* or NULL */

    struct cxx_globals cxx; /* while it is off a thread */
    unsigned forks;         /* of the process before it was started: in a child, others are gone */
    const void *object;     /* waits for this; for reports */
    int64_t since;          /* waits since then, by the monitor's coarse clock */
    atomic_uint word;       /* a thread's own: enum thread_state; a futex */

    uintptr_t stack;   /* its lowest address, the guard's; 0: not ours */
    size_t stack_size; /* with the guard */
    struct fiber fiber;
    struct timer timer;                                   /* ga_sleep's */
    _Alignas(16) unsigned char unwinding[UNWINDING_SIZE]; /* ga_exit's; itself */
};

/* A queue with one owner that appends, and any number of threads that take from its front. */
struct run_queue {
    atomic_uint head;                           /* compare-and-swap by takers; but see alone */
    atomic_uint tail;                           /* owner; release, so that the slots are seen */
    _Atomic(struct waiter *) slots[QUEUE_SIZE]; /* relaxed */
};

/* Who runs before the queue. The lock, of run_queue.h, guards the queue's head too while alone. */
struct run_next {
    _Atomic(struct waiter *) waiter; /* changes under the lock; read without it as a hint */
    atomic_bool busy;                /* the owner is at it */
    atomic_bool thief;               /* or a thief is, or wants to be */
};

/* Free stacks, linked by next, last in first out. */
struct batch {
    struct waiter *first;
    unsigned count;
    struct waiter *recent[STACKS_AHEAD]; /* at each count modulo that, the last to get there */
};

struct proc {
    struct run_next run_next;
    int countdown;    /* switches left until the others' turn, or less; owner */
    atomic_uint tick; /* switches in all; written by the owner, relaxed */
    bool eager;       /* a lone runnable is worth waking somebody for; relaxed in all but name */
    uint64_t started; /* coroutines but daemons; written by the owner, relaxed */
    uint64_t ended;   /* the same, release */
    uint64_t next_id, last_id; /* ids to give; owner */
    struct batch stacks[2];    /* owner: the one in use; one that is full, or empty */
    struct timers *timers;     /* constant */
    uint8_t pool;              /* the stacks' that it keeps; constant */
    struct run_queue queue;

    unsigned index;           /* constant */
    struct machine *machine;  /* who owns it; guarded by sched.lock or by owning it */
    struct proc *next_idle;   /* guarded by sched.lock */
    bool idle;                /* guarded by sched.lock */
    unsigned seen_tick;       /* monitor only */
    _Atomic(int64_t) seen_at; /* since when the tick stands still; 0: a new owner. Relaxed */
    struct waiter *seen_next; /* monitor only */
    uint64_t random;          /* owner */
    int64_t looked_at;        /* for events; 0: a new owner. Owner, as are the following; help.c */
    int64_t turn;             /* how long its coroutines run each, about, in ns; 0: not known */
    unsigned looked_tick;
};

struct machine {
    struct waiter
        *current; /* whom it runs; NULL: its scheduler; a thread: its own waiter. Itself */
    _Atomic(struct proc *) proc; /* itself when inside; the monitor when it is outside */
    atomic_bool inside;          /* see above */
    atomic_bool retaking;        /* see above */
    bool foreign;            /* a thread that runs no coroutines but its own program; constant */
    bool watching;           /* waits for descriptors and timers; itself */
    unsigned events;         /* it has come back from that with so many to run; itself */
    bool spinning;           /* looks for work, counted in sched.spinning; itself */
    struct waiter *previous; /* who was left by the switch under way, and what to do then */
    park_commit *commit;
    void *commit_argument;
    struct waiter *picked;     /* chosen, but for the scheduler's stack to deal with; itself */
    int *errno_address;        /* constant */
    struct cxx_globals *cxx;   /* of this thread; NULL: no C++. Constant */
    void *scheduler_sp;        /* of find-and-run's loop while a coroutine runs; itself */
    struct fiber fiber;        /* of that stack */
    struct fiber *left;        /* by the switch under way, where a sanitizer wants to know */
    struct waiter *locked;     /* the coroutine pinned here, or NULL; itself */
    struct machine *next_idle; /* guarded by sched.lock */
    struct machine *next;      /* all of them; constant once listed */
    struct proc *given;        /* with which it is woken; before wake's release */
    bool given_spinning;       /* the same */
    bool is_idle;              /* on the idle list; guarded by sched.lock */
    atomic_uint wake;          /* futex: enum wake, of machine.c */
    atomic_bool asleep;        /* waits for `wake` in the kernel; sequentially consistent */
    atomic_uint thread_id;     /* the kernel's; 0: not yet known. Relaxed */
    struct waiter *stack;      /* its thread's, if of ours; see thread.c */
    void *signal_stack;        /* for the report of an overflow; constant */
};

struct scheduler {
    struct lock lock;
    struct waiter *first, *last;        /* the global queue; guarded by lock */
    atomic_uint queued;                 /* its length; written under lock */
    struct proc *idle_procs;            /* guarded by lock */
    atomic_uint idle_proc_count;        /* written under lock */
    struct machine *idle_machines;      /* guarded by lock */
    unsigned idle_machine_count;        /* guarded by lock */
    unsigned machine_count;             /* not the foreign ones; guarded by lock */
    unsigned waiting_machines;          /* that wait for their pinned coroutine; guarded by lock */
    unsigned spare_machines;            /* of those: no thread could be started; guarded by lock */
    _Atomic(struct machine *) machines; /* all, newest first; written under lock, release */
    atomic_uint spinning;               /* machines that look for work; sequentially consistent */
    atomic_uint proc_count;             /* how many may run; written under lock */
    unsigned procs_made;                /* written under lock, only grows */
    struct proc *procs[PROCS_MAX];      /* constant once made */
    _Atomic(struct machine *) watcher;  /* the idle machine that waits for timers and descriptors */
    _Atomic(int64_t) watch_until;       /* when the watcher wakes by itself */
    atomic_uint foreign_parked;         /* threads that wait in park; see park.c */
    atomic_uint wakes;                  /* of machines and threads that slept; see deadlock.c */
    atomic_uint wakers;                 /* who fires timers, or wakes for descriptors; the same */
    atomic_uint wait_all;               /* callers of ga_wait_all; see scope.c */
    _Atomic(uint64_t) foreign_started;  /* coroutines started without a proc; relaxed */
    _Atomic(uint64_t) foreign_ended;    /* the same, release */
    _Atomic(uint64_t) last_id;          /* the highest id given or set aside; relaxed */
    atomic_uint state;                  /* enum scheduler_state; release when it runs */
    bool fences;         /* no membarrier: machines run barriers. See sched_barrier */
    bool alone;          /* there has been one proc only: nobody steals. See queue_end_alone */
    bool spins;          /* there is another processor to wait for. Constant */
    bool migrate;        /* GOALLOC=migrate: every switch changes the thread. Constant */
    bool annotated;      /* a sanitizer wants to know. Constant */
    bool watched;        /* one of the last two; most programs pass one test for both. Constant */
    atomic_uint daemons; /* living, and counted nowhere else; relaxed */
    unsigned forks;      /* of this process and its parents */
    bool main_ended;     /* the first thread called ga_exit */
    unsigned trace;      /* milliseconds between lines of schedtrace; 0: none. Constant */
    struct waiter *main; /* the first thread's, or NULL */
    sigset_t blocked;    /* signals, by who began it: so in all workers. Constant */
    _Atomic(int64_t) clock; /* the monitor's last reading, for reports */
};
extern GA_HIDDEN struct scheduler sched;

enum scheduler_state {
    SCHED_NONE,
    SCHED_FORKED, /* in a child: set up, but without a monitor */
    SCHED_RUNNING,
};

GA_INLINE bool sched_started(void)
{
    /* Acquire: whoever sees that it runs sees all that was set up. */
    return GA_LIKELY(atomic_load_explicit(&sched.state, memory_order_acquire) == SCHED_RUNNING);
}

/* --- spawn.c --- */
GA_NORETURN void coro_begin(struct machine *machine); /* called by coro_start */

/* --- machine.c: threads --- */
extern GA_HIDDEN __thread struct machine *coro_machine __attribute__((tls_model("initial-exec")));

/* NULL: this thread has never called in. Read anew at each use; see GA_TLS_LOAD. */
GA_INLINE struct machine *machine_self(void)
{
    struct machine *machine;
    GA_TLS_LOAD(machine, coro_machine);
    return machine;
}

struct machine *machine_attach(void);

/* This thread's machine, made now if it has none; starts the runtime on the first thread. */
GA_INLINE struct machine *machine_attached(void)
{
    struct machine *machine = machine_self();
    return GA_LIKELY(machine != NULL) ? machine : machine_attach();
}

/* The first thread becomes one that runs coroutines, itself being the first. */
bool machine_attach_main(struct proc *proc);
/* A thread for the proc: an idle one, or a new one. false: there is none to be had, and the proc is
 * idle. */
bool machine_start(struct proc *proc, bool spinning);
/* Waits until it is woken, with or without a proc. */
void machine_stop(struct machine *machine);
void machine_wake(struct machine *machine);
void machine_pin(struct machine *machine, struct waiter *waiter); /* NULL: no longer */
/* Waits until somebody gives it a proc to run its pinned coroutine with; false: it has watched, and
 * something may have turned up. */
bool machine_wait_pinned(struct machine *machine);
void machine_enter_wait(struct machine *machine);
void sched_barrier(void); /* every running machine passes one */

/* Of the two sides that look at each other the frequent one's: a store before, a load after. The
 * other one's is sched_barrier. */
GA_INLINE void sched_fence(void)
{
    if (GA_UNLIKELY(sched.fences))
        atomic_thread_fence(memory_order_seq_cst);
    else
        atomic_signal_fence(memory_order_seq_cst);
}

/*
 * From here on the monitor leaves the machine's proc alone. Returns what machine_leave needs: calls
 * nest.
 */
GA_INLINE bool machine_enter(struct machine *machine)
{
    bool was = atomic_load_explicit(&machine->inside, memory_order_relaxed);
    atomic_store_explicit(&machine->inside, true, memory_order_relaxed);
    sched_fence();
    /* Acquire: whatever the monitor changed is seen. */
    if (GA_UNLIKELY(atomic_load_explicit(&machine->retaking, memory_order_acquire)) && !was)
        machine_enter_wait(machine);
    return was;
}

GA_INLINE void machine_leave(struct machine *machine, bool was)
{
    /* Release: the monitor hands what we did to the next owner. */
    atomic_store_explicit(&machine->inside, was, memory_order_release);
}

/* Only inside. */
GA_INLINE struct proc *machine_proc(struct machine *machine)
{
    return atomic_load_explicit(&machine->proc, memory_order_relaxed);
}

/* --- queue.c: who runs next; called inside by the proc's owner unless said otherwise. What it
 * does at each switch is in run_queue.h. --- */
bool queue_is_empty(const struct proc *proc);      /* anybody; run_next counts */
bool queue_ring_is_empty(const struct proc *proc); /* anybody; run_next doesn't count */
unsigned queue_length(const struct proc *proc);    /* the same */
/* Half of the victim's queue comes to proc's; one of them is returned. */
struct waiter *queue_steal(struct proc *proc, struct proc *victim, bool run_next_too);
/* From here on there may be thieves. Anybody, once. */
void queue_end_alone(struct proc *proc);
void queue_reset(struct proc *proc);           /* empty; in a forked child */
void queue_global_push(struct waiter *waiter); /* anybody; takes sched.lock */
void queue_global_push_list(struct waiter *first, struct waiter *last, unsigned count);
struct waiter *queue_global_pop(struct proc *proc); /* the rest of its share goes to proc's queue */

/* --- sched.c --- */
GA_NORETURN void sched_run(struct machine *machine); /* the loop on a machine's own stack */
void sched_arrive(struct machine *machine);
/* Leaves the caller's coroutine, its status set, and runs `commit` from elsewhere. */
/* Returns the machine that it goes on with, inside. */
struct machine *sched_leave(struct machine *machine, park_commit *commit, void *argument);
/* Makes a coroutine runnable from wherever the caller is. */
void sched_ready(struct machine *machine, struct waiter *waiter);
bool sched_push_tail(struct waiter *waiter, void *unused); /* a park_commit: for a yield */
/* A coroutine whose proc was taken waits for one; inside. */
struct machine *sched_get_proc(struct machine *machine);
void sched_start_spinning(struct machine *machine);
void sched_wake_idle(void); /* somebody looks for work, if nobody does */
/* A proc without a machine goes to one if there is work for it, else to the idle ones. */
void sched_hand_off(struct proc *proc, bool watches); /* the caller will watch */
bool sched_events_wait(void); /* for timers or descriptors is waited, and nobody watches */
/* sched.lock held. */
void sched_put_idle_proc(struct proc *proc);
struct proc *sched_take_idle_proc(void);
void sched_assign(struct machine *machine, struct proc *proc);
unsigned sched_steal_step(struct proc *proc, unsigned count); /* for tests */
/* The watcher, if it sleeps beyond `when`, looks again. */
void sched_wake_watcher(int64_t when);

/* --- start.c --- */
bool sched_start(void); /* idempotent; false: out of memory, errno is set */
struct proc *proc_make(unsigned index);

/* --- fork.c, and what each file has for it: around a fork, and in the child --- */
void start_freeze(void);
void start_thaw(void);
void start_reset(void);
void machine_freeze(void);
bool machine_any(void);
void machine_thaw(void);
void machine_reset(void);
void machine_list_alone(void);
void stack_freeze(void);
void stack_thaw(void);
void stack_reset(void);
void timers_freeze(struct timers *timers);
void timers_thaw(struct timers *timers);
void timers_reset(struct timers *timers); /* empty */
void netpoll_freeze(void);
void netpoll_thaw(void);
void netpoll_reset(void);
void scope_reset(void);
void monitor_reset(void);

/* --- thread.c --- */
/* One that never ends; on *stack, or NULL: one of libc's. false: it couldn't be started. */
bool thread_start(struct waiter **stack, void *(*run)(void *), void *argument);
/* In a forked child, which hasn't got the thread. */
void thread_forget_stack(struct waiter **stack);

/* --- stack.c --- */
/* stack_take and stack_give are in stack.h. */
unsigned stack_pool_default(void);
bool stack_size_is_allowed(size_t size);
/* Gives memory of stacks that nobody wanted of late to the kernel. */
void stack_trim(void);
bool stack_has_warm(void); /* some for stack_trim to come back to */
/* The coroutine under whose guard page the address lies, or NULL. Any thread, any time. */
struct waiter *stack_of_guard(uintptr_t address);
/* Every stack that ever was one, in use or not. */
void stack_each(void (*visit)(struct waiter *waiter, void *argument), void *argument);
void stack_flush(struct proc *proc); /* its pool to the common one */

/* --- timers.c --- */
struct timers *timers_make(void);
/* The earliest of a heap's; INT64_MAX: none. No lock. */
int64_t timers_next(const struct timers *timers);
/* Fires what is due; whether anything was. */
bool timers_run(struct timers *timers, int64_t now);
int64_t timers_next_of_all(void);

/* --- monitor.c --- */
bool monitor_start(void);
void monitor_notice(void); /* somebody works again */
void monitor_dump(void);   /* from a signal handler: print all, then exit */

/* --- netpoll.c --- */
/* Makes runnable whoever's descriptor is ready, and returns how many; waits until then or `until`.
 */
unsigned netpoll(int64_t until);
int64_t netpoll_looked_at(void);   /* when somebody did so last */
void netpoll_if_late(int64_t now); /* the monitor's, as are the next two */
void netpoll_prove(void);
bool netpoll_has_unproved(void);
bool netpoll_has_waiters(void);
bool netpoll_started(void);
void netpoll_interrupt(void);

/* --- help.c --- */
/* A worker has looked for events, and some were there. */
void help_note_look(struct proc *proc, int64_t now);
/* Whether others should be woken, as its owner has, for so many events. */
bool help_is_worth(const struct proc *proc, unsigned events);
/* Whether who idles needn't watch, as somebody at work will look for events soon. */
bool help_is_needless(int64_t now);
/* The monitor; whether it should look again soon. */
bool help_look(int64_t now);
/* `running` threads, some of them ours: whether one more of ours would take another's processor. */
bool help_is_crowd(unsigned running, unsigned online, unsigned ours);
void help_force(bool crowded); /* whatever the monitor counts; for tests */
void help_reset(void);

/* --- scope.c --- */
void scope_child_starts(struct ga_scope *scope);
void scope_child_ended(struct ga_scope *scope);
uint64_t coro_count_living(void);  /* main aside; spawn.c */
uint64_t coro_count_awaited(void); /* the same without daemons */
/* Somebody has ended, by a machine inside; its proc, or NULL. */
void scope_check_wait_all(const struct proc *mine);

extern GA_HIDDEN const char *const park_reason_texts[park_reason_count];

/* --- report.c --- */
GA_NORETURN void report_deadlock(void);
GA_NORETURN void report_overflow(struct waiter *waiter, uintptr_t address, void *context);
void report_all(void);
void report_trace_line(void);

/* --- deadlock.c --- */
/* Called by who goes to sleep as perhaps the last one, no lock held. */
void deadlock_check(void);

/* --- signals.c --- */
void signals_start(void);
void *signals_make_stack(void);

/* --- annotate.c --- */
bool annotate_wanted(void);
void annotate_new(struct waiter *waiter);
/* Around frame_switch, on either side of it. from_dead: the stack left is not to be seen again. */
void annotate_leave(struct fiber *from, const struct fiber *to, bool from_dead);
void annotate_arrive(struct fiber *self, struct fiber *from);
void annotate_thread(struct fiber *fiber);

/* Procs that exist, in use or not. Acquire: those below it are made. */
GA_INLINE unsigned procs_made(void)
{
    return __atomic_load_n(&sched.procs_made, __ATOMIC_ACQUIRE);
}

GA_INLINE void waiter_set_status(struct waiter *waiter, enum waiter_status status)
{
    atomic_store_explicit(&waiter->status, status, memory_order_relaxed);
}

GA_INLINE enum waiter_status waiter_status(const struct waiter *waiter)
{
    return (enum waiter_status)atomic_load_explicit(&waiter->status, memory_order_relaxed);
}

/* What a first switch to it touches. Any address will do. */
GA_INLINE void waiter_fetch(const struct waiter *waiter)
{
    uintptr_t address = (uintptr_t)waiter;
    __builtin_prefetch((const void *)(address - GA_CACHE_LINE));
    __builtin_prefetch((const void *)address);
    __builtin_prefetch((const void *)(address + GA_CACHE_LINE));
}

/* What a switch to one that was parked touches. */
GA_INLINE void waiter_fetch_parked(const struct waiter *waiter)
{
    __builtin_prefetch(waiter);
    __builtin_prefetch(&waiter->cxx);
}

/* A counter that one thread writes and others read. */
GA_INLINE void count_up(uint64_t *counter)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

#endif
