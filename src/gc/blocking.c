// SPDX-License-Identifier: MIT
/*
 * blocking.c: threads that promise to leave the heap alone for a while, and needn't be stopped.
 *
 *   the caller's frames         what they have stored lives
 *   gc_blocking's frame         the registers that the caller's frames may still need, the argument
 *   --------------------------- the region's `stack`
 *   run_region's, the call's    nothing that the collector looks at
 *
 * A call and not a begin and an end: while it runs no frame above it changes, so that a stack that
 * is looked at beside it is as it was. Between a begin and an end a compiler may move a pointer
 * from one place to another.
 *
 * Place: src/libc has it called, stop.c holds those who are inside. Calls the program.
 *
 * Invariants: a region is listed while its thread is inside of it. While the lock is held nobody
 * enters or leaves, so that a stop which holds it may count all regions' threads as stopped.
 * Locking: blocking_lock, held over a stop, inside of all other locks; taken alone by who enters or
 * leaves. It also orders what the thread has written before what the collector reads.
 * Fork: in a child no other thread is inside; who forked from inside of one is treated like any
 * other thread until it leaves it. Signals: not from a handler.
 */
#include <pthread.h>

#include "../os/lock.h"
#include "../os/os.h"
#include "../os/proc.h"
#include "internal.h"

struct lock blocking_lock;

struct region {
    struct region *next, **link; /* guarded by blocking_lock */
    unsigned era;                /* constant, as the rest */
    struct blocked thread;
};

static struct {
    struct region *first; /* guarded by blocking_lock */
    unsigned era;         /* forks up to here; the same */
} blocking;

static void enter(struct region *region, uintptr_t stack)
{
    region->thread = (struct blocked){
        .thread = os_thread_id(),
        .stack = stack,
        .thread_pointer = (uintptr_t)__builtin_thread_pointer(),
        .signal_stack = os_own_signal_stack(),
    };
    lock_acquire(&blocking_lock);
    region->era = blocking.era;
    region->next = blocking.first;
    region->link = &blocking.first;
    if (region->next)
        region->next->link = &region->next;
    blocking.first = region;
    lock_release(&blocking_lock);
}

static void leave(void *of_thread)
{
    struct region *region = of_thread;
    lock_acquire(&blocking_lock);
    if (region->era == blocking.era) {
        *region->link = region->next;
        if (region->next)
            region->next->link = region->link;
    }
    lock_release(&blocking_lock);
}

/* A cancelled thread leaves too. */
static GA_NOINLINE void *run_region(void *(*call)(void *), void *argument)
{
    struct region region;
    void *result;
    enter(&region, (uintptr_t)__builtin_frame_address(0));
    pthread_cleanup_push(leave, &region);
    result = call(argument);
    pthread_cleanup_pop(1);
    return result;
}

GA_NOINLINE void *gc_blocking(void *(*call)(void *), void *argument)
{
    void *volatile kept = argument;
    __builtin_unwind_init(); /* stores all registers that a callee must keep in this frame */
    void *result = run_region(call, kept);
    __asm__ volatile("" : : "r"(kept) : "memory"); /* the frame is needed up to here */
    return result;
}

void blocking_hold(void (*visit)(const struct blocked *thread))
{
    lock_acquire(&blocking_lock);
    for (const struct region *region = blocking.first; region; region = region->next)
        visit(&region->thread);
}

void blocking_release(void)
{
    lock_release(&blocking_lock);
}

void blocking_reset_in_child(void)
{
    lock_reset(&blocking_lock);
    blocking.first = NULL;
    blocking.era++;
}
