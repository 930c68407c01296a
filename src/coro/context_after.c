// SPDX-License-Identifier: MIT
/*
 * context_after.c: functions to be called when a context ends.
 *
 * Place: called by programs through goalloc/context.h; context.c fires. Calls ga_go.
 *
 * Invariants: a handle has two references, its owner's and its watch's; who takes the watch off the
 * context's list, by stopping or by ending it, has the latter and does or drops the call.
 * Locking: none of its own; the context's latch is not held when a coroutine is started.
 */
#include "../os/report.h"
#include "context.h"
#include "goalloc/coro.h"
#include "memory.h"

struct ga_after_func {
    struct context_watch watch;
    struct ga_context *context; /* with a reference; constant */
    void (*function)(void *);   /* constant */
    void *argument;             /* constant */
    atomic_uint references;     /* release to drop one, acquire by who drops the last */
};

static void drop(struct ga_after_func *after)
{
    if (atomic_fetch_sub_explicit(&after->references, 1, memory_order_acq_rel) != 1)
        return;
    ga_context_release(after->context);
    coro_free(after);
}

static void fire(void *argument)
{
    struct ga_after_func *after = argument;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): ga_go's check of the arguments */
    if (ga_go(after->function, after->argument) != 0)
        report_fatal("no memory for a coroutine at a context's end");
    drop(after);
}

GA_EXPORT struct ga_after_func *ga_context_after_func(struct ga_context *context,
                                                      void (*function)(void *), void *argument)
{
    struct ga_after_func *after = coro_alloc(sizeof(*after), true);
    if (!after)
        report_fatal("no memory for a function at a context's end");
    after->context = ga_context_retain(context ? context : ga_context_background());
    after->function = function;
    after->argument = argument;
    after->watch.kind = CONTEXT_WATCH_LATER;
    after->watch.fire = fire;
    after->watch.argument = after;
    atomic_init(&after->references, 2);
    if (context_watch(after->context, &after->watch) != 0)
        fire(after);
    return after;
}

GA_EXPORT bool ga_context_stop(struct ga_after_func *after)
{
    bool stopped = context_unwatch(after->context, &after->watch);
    if (stopped)
        drop(after); /* the watch's */
    drop(after);
    return stopped;
}
