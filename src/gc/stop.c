// SPDX-License-Identifier: MIT
/*
 * stop.c: stopping the world, and letting it go on.
 *
 *   STOP_PENDING --the thread's handler--> STOP_STOPPED
 *        | the thread has ended, or doesn't answer for STOP_LIMIT
 *        v
 *   STOP_GONE
 *
 * Place: cycle.c calls it. Calls src/os for threads and signals.
 *
 * Threads are listed and signalled until a listing shows none that is new: one that a running
 * thread has started meanwhile is in the next listing. Each waits in its handler, on its own stack,
 * until the generation changes. A thread that is on its way out never answers; it is asked about
 * once the others have taken long. One that doesn't answer at all is named in a line, and the stop
 * is given up: the cycle is lost, not the program. Those inside of a blocking region aren't asked:
 * they count as stopped, and stay inside while the world is.
 *
 * Invariants: an entry's thread answers at most once a generation; a signal that comes late finds
 * its entry not pending, or another's, and does nothing.
 * Locking: the collector's thread alone; it holds the allocator's locks already, so no stopped
 * thread does. Signals: the handler touches no lock, no TLS, no errno; what it interrupted goes on
 * (src/os/waits.c).
 */
#include "../mheap/mheap.h"
#include "../os/os.h"
#include "../os/proc.h"
#include "../os/report.h"
#include "helpers.h"
#include "internal.h"

#define STOP_LIMIT (2 * GC_SECOND)
/* After so long without an answer a thread is asked about. */
#define STOP_DOUBT (GC_SECOND / 100)

static struct {
    struct stopped *entries; /* old ones stay readable: a late signal may lead there */
    unsigned count, capacity;
    unsigned self;
    bool overflow;
    atomic_uint generation; /* release when a stop ends: what the collector did comes before */
    atomic_uint waiting; /* answers still to come; the handlers' release, the collector's acquire */
} world;

/* --- In the stopped thread --- */

static uintptr_t thread_pointer(void)
{
    return (uintptr_t)__builtin_thread_pointer();
}

static void stopped_here(void *payload, void *context)
{
    struct stopped *entry = payload;
    unsigned generation = entry->generation, pending = STOP_PENDING;
    if (entry->thread != os_thread_id() ||
        atomic_load_explicit(&entry->state, memory_order_relaxed) != STOP_PENDING)
        return;
    entry->context = (uintptr_t)context;
    entry->thread_pointer = thread_pointer();
    entry->signal_stack = os_context_signal_stack(context);
    /* Release: the collector reads the above, and this thread's stack. */
    if (!atomic_compare_exchange_strong_explicit(&entry->state, &pending, STOP_STOPPED,
                                                 memory_order_release, memory_order_relaxed))
        return;
    if (atomic_fetch_sub_explicit(&world.waiting, 1, memory_order_release) == 1)
        os_futex_wake(&world.waiting, 1);
    /* Acquire: the collector's stores come before whatever this thread reads next. */
    while (atomic_load_explicit(&world.generation, memory_order_acquire) == generation)
        os_futex_wait(&world.generation, generation);
    os_resume_wait(context);
}

/* --- In the collector --- */

static void count_thread(unsigned thread, void *count)
{
    (void)thread;
    ++*(unsigned *)count;
}

bool stop_prepare(void)
{
    unsigned threads = 0;
    if (!os_catch_stop_signal(stopped_here) || !os_each_thread(count_thread, &threads))
        return false;
    world.self = os_thread_id();
    if (threads * 2 <= world.capacity)
        return true;
    unsigned capacity = threads * 2 + 64;
    struct stopped *entries = mheap_meta_alloc(capacity * sizeof(*entries));
    if (!entries)
        return false;
    world.entries = entries;
    world.capacity = capacity;
    return true;
}

static bool is_known(unsigned thread)
{
    for (unsigned i = world.count; i-- > 0;)
        if (world.entries[i].thread == thread)
            return true;
    return false;
}

