// SPDX-License-Identifier: MIT
/*
 * timer.h: something to be done at a time, by the scheduler.
 *
 * A timer is embedded in what it belongs to; each processor has a 4-ary heap of them. The owner
 * fills in the first four fields and leaves the others zero.
 */
#ifndef GOALLOC_CORO_TIMER_H
#define GOALLOC_CORO_TIMER_H

#include "../goalloc.h"

struct timer {
    int64_t when;   /* nanoseconds of the monotonic clock; owner, then the heap's */
    int64_t period; /* 0: once */
    void (*fire)(
        void *argument); /* on a scheduler's thread, no lock held; must not block or park */
    void *argument;
    _Atomic(struct timers *)
        heap;        /* where it is now; NULL: nowhere. Written under that heap's lock */
    size_t position; /* its index there; guarded by the heap's lock */
};

/* The monotonic clock. */
int64_t timer_now(void);
/* `nanoseconds` from now, held within what the clock can say; not in the past. */
int64_t timer_after(int64_t nanoseconds);

void timer_start(struct timer *timer);
/* true: it was waiting and will not fire; false: it has fired, is firing, or was never started.
 * After false the fire function may still run: the owner keeps the memory by a count of its own. */
bool timer_stop(struct timer *timer);
/* Stops and starts anew; what timer_stop would have returned. */
bool timer_reset(struct timer *timer, int64_t when, int64_t period);

#endif
