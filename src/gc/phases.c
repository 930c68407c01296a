// SPDX-License-Identifier: MIT
/*
 * phases.c: telling the program where a cycle is.
 *
 * Place: src/libc adds and removes functions, thread.c has them called. Calls the program.
 *
 * The functions run on the collector's thread, while the world runs and nothing of the library's
 * is locked: what they want of it they get, but for a cycle, which would have to be their own.
 *
 * Invariants: an entry that was removed isn't called any more once phases_remove has returned,
 * unless the entry itself has removed it. The entries are roots, as the library's data is.
 * Locking: phases_lock guards the entries, and is not held over a call. `running` is written with
 * it held; who waits for its change sees with acquire what the call has done, which is released.
 * Fork: a child has the entries, and none of them is running in it.
 */
#include "../os/lock.h"
#include "../os/os.h"
#include "internal.h"

#define ENTRIES_MAX 64

struct lock phases_lock;

static struct {
    struct entry {
        gc_phase_call *call; /* NULL: free */
        void *argument;
    } entries[ENTRIES_MAX]; /* guarded by phases_lock */
    atomic_uint count;      /* of those in use; relaxed, for who has none to tell */
    atomic_uint running;    /* one more than the index of the entry that is being called; 0: none */
} phases;

static struct entry *find(gc_phase_call *call, void *argument)
{
    for (unsigned i = 0; i < ENTRIES_MAX; i++)
        if (phases.entries[i].call == call && phases.entries[i].argument == argument)
            return &phases.entries[i];
    return NULL;
}

bool phases_add(gc_phase_call *call, void *argument)
{
    lock_acquire(&phases_lock);
    struct entry *entry = find(NULL, NULL);
    if (entry) {
        *entry = (struct entry){call, argument};
        atomic_fetch_add_explicit(&phases.count, 1, memory_order_relaxed);
    }
    lock_release(&phases_lock);
    return entry != NULL;
}

static void await_end_of_call(unsigned running)
{
    while (atomic_load_explicit(&phases.running, memory_order_acquire) == running)
        os_futex_wait(&phases.running, running);
}

void phases_remove(gc_phase_call *call, void *argument)
{
    lock_acquire(&phases_lock);
    struct entry *entry = find(call, argument);
    if (entry) {
        *entry = (struct entry){NULL, NULL};
        atomic_fetch_sub_explicit(&phases.count, 1, memory_order_relaxed);
    }
    lock_release(&phases_lock);
    if (entry && !gc_is_own_thread())
        await_end_of_call((unsigned)(entry - phases.entries) + 1);
}

static void set_running(unsigned running)
{
    atomic_store_explicit(&phases.running, running, memory_order_release);
}

static void call_entry(unsigned index, enum ga_gc_phase phase)
{
    lock_acquire(&phases_lock);
    struct entry entry = phases.entries[index];
    set_running(entry.call ? index + 1 : 0);
    lock_release(&phases_lock);
    if (!entry.call)
        return;
    entry.call(phase, entry.argument);
    lock_acquire(&phases_lock);
    set_running(0);
    lock_release(&phases_lock);
    os_futex_wake(&phases.running, INT32_MAX);
}

void phases_tell(enum ga_gc_phase phase)
{
    if (atomic_load_explicit(&phases.count, memory_order_relaxed) == 0)
        return;
    for (unsigned i = 0; i < ENTRIES_MAX; i++)
        call_entry(i, phase);
}

void phases_reset_in_child(void)
{
    lock_reset(&phases_lock);
    set_running(0);
}