/* One that is gone before it got the signal is left out: there's nothing of it to scan. */
static void signal_thread(unsigned thread, void *sent)
{
    if (thread == world.self || helpers_has(thread) || is_known(thread))
        return;
    if (world.count == world.capacity) {
        world.overflow = true;
        return;
    }
    struct stopped *entry = &world.entries[world.count++];
    entry->thread = thread;
    entry->generation = atomic_load_explicit(&world.generation, memory_order_relaxed);
    entry->context = 0;
    atomic_store_explicit(&entry->state, STOP_PENDING, memory_order_release);
    atomic_fetch_add_explicit(&world.waiting, 1, memory_order_relaxed);
    if (!os_send_stop_signal(thread, entry) && os_thread_is_gone(thread)) {
        atomic_store_explicit(&entry->state, STOP_GONE, memory_order_relaxed);
        atomic_fetch_sub_explicit(&world.waiting, 1, memory_order_relaxed);
    }
    ++*(unsigned *)sent;
}

/* From pending; false: it has answered meanwhile. */
static bool give_up(struct stopped *entry)
{
    unsigned pending = STOP_PENDING;
    if (!atomic_compare_exchange_strong_explicit(&entry->state, &pending, STOP_GONE,
                                                 memory_order_acquire, memory_order_acquire))
        return false;
    atomic_fetch_sub_explicit(&world.waiting, 1, memory_order_acquire);
    return true;
}

static bool is_pending(const struct stopped *entry)
{
    return atomic_load_explicit(&entry->state, memory_order_acquire) == STOP_PENDING;
}

static void drop_ended(void)
{
    for (unsigned i = 0; i < world.count; i++)
        if (is_pending(&world.entries[i]) && os_thread_is_gone(world.entries[i].thread))
            give_up(&world.entries[i]);
}

/* false: somebody hasn't answered by the deadline. */
static bool await_answers(uint64_t deadline)
{
    unsigned left;
    /* Acquire: pairs with each handler's release. */
    while ((left = atomic_load_explicit(&world.waiting, memory_order_acquire)) > 0) {
        os_futex_wait_for(&world.waiting, left, STOP_DOUBT);
        if (atomic_load_explicit(&world.waiting, memory_order_acquire) != left)
            continue;
        drop_ended();
        if (os_nanotime() > deadline)
            return false;
    }
    return true;
}

static void name_silent(void)
{
    for (unsigned i = 0; i < world.count; i++)
        if (is_pending(&world.entries[i]) && give_up(&world.entries[i]))
            report_line("gc: thread %u doesn't stop; the cycle is given up",
                        world.entries[i].thread);
}

static bool stop_all(uint64_t deadline)
{
    unsigned sent;
    do {
        sent = 0;
        if (!os_each_thread(signal_thread, &sent) || world.overflow)
            return false;
        if (!await_answers(deadline)) {
            name_silent();
            return false;
        }
    } while (sent);
    return true;
}

/* One that is inside of two regions is met in the inner one first. */
static void count_blocked(const struct blocked *blocked)
{
    if (is_known(blocked->thread))
        return;
    if (world.count == world.capacity) {
        world.overflow = true;
        return;
    }
    struct stopped *entry = &world.entries[world.count++];
    entry->thread = blocked->thread;
    entry->context = blocked->stack;
    entry->thread_pointer = blocked->thread_pointer;
    entry->signal_stack = blocked->signal_stack;
    atomic_store_explicit(&entry->state, STOP_STOPPED, memory_order_relaxed);
}

bool stop_world(void)
{
    world.count = 0;
    world.overflow = false;
    atomic_store_explicit(&world.waiting, 0, memory_order_relaxed);
    blocking_hold(count_blocked);
    if (stop_all(os_nanotime() + STOP_LIMIT))
        return true;
    for (unsigned i = 0; i < world.count; i++)
        if (is_pending(&world.entries[i]))
            give_up(&world.entries[i]);
    resume_world();
    return false;
}

void resume_world(void)
{
    atomic_fetch_add_explicit(&world.generation, 1, memory_order_release);
    os_futex_wake(&world.generation, INT32_MAX);
    blocking_release();
}

unsigned stop_capacity(void)
{
    return world.capacity;
}

unsigned stop_count(void)
{
    return world.count;
}

void stop_forget(void)
{
    world.count = 0;
}

const struct stopped *stop_thread(unsigned i)
{
    return &world.entries[i];
}
