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
 * A signal handler may fork, whatever it interrupted, as long as no other thread is in malloc (who
 * holds a central there may wait for the heap's lock): a lock that this very thread holds is frozen
 * as it is (src/os/lock.h). While the locks are frozen signals are blocked, so that no handler
 * forks in the midst of a fork. (The collector's thread is such another: with one that is on,
 * handlers can't fork; docs/gc.md says so.)
 *
 * Order: stdio's list lock, the coroutine runtime's, the statistics', the collector's, the
 * caches' registry, src/hardened's locks, every central in order of class, the page heap.
 */
#include <pthread.h>

#include "../coro/coro.h"
#include "../gc/gc.h"
#include "../mcentral/mcentral.h"
#include "../observe/observe.h"
#include "../os/lock.h"
#include "../os/os.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

/* glibc exports them, no header declares them. */
extern void _IO_list_lock(void);
extern void _IO_list_unlock(void);
extern void _IO_list_resetlock(void);

static sigset_t signals_before; /* guarded by stdio's list lock */

static void prepare(void)
{
    _IO_list_lock();
    os_block_signals(&signals_before);
    lock_fork_begin();
    coro_lock_for_fork();
    observe_lock_for_fork();
    gc_lock_for_fork();
    mcache_lock_for_fork();
    hardened_lock_for_fork();
    mcentral_lock_all();
    mheap_lock_for_fork();
}

static void parent(void)
{
    mheap_unlock_after_fork();
    mcentral_unlock_all();
    hardened_unlock_after_fork();
    mcache_unlock_after_fork();
    gc_unlock_after_fork();
    observe_unlock_after_fork();
    coro_unlock_after_fork();
    lock_fork_end();
    sigset_t before = signals_before;
    _IO_list_unlock();
    os_restore_signals(&before);
}

/* Only this thread exists. fork itself resets stdio's lock where the parent had several threads; a
 * child of a single thread would keep it for ever, and each thread that it starts would wait. */
static void child(void)
{
    _IO_list_resetlock();
    mheap_reset_in_child();
    mcentral_reset_in_child();
    hardened_reset_in_child();
    mcache_reset_in_child();
    gc_reset_in_child();
    observe_reset_in_child();
    scavenger_reset_in_child();
    coro_reset_in_child();
    lock_fork_end();
    os_restore_signals(&signals_before);
}

void fork_init(void)
{
    pthread_atfork(prepare, parent, child);
}
