// SPDX-License-Identifier: MIT
/*
 * thread.c: the scavenger's own thread, for memory that is to go back later and a process in which
 * nobody may come by a slow path then.
 *
 *   THREAD_NONE --want--> THREAD_RUNNING --nothing waits--> THREAD_NONE
 *                               | stop
 *                               v
 *                         THREAD_STOPPING --> THREAD_NONE for good
 *
 * Only with GOALLOC=background, and only while something waits to be given back, or to lie on huge
 * pages. Not by default: a
 * single-threaded program may rely on being one (unshare and setns refuse others, libc's locks cost
 * less), and a program that has shut itself in by seccomp would be killed for our clone. All
 * signals are blocked in it, so that none of the program's is handled there. A forked child has
 * none until it wants one.
 *
 * Locking: the state is one atomic word. The thread takes the locks of a step, holding none while
 * it waits.
 */
#include <errno.h>
#include <pthread.h>

#include "../options/options.h"
#include "../os/os.h"
#include "collapse.h"
#include "internal.h"
#include "pacer.h"

enum thread_state {
    THREAD_NONE,
    THREAD_RUNNING,
    THREAD_STOPPING,
};

/* Release when the thread leaves, acquire by who waits for that; else relaxed. */
static atomic_uint state;
static atomic_bool stopped; /* the process ends: no new thread */
static atomic_bool owed;    /* it was wanted where it must not be started; relaxed */
static uint64_t not_before; /* by os_coarse_nanotime: there was none to be had; stale is harmless */

#define STACK_SIZE ((size_t)64 << 10)
/* How soon it is tried again where it could not be started. */
#define RETRY_AFTER PACER_SECOND
/* How long the process's end waits for the thread to leave. */
#define STOP_WAIT (PACER_SECOND / 5)

/* Until `due`, or until it is told to stop. */
static void wait_until(uint64_t due)
{
    uint64_t now = os_nanotime();
    if (due > now)
        os_futex_wait_for(&state, THREAD_RUNNING, due - now);
}

/* What there is to do, now; and when to do the next. 0: no need. */
static uint64_t next_step(void)
{
    uint64_t release = scavenger_step(true);
    uint64_t collapse = collapse_step(!scavenger_is_limit_near());
    return !release || (collapse && collapse < release) ? collapse : release;
}

static void *run(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "goalloc-scav");
    for (uint64_t due; (due = next_step()) != 0;) {
        wait_until(due);
        if (atomic_load_explicit(&state, memory_order_relaxed) != THREAD_RUNNING)
            break;
    }
    atomic_store_explicit(&state, THREAD_NONE, memory_order_release);
    os_futex_wake(&state, 1);
    return NULL;
}

static bool start(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    os_block_signals(&before);
    bool started = pthread_create(&thread, &attributes, run, NULL) == 0;
    os_restore_signals(&before);
    pthread_attr_destroy(&attributes);
    return started;
}

bool scavenger_owes_thread(void)
{
    return atomic_load_explicit(&owed, memory_order_relaxed);
}

void scavenger_want_thread(void)
{
    unsigned expected = THREAD_NONE;
    if (!options.background || atomic_load_explicit(&state, memory_order_relaxed) != THREAD_NONE ||
        os_coarse_nanotime() < GA_LOAD_ANY(not_before))
        return;
    bool later = os_serves_loader();
    atomic_store_explicit(&owed, later, memory_order_relaxed);
    if (later || atomic_load_explicit(&stopped, memory_order_relaxed) ||
        !atomic_compare_exchange_strong_explicit(&state, &expected, THREAD_RUNNING,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    int saved = errno; /* free keeps it */
    if (!start()) {
        GA_STORE_ANY(not_before, os_coarse_nanotime() + RETRY_AFTER);
        atomic_store_explicit(&state, THREAD_NONE, memory_order_relaxed);
    }
    errno = saved;
}

void scavenger_stop(void)
{
    unsigned expected = THREAD_RUNNING;
    atomic_store_explicit(&stopped, true, memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&state, &expected, THREAD_STOPPING,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    os_futex_wake(&state, 1);
    uint64_t deadline = os_nanotime() + STOP_WAIT;
    while (atomic_load_explicit(&state, memory_order_acquire) == THREAD_STOPPING &&
           os_nanotime() < deadline)
        os_futex_wait_for(&state, THREAD_STOPPING, STOP_WAIT);
}

void scavenger_reset_in_child(void)
{
    atomic_store_explicit(&state, THREAD_NONE, memory_order_relaxed);
    scavenger_forget_step();
    scavenger_forget_trace();
}
