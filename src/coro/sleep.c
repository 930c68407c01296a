// SPDX-License-Identifier: MIT
/*
 * sleep.c: ga_sleep, ga_after, ga_every and tickers, on timer.h.
 *
 * Place: programs call it. Calls timers.c, park.c and spawn.c.
 *
 * Invariants: a timer's memory is counted: one for its owner, one while it waits or fires. Who
 * stops it while it waits drops both; else the fire function drops its own.
 * Locking: a ticker's lock.
 */
#include <errno.h>
#include <goalloc/coro.h>

#include "internal.h"

/* --- Sleeping --- */

static void wake_sleeper(void *waiter)
{
    park_ready(waiter);
}

static bool start_timer(struct waiter *self, void *unused)
{
    (void)unused;
    timer_start(&self->timer);
    return true;
}

GA_EXPORT void ga_sleep(int64_t nanoseconds)
{
    if (nanoseconds <= 0)
        return;
    struct waiter *self = park_self();
    self->timer.when = timer_after(nanoseconds);
    self->timer.period = 0;
    self->timer.fire = wake_sleeper;
    self->timer.argument = self;
    park(start_timer, NULL, park_sleep, NULL);
}

/* --- Timers --- */

struct ga_timer {
    struct timer timer;
    struct lock lock;
    bool armed;     /* it is to run; guarded by lock, as are the following */
    unsigned skips; /* fire functions under way that were stopped too late */
    int64_t period;
    atomic_uint references;
    void (*function)(void *);
    void *argument;
};

static void drop(struct ga_timer *timer)
{
    /* Acquire and release: whoever frees it comes after all that others did to it. */
    if (atomic_fetch_sub_explicit(&timer->references, 1, memory_order_acq_rel) == 1)
        coro_free(timer);
}

/* Lock held. */
static void arm(struct ga_timer *timer, int64_t when)
{
    atomic_fetch_add_explicit(&timer->references, 1, memory_order_relaxed);
    timer->armed = true;
    timer->timer.when = when;
    timer_start(&timer->timer);
}

/* Lock held. Whether it was armed. */
static bool disarm(struct ga_timer *timer)
{
    bool was = timer->armed;
    timer->armed = false;
    if (timer_stop(&timer->timer))
        drop(timer); /* the owner's reference is left */
    else
        timer->skips += was;
    return was;
}

/* Periods that were missed are left out. */
static int64_t next_time(int64_t before, int64_t period)
{
    int64_t late = timer_now() - before;
    return before + period * (1 + (late > 0 ? late / period : 0));
}

/* Whether the function is to run now. */
static bool is_to_run(struct ga_timer *timer)
{
    lock_acquire(&timer->lock);
    bool runs = timer->skips == 0;
    if (!runs)
        timer->skips--;
    else if (timer->period > 0)
        arm(timer, next_time(timer->timer.when, timer->period));
    else
        timer->armed = false;
    lock_release(&timer->lock);
    return runs;
}

static void fire(void *argument)
{
    static const struct ga_site site = {__FILE__, "ga_after", "a timer's function", __LINE__};
    struct ga_timer *timer = argument;
    bool runs = is_to_run(timer);
    void (*function)(void *) = timer->function;
    uintptr_t its = (uintptr_t)timer->argument;
    drop(timer);
    if (runs && ga_go_start(&site, NULL, NULL, (void (*)(void))function, its, 0, 0, 0, 0, 0) != 0)
        park_fatal("out of memory for a timer's coroutine");
}

static ga_timer *make_timer(int64_t nanoseconds, int64_t period, void (*function)(void *),
                            void *argument)
{
    if (!function) {
        errno = EINVAL;
        return NULL;
    }
    struct ga_timer *timer = coro_alloc(sizeof(*timer), true);
    if (!timer)
        return NULL;
    timer->function = function;
    timer->argument = argument;
    timer->period = period;
    timer->timer.fire = fire;
    timer->timer.argument = timer;
    atomic_store_explicit(&timer->references, 1, memory_order_relaxed);
    lock_acquire(&timer->lock);
    arm(timer, timer_after(nanoseconds));
    lock_release(&timer->lock);
    return timer;
}

