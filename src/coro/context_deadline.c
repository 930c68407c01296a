// SPDX-License-Identifier: MIT
/*
 * context_deadline.c: contexts that end at a time.
 *
 * Place: called by programs through goalloc/context.h. Calls context.c and the scheduler's timers.
 *
 * Invariants: the timer has a reference from timer_start until it has fired, or until it was
 * stopped in time; so a context isn't freed under its timer, and one that nobody else has any more
 * lasts until it fires, unless it is cancelled. Locking: the timer is started and stopped without a
 * latch.
 */
#include <errno.h>

#include "context.h"

static void fire(void *argument)
{
    struct deadline *deadline = argument;
    context_end(&deadline->canceller, ETIMEDOUT, "context deadline exceeded");
    ga_context_release(&deadline->canceller.context);
}

void context_stop_timer(struct canceller *canceller)
{
    struct deadline *deadline = (struct deadline *)canceller;
    if (timer_stop(&deadline->timer))
        ga_context_release(&canceller->context);
}

static void start_timer(struct deadline *deadline, int64_t when)
{
    ga_context_retain(&deadline->canceller.context);
    deadline->timer.when = when;
    deadline->timer.fire = fire;
    deadline->timer.argument = deadline;
    timer_start(&deadline->timer);
    /* Its parent may have ended it meanwhile, and found no timer to stop. */
    if (context_error(&deadline->canceller.context))
        context_stop_timer(&deadline->canceller);
}

GA_EXPORT struct ga_context *ga_context_with_deadline(struct ga_context *parent, int64_t when)
{
    int64_t parents;
    if (ga_context_deadline(parent, &parents) && parents <= when)
        return ga_context_with_cancel(parent);
    struct ga_context *context = context_new(sizeof(struct deadline), CONTEXT_DEADLINE, parent);
    context->deadline = when;
    context_adopt((struct canceller *)context);
    if (context_error(context))
        return context;
    if (when <= timer_now())
        context_end((struct canceller *)context, ETIMEDOUT, "context deadline exceeded");
    else
        start_timer((struct deadline *)context, when);
    return context;
}

GA_EXPORT struct ga_context *ga_context_with_timeout(struct ga_context *parent, int64_t nanoseconds)
{
    return ga_context_with_deadline(parent, timer_after(nanoseconds));
}
