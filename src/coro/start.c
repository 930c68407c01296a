// SPDX-License-Identifier: MIT
/*
 * start.c: the runtime's beginning, the number of procs, and what happens to it over a fork.
 *
 *   SCHED_NONE --first call--> SCHED_RUNNING --fork, in the child--> SCHED_FORKED --next call--+
 *                                   ^                                                          |
 *                                   +----------------------------------------------------------+
 *
 * Place: called by the first use of anything. Calls everything else once.
 *
 * Invariants: before the first call there is no thread, no handler and no memory; a start that
 * fails is tried again at the next call. Locking: starting's own, outside all others. Fork: fork.c.
 */
#include <errno.h>
#include <string.h>

#include "../options/options.h"
#include "internal.h"

extern char **environ;

static struct lock starting;

bool coro_is_running(void)
{
    return sched_started();
}

static const char *find_environment(const char *name)
{
    size_t length = strlen(name);
    if (os_is_setuid() || !environ)
        return NULL;
    for (char **at = environ; *at; at++)
        if (strncmp(*at, name, length) == 0 && (*at)[length] == '=')
            return *at + length + 1;
    return NULL;
}

/* At most `most`; 0: it isn't a number. */
static unsigned number_of(const char *text, unsigned most)
{
    unsigned value = 0;
    for (; text && *text >= '0' && *text <= '9'; text++) {
        value = value * 10 + (unsigned)(*text - '0');
        value = value > most ? most : value;
    }
    return text && *text != '\0' ? 0 : value;
}

static unsigned wanted_procs(void)
{
    unsigned count = number_of(find_environment("GOMAXPROCS"), PROCS_MAX);
    if (!count)
        count = os_processors();
    return count > PROCS_MAX ? PROCS_MAX : count;
}

static unsigned wanted_trace(void)
{
    uint64_t trace = options.schedtrace;
    if (godebug.schedtrace > 0)
        trace = (uint64_t)godebug.schedtrace;
    return trace > 3600000 ? 3600000 : (unsigned)trace;
}

struct proc *proc_make(unsigned index)
{
    struct proc *proc = coro_alloc(sizeof(*proc), true);
    struct timers *timers = timers_make();
    if (!proc || !timers) {
        coro_free(proc);
        coro_free(timers);
        return NULL;
    }
    proc->index = index;
    proc->timers = timers;
    proc->pool = (uint8_t)stack_pool_default();
    proc->countdown = GLOBAL_TICKS;
    proc->random = os_random_seed() ^ (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return proc;
}

/* Those up to `count` that there never were. */
static bool make_procs(unsigned count)
{
    for (unsigned i = sched.procs_made; i < count; i++) {
        sched.procs[i] = proc_make(i);
        if (!sched.procs[i])
            return false;
        if (i == 0)
            sched.alone = true;
        else if (sched.alone)
            queue_end_alone(sched.procs[0]);
        sched.procs[i]->idle = true;
        __atomic_store_n(&sched.procs_made, i + 1, __ATOMIC_RELEASE);
    }
    return true;
}

/* Idle ones that may be used now are listed; lock held. From the last, so that the first is first.
 */
static void list_idle(unsigned from, unsigned to)
{
    for (unsigned i = to; i-- > from;)
        if (sched.procs[i]->idle)
            sched_put_idle_proc(sched.procs[i]);
}

static bool start(void)
{
    unsigned count = wanted_procs();
    sched.fences = !os_barrier_prepare();
    sched.annotated = annotate_wanted();
    sched.migrate = options.migrate;
    sched.watched = sched.annotated || sched.migrate;
    sched.trace = wanted_trace();
    sched.spins = os_processors() > 1;
    if (sched.migrate && count < 2)
        count = 2;
    if (!make_procs(count))
        return false;
    atomic_store_explicit(&sched.proc_count, count, memory_order_relaxed);
    bool first = !machine_self() && os_is_first_thread();
    if (first) {
        sched.procs[0]->idle = false;
        if (!machine_attach_main(sched.procs[0]))
            return false;
    }
    lock_acquire(&sched.lock);
    list_idle(first, count);
    lock_release(&sched.lock);
    signals_start();
    return monitor_start();
}

bool sched_start(void)
{
    lock_acquire(&starting);
    bool forked = atomic_load_explicit(&sched.state, memory_order_relaxed) == SCHED_FORKED;
    if (!sched_started() && (forked ? monitor_start() : start()))
        atomic_store_explicit(&sched.state, SCHED_RUNNING, memory_order_release);
    lock_release(&starting);
    if (sched_started())
        return true;
    errno = ENOMEM;
    return false;
}

/* --- Changing the number of procs --- */

/* Fewer: those in use retire as soon as they come to look for work. */
static int set_procs(unsigned count)
{
    lock_acquire(&starting);
    unsigned before = atomic_load_explicit(&sched.proc_count, memory_order_relaxed);
    if (make_procs(count)) {
        lock_acquire(&sched.lock);
        atomic_store_explicit(&sched.proc_count, count, memory_order_relaxed);
        sched.idle_procs = NULL;
        atomic_store(&sched.idle_proc_count, 0);
        list_idle(0, sched.procs_made);
        lock_release(&sched.lock);
    }
    lock_release(&starting);
    sched_wake_idle();
    return (int)before;
}

GA_EXPORT int ga_set_procs(int n)
{
    if (!sched_started() && !sched_start())
        return -1;
    if (n > 0)
        return set_procs((unsigned)n > PROCS_MAX ? PROCS_MAX : (unsigned)n);
    return (int)atomic_load_explicit(&sched.proc_count, memory_order_relaxed);
}

GA_EXPORT int64_t ga_now(void)
{
    return timer_now();
}

/* --- Fork --- */

void start_freeze(void)
{
    lock_freeze(&starting);
}

void start_thaw(void)
{
    lock_thaw(&starting);
}

void start_reset(void)
{
    lock_reset(&starting);
}
