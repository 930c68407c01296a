// SPDX-License-Identifier: MIT
/*
 * fork.c: a child that can allocate, whatever the parent's other threads were doing.
 *
 * Place: registered once by init.c; glibc calls the handlers around fork.
 *
 * All locks are frozen over the fork, so the child sees every shared structure whole: held, but not
 * in the way of the forking thread itself, since handlers that a library registered before ours run
 * between ours and the fork, and may allocate. stdio's list
 * lock comes first: fork takes it after these handlers, while another thread's fopen or fflush
 * takes it and then calls malloc. Taken here in that same order nobody waits in a circle; it is
 * recursive, so fork's own taking it again does no harm. (jemalloc and tcmalloc hang here.)
 *
 * Order: stdio's list lock, the caches' registry, every central in order of class, the page heap.
 */
#include <pthread.h>

#include "../mcentral/mcentral.h"
#include "../os/lock.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

/* glibc exports them, no header declares them. */
extern void _IO_list_lock(void);
extern void _IO_list_unlock(void);

static void prepare(void)
{
    _IO_list_lock();
    lock_fork_begin();
    mcache_lock_for_fork();
    mcentral_lock_all();
    mheap_lock_for_fork();
}

static void parent(void)
{
    mheap_unlock_after_fork();
    mcentral_unlock_all();
    mcache_unlock_after_fork();
    lock_fork_end();
    _IO_list_unlock();
}

/* Only this thread exists. stdio's lock was reset by fork itself. */
static void child(void)
{
    mheap_reset_in_child();
    mcentral_reset_in_child();
    mcache_reset_in_child();
    scavenger_reset_in_child();
    lock_fork_end();
}

void fork_init(void)
{
    pthread_atfork(prepare, parent, child);
}