GA_EXPORT ga_timer *ga_after(int64_t nanoseconds, void (*function)(void *), void *argument)
{
    return make_timer(nanoseconds, 0, function, argument);
}

GA_EXPORT ga_timer *ga_every(int64_t period, void (*function)(void *), void *argument)
{
    if (period <= 0) {
        errno = EINVAL;
        return NULL;
    }
    return make_timer(period, period, function, argument);
}

GA_EXPORT bool ga_timer_stop(ga_timer *timer)
{
    lock_acquire(&timer->lock);
    bool was = disarm(timer);
    lock_release(&timer->lock);
    return was;
}

GA_EXPORT bool ga_timer_reset(ga_timer *timer, int64_t nanoseconds)
{
    lock_acquire(&timer->lock);
    bool was = disarm(timer);
    arm(timer, timer_after(nanoseconds));
    lock_release(&timer->lock);
    return was;
}

GA_EXPORT void ga_timer_free(ga_timer *timer)
{
    if (!timer)
        return;
    ga_timer_stop(timer);
    drop(timer);
}

/* --- Tickers --- */

struct ga_ticker {
    struct timer timer;
    struct lock lock;
    struct waiter *waiter; /* who waits; guarded by lock, as are the following */
    bool ticked, stopped;
    int64_t period;         /* constant */
    atomic_uint references; /* the owner's, and the timer's while it waits or fires */
};

static void drop_ticker(struct ga_ticker *ticker)
{
    if (atomic_fetch_sub_explicit(&ticker->references, 1, memory_order_acq_rel) == 1)
        coro_free(ticker);
}

/* Lock held on entry. */
static void wake_and_release(struct ga_ticker *ticker)
{
    struct waiter *waiter = ticker->waiter;
    ticker->waiter = NULL;
    lock_release(&ticker->lock);
    if (waiter)
        park_ready(waiter);
}

static void tick(void *argument)
{
    struct ga_ticker *ticker = argument;
    lock_acquire(&ticker->lock);
    bool goes_on = !ticker->stopped;
    if (goes_on) {
        ticker->ticked = true;
        ticker->timer.when = next_time(ticker->timer.when, ticker->period);
        timer_start(&ticker->timer);
    }
    wake_and_release(ticker);
    if (!goes_on)
        drop_ticker(ticker);
}

GA_EXPORT ga_ticker *ga_ticker_new(int64_t period)
{
    if (period <= 0) {
        errno = EINVAL;
        return NULL;
    }
    struct ga_ticker *ticker = coro_alloc(sizeof(*ticker), true);
    if (!ticker)
        return NULL;
    atomic_store_explicit(&ticker->references, 2, memory_order_relaxed);
    ticker->period = period;
    ticker->timer.when = timer_after(period);
    ticker->timer.fire = tick;
    ticker->timer.argument = ticker;
    timer_start(&ticker->timer);
    return ticker;
}

static bool release_ticker(struct waiter *self, void *ticker)
{
    (void)self;
    lock_release(&((struct ga_ticker *)ticker)->lock);
    return true;
}

GA_EXPORT bool ga_ticker_wait(ga_ticker *ticker)
{
    lock_acquire(&ticker->lock);
    while (!ticker->ticked && !ticker->stopped) {
        if (ticker->waiter)
            park_fatal("two wait for one ticker");
        ticker->waiter = park_self();
        park(release_ticker, ticker, park_sleep, ticker);
        lock_acquire(&ticker->lock);
    }
    bool ticked = !ticker->stopped;
    ticker->ticked = false;
    lock_release(&ticker->lock);
    return ticked;
}

GA_EXPORT void ga_ticker_stop(ga_ticker *ticker)
{
    lock_acquire(&ticker->lock);
    bool was_waiting = timer_stop(&ticker->timer);
    ticker->stopped = true;
    wake_and_release(ticker);
    if (was_waiting)
        drop_ticker(ticker);
}

GA_EXPORT void ga_ticker_free(ga_ticker *ticker)
{
    if (!ticker)
        return;
    ga_ticker_stop(ticker);
    drop_ticker(ticker);
}
