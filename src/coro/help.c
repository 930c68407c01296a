// SPDX-License-Identifier: MIT
/*
 * help.c: when descriptors' events are worth one more worker.
 *
 * Place: sched.c notes each look for events, machine.c asks before it watches or rests, the monitor
 * counts processors.
 *
 * Where a processor is free, whoever idles watches for events, and takes those that come while
 * others work. Where other programs have all of them, that costs more than it brings: each event
 * wakes a thread, which another program's leaves its processor for, and which finds one event or
 * two that the worker would have had its hands on some microseconds later. (An echo server and
 * its load, on two processors: 5,000 to 11,000 such wake-ups a second, a tenth of what both can
 * do.) So in a crowd
 *
 *   - nobody watches while somebody works who looks for events every 2 ms;
 *   - events wake another worker only where what is queued will take this one over 400 us; below
 *     that the echo server lost by it.
 *
 * But not where a coroutine runs for over 15 us before it waits, by what they took of late: that is
 * worth a wake-up and its share of a processor.
 * Who fails to look in time finds others that watch again: they sleep for no more than that.
 *
 * Invariants: `crowded` is a hint that may be 10 ms old, and false where nobody looks; where all
 * are idle it has no effect. A proc's figures are its owner's. Locking: none.
 */
#include "internal.h"

#define SAMPLE_EVERY INT64_C(10000000)
#define WORTH        INT64_C(400000)
#define DEAR         INT64_C(15000)
#define WEIGHT       4 /* of what was before, against one of what is new */

static struct {
    atomic_bool crowded;      /* relaxed, as are the following */
    _Atomic(int64_t) back_at; /* a worker will have looked by then */
    int64_t sampled_at;       /* the monitor's */
} help;

bool help_is_crowd(unsigned running, unsigned online, unsigned busy)
{
    unsigned ours = busy < running ? busy : running;        /* some may sleep in the kernel */
    return running - ours + (ours > 2 ? ours : 2) > online; /* one more than one are two */
}

void help_sample(int64_t now)
{
    unsigned procs = atomic_load_explicit(&sched.proc_count, memory_order_relaxed);
    unsigned idle = atomic_load(&sched.idle_proc_count);
    unsigned running, online;
    if (idle == 0 || idle >= procs || !netpoll_has_waiters() ||
        now - help.sampled_at < SAMPLE_EVERY)
        return;
    help.sampled_at = now;
    /* The caller is one of those that run. */
    bool known =
        os_count_running("/proc/loadavg", "/sys/devices/system/cpu/online", &running, &online);
    bool crowded = known && running > 0 && help_is_crowd(running - 1, online, procs - idle);
    atomic_store_explicit(&help.crowded, crowded, memory_order_relaxed);
}

static bool is_crowded(void)
{
    return GA_UNLIKELY(atomic_load_explicit(&help.crowded, memory_order_relaxed));
}

/* What it has before it takes so long, or each coroutine of it does. */
static bool is_worth(const struct proc *proc, int64_t limit)
{
    return proc->turn > DEAR || (1 + (int64_t)queue_length(proc)) * proc->turn > limit;
}

bool help_is_worth(const struct proc *proc)
{
    return !is_crowded() || is_worth(proc, WORTH);
}

void help_note_look(struct proc *proc, int64_t now)
{
    unsigned tick = atomic_load_explicit(&proc->tick, memory_order_relaxed);
    unsigned turns = tick - proc->looked_tick;
    if (proc->looked_at != 0 && turns > 0)
        proc->turn += ((now - proc->looked_at) / turns - proc->turn) / (WEIGHT + 1);
    proc->looked_at = now;
    proc->looked_tick = tick;
    if (!is_crowded())
        return;
    int64_t back_at = is_worth(proc, HELP_PATIENCE) ? 0 : now + HELP_PATIENCE;
    atomic_store_explicit(&help.back_at, back_at, memory_order_relaxed);
    if (is_worth(proc, WORTH))
        sched_wake_idle();
}

/* A watcher, or nobody at work: it's up to the others to look, as ever. */
bool help_is_needless(int64_t now)
{
    return is_crowded() && atomic_load(&sched.watcher) == NULL &&
           atomic_load(&sched.idle_proc_count) <
               atomic_load_explicit(&sched.proc_count, memory_order_relaxed) &&
           now < atomic_load_explicit(&help.back_at, memory_order_relaxed);
}

void help_reset(void)
{
    atomic_store_explicit(&help.crowded, false, memory_order_relaxed);
}
