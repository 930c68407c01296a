// SPDX-License-Identifier: MIT
/*
 * help.c: when descriptors' events are worth one more worker.
 *
 * Place: sched.c notes each look for events, machine.c asks before it watches, the monitor counts
 * processors and sees to those that fail to look. Calls src/os.
 *
 * Where a processor is free, whoever idles watches for events, and takes those that come while
 * others work. Where other programs have all of them, that costs more than it brings: each event
 * wakes a thread, for which another program's has to leave its processor, and which finds one event
 * or two that the worker would have had its hands on some microseconds later. (An echo server and
 * its load, on two processors: 5,000 to 11,000 such wake-ups a second, a tenth of what both can
 * do.) So in a crowd
 *
 *   - nobody watches while somebody works who looks for events every 2 ms. Where nobody has, the
 *     monitor wakes somebody, at its next look: it has one each millisecond then;
 *   - events alone wake another worker only where what is queued will take this one over 400 us;
 *     below that the echo server lost by it.
 *
 * But not where a coroutine runs for over 15 us before it waits, by what they took of late, or
 * where that isn't known: that is worth a wake-up and its share of a processor.
 *
 * Invariants: `crowded` is a hint, true for at most 50 ms after it was last seen to be so; where
 * nobody works it has no effect; no event is left while all wait (tests/model/crowd.pml). A proc's
 * figures are its owner's. Locking: sched.lock, to count.
 */
#include "internal.h"

#define SAMPLE_EVERY INT64_C(10000000)
#define BELIEVED_FOR INT64_C(50000000)
#define WORTH        INT64_C(400000)
#define PATIENCE     INT64_C(2000000)
#define DEAR         INT64_C(15000)
#define WEIGHT       4 /* of what was before, against one of what is new */

static struct {
    atomic_bool crowded;      /* relaxed, as is the following */
    _Atomic(int64_t) back_at; /* a worker will have looked by then; 0: none says so */
    int64_t sampled_at;       /* the monitor's, as is the following */
    int64_t seen_at;          /* when it was crowded last */
    bool owes;                /* to wake somebody, now that it is over */
    atomic_bool forced;       /* by a test; relaxed */
} help;

/* --- Crowds; the monitor --- */

bool help_is_crowd(unsigned running, unsigned online, unsigned ours)
{
    ours = ours < running ? ours : running; /* some may sleep in the kernel */
    unsigned others = running - ours;
    return others > 0 && others + (ours > 2 ? ours : 2) > online; /* one more than one are two */
}

/* Workers that neither idle nor wait, whether or not the monitor has taken their procs. */
static unsigned count_working(void)
{
    lock_acquire(&sched.lock);
    unsigned count = sched.machine_count - sched.idle_machine_count - sched.waiting_machines;
    lock_release(&sched.lock);
    return count;
}

static bool is_work_shared(void)
{
    unsigned idle = atomic_load(&sched.idle_proc_count);
    return idle > 0 && idle < atomic_load_explicit(&sched.proc_count, memory_order_relaxed);
}

static void sample(int64_t now)
{
    unsigned running, online;
    help.sampled_at = now;
    /* The caller is one of those that run. */
    if (os_count_running("/proc/loadavg", "/sys/devices/system/cpu/online", &running, &online) &&
        help_is_crowd(running - 1, online, count_working()))
        help.seen_at = now;
}

void help_force(bool crowded)
{
    atomic_store_explicit(&help.forced, crowded, memory_order_relaxed);
}

static bool is_crowded(void)
{
    return GA_UNLIKELY(atomic_load_explicit(&help.crowded, memory_order_relaxed));
}

static bool is_overdue(int64_t now)
{
    return now >= atomic_load_explicit(&help.back_at, memory_order_relaxed);
}

bool help_look(int64_t now)
{
    bool watched_for = is_work_shared() && netpoll_has_waiters();
    if (watched_for && now - help.sampled_at >= SAMPLE_EVERY)
        sample(now);
    bool crowded = (help.seen_at != 0 && now - help.seen_at < BELIEVED_FOR) ||
                   atomic_load_explicit(&help.forced, memory_order_relaxed);
    if (crowded != is_crowded()) {
        atomic_store_explicit(&help.crowded, crowded, memory_order_relaxed);
        help.owes = !crowded; /* those that rest don't see it */
    }
    if (atomic_load(&sched.watcher) != NULL)
        help.owes = false;
    else if (watched_for && (help.owes || (crowded && is_overdue(now))))
        sched_wake_idle();
    return watched_for && (crowded || help.owes);
}

/* --- Workers --- */

/* What it has before it takes so long, or each coroutine of it does, or that isn't known. */
static bool is_worth(const struct proc *proc, int64_t limit)
{
    return proc->turn == 0 || proc->turn > DEAR ||
           (1 + (int64_t)queue_length(proc)) * proc->turn > limit;
}

/* Coroutines that those events haven't made runnable; theirs lie on the global queue or came to
 * the proc's, but for the one that it is about to run. */
static bool others_are_queued(const struct proc *proc, unsigned events)
{
    if (atomic_load_explicit(&sched.queued, memory_order_relaxed) + queue_length(proc) >= events)
        return true;
    for (unsigned i = 0; i < procs_made(); i++)
        if (sched.procs[i] != proc && !queue_ring_is_empty(sched.procs[i]))
            return true;
    return false;
}

bool help_is_worth(const struct proc *proc, unsigned events)
{
    return !is_crowded() || is_worth(proc, WORTH) || others_are_queued(proc, events);
}

void help_note_look(struct proc *proc, int64_t now)
{
    unsigned tick = atomic_load_explicit(&proc->tick, memory_order_relaxed);
    unsigned turns = tick - proc->looked_tick;
    if (proc->looked_at != 0 && turns > 0) {
        int64_t turn = (now - proc->looked_at) / turns;
        proc->turn = proc->turn ? proc->turn + (turn - proc->turn) / (WEIGHT + 1) : turn + 1;
    }
    proc->looked_at = now;
    proc->looked_tick = tick;
    if (!is_crowded())
        return;
    int64_t back_at = is_worth(proc, PATIENCE) ? 0 : now + PATIENCE;
    atomic_store_explicit(&help.back_at, back_at, memory_order_relaxed);
    if (is_worth(proc, WORTH))
        sched_wake_idle();
}

/* Where somebody watches, or nobody works, it's up to the others to look, as ever. */
bool help_is_needless(int64_t now)
{
    return is_crowded() && atomic_load(&sched.watcher) == NULL && is_work_shared() &&
           !is_overdue(now);
}

void help_reset(void)
{
    atomic_store_explicit(&help.crowded, false, memory_order_relaxed);
    help.seen_at = 0;
}
