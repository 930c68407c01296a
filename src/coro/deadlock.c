// SPDX-License-Identifier: MIT
/*
 * deadlock.c: whether everybody is asleep for good.
 *
 * Place: called by a machine that has nothing to do, and by a thread that waits. Calls the reporter
 * if nothing can ever wake anybody.
 *
 * That is so if all machines are idle or wait for their pinned coroutine; no coroutine is queued;
 * no timer runs and nobody waits for a descriptor; and the process has no thread beside the
 * machines, the monitor and those that wait in park: any other might do something yet.
 *
 * Invariants: no false alarm. A machine or thread stops counting as asleep before it is woken, and
 * starts only when nothing is left for it to do. Every wake-up is counted first, and so is who is
 * about to wake others though it counts as asleep, or not at all: the watcher and the monitor, with
 * a timer or a descriptor in hand. So if all sleep, and no wake-up was counted until everything
 * else has been looked at, all slept all the while. Locking: sched.lock.
 */
#include "internal.h"

struct count {
    unsigned wakes; /* read first */
    unsigned machines, asleep, spare, queued;
    int parked;
};

static struct count count(void)
{
    struct count count;
    count.wakes = atomic_load(&sched.wakes);
    lock_acquire(&sched.lock);
    count.machines = sched.machine_count;
    count.asleep = sched.idle_machine_count + sched.waiting_machines;
    count.spare = sched.spare_machines;
    count.queued = atomic_load_explicit(&sched.queued, memory_order_relaxed);
    lock_release(&sched.lock);
    count.parked = (int)atomic_load(&sched.foreign_parked); /* less than none: see park.c */
    return count;
}

static bool somebody_works(const struct count *count)
{
    return count->asleep != count->machines || count->queued > 0 || count->parked < 0 ||
           timers_next_of_all() != INT64_MAX || netpoll_has_waiters() ||
           atomic_load(&sched.wakers) > 0;
}

static bool queues_are_empty(void)
{
    for (unsigned i = 0; i < procs_made(); i++)
        if (!queue_is_empty(sched.procs[i]))
            return false;
    return true;
}

static bool nobody_waits(const struct count *count)
{
    return coro_count_living() == 0 && count->parked == 0 && !sched.main;
}

void deadlock_check(void)
{
    if (!sched_started())
        return;
    struct count before = count();
    if (somebody_works(&before) || !queues_are_empty() || nobody_waits(&before))
        return;
    /* The monitor is one more. */
    unsigned known = before.machines - before.spare + 1 + (unsigned)before.parked;
    unsigned threads = os_threads();
    if (threads == 0 || threads > known)
        return;
    struct count after = count();
    if (after.asleep != after.machines || after.machines != before.machines ||
        after.parked != before.parked || atomic_load(&sched.wakes) != before.wakes)
        return;
    report_deadlock();
}
