// SPDX-License-Identifier: MIT
/*
 * park.h: how something waits and is woken: the one interface between the scheduler and whatever
 * blocks (channels, select, sync, context, sleeping, I/O).
 *
 *   running --park--> waiting --park_ready--> runnable --> running
 *
 * A waiter is a coroutine, or a thread that is none. Whoever parks makes the wait visible to a
 * future waker while it holds a lock, and lets park() release that lock by `commit` once its stack
 * may be used by others. Exactly one park_ready answers each park.
 */
#ifndef GOALLOC_CORO_PARK_H
#define GOALLOC_CORO_PARK_H

#include "../goalloc.h"

struct waiter;

/* What a waiter waits for; park_reason_text has Go's words. */
enum park_reason {
    park_none,
    park_chan_send,
    park_chan_recv,
    park_nil_send,
    park_nil_recv,
    park_select,
    park_select_empty,
    park_mutex,
    park_rwmutex_r,
    park_rwmutex_w,
    park_waitgroup,
    park_cond,
    park_semaphore,
    park_once,
    park_context,
    park_sleep,
    park_io,
    park_scope,
    park_wait_all,
    park_finished, /* main after ga_exit */
    park_reason_count,
};
const char *park_reason_text(enum park_reason reason);

/*
 * The caller's own. Never NULL: a thread the runtime has never seen gets one of its own, freed when
 * the thread ends. Valid until the coroutine or thread ends; the memory stays readable afterwards.
 */
struct waiter *park_self(void);

/*
 * Runs on the scheduler's side, when the waiter's stack is saved: as a rule it releases the lock
 * under which the wait was made visible. false calls the wait off, and the waiter goes on. It must
 * neither park nor allocate.
 */
typedef bool park_commit(struct waiter *self, void *argument);

/*
 * Go's gopark. Returns when park_ready() was called for the caller, perhaps on another thread of
 * the system. `object` is what is waited for, for reports only. On a plain thread commit is called
 * first, then the thread waits; a park_ready that comes before the wait is not lost.
 */
void park(park_commit *commit, void *argument, enum park_reason reason, const void *object);

/*
 * Go's goready: makes a parked waiter runnable: the caller's processor runs it next if the caller
 * is a coroutine, else it goes to the global queue. Takes scheduler locks only, never blocks, keeps
 * errno; may be called with a channel's lock held, from a commit, and from a timer.
 */
void park_ready(struct waiter *waiter);

/* What the waker left for the one it woke. Written before park_ready, read after park. */
void *park_gift(const struct waiter *self);
void park_set_gift(struct waiter *waiter, void *gift);

/* Lets others run first (runtime.Gosched); on a plain thread the system's yield. */
void park_yield(void);
/* Whether a short spin makes sense: more than one processor, others at work, nothing queued here.
 */
bool park_can_spin(unsigned iteration);

/* In a forked child: a waiter whose thread is the parent's, and which will never go on. */
extern GA_HIDDEN bool park_forked; /* this is one; constant but for the fork */
bool park_is_gone(const struct waiter *waiter);

/* For messages: a number that names the caller, 0 for a plain thread; where it was created. */
uint64_t park_id(const struct waiter *waiter);
/* Go's throw: "fatal error: TEXT", the caller's name and creation site, then exit with status 2. */
GA_NORETURN GA_COLD void park_fatal(const char *text);

#endif
