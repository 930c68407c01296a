// SPDX-License-Identifier: MIT
/*
 * context.c: the tree of contexts, and how the end of one becomes the end of those below it.
 *
 * Place: called by programs through goalloc/context.h, by sema.c for waits, by context_deadline.c
 * and context_after.c. Calls channels, coro_alloc.
 *
 * The walk is a list, not a recursion: a canceller's children leave its list, one reference each,
 * and wait in the walk's own list for their turn. A tree of any depth needs no stack.
 *
 * Invariants: context.h.
 * Locking: a canceller's latch, one at a time; within it a channel's, or a bucket's (sema.h). What
 * is freed or started is so without a latch. Fork: as latch.c.
 */
#include <errno.h>

#include "../os/report.h"
#include "chan.h"
#include "context.h"
#include "memory.h"

/* --- Making --- */

static struct ga_context background = {.kind = CONTEXT_ROOT, .deadline = INT64_MAX};
static struct ga_context todo = {.kind = CONTEXT_ROOT, .deadline = INT64_MAX};

GA_EXPORT struct ga_context *ga_context_background(void)
{
    return &background;
}

GA_EXPORT struct ga_context *ga_context_todo(void)
{
    return &todo;
}

struct ga_context *context_new(size_t size, enum context_kind kind, struct ga_context *parent)
{
    struct ga_context *context = coro_alloc(size, true);
    if (!context)
        report_fatal("no memory for a context");
    parent = parent ? parent : &background;
    context->kind = kind;
    atomic_init(&context->references, 1);
    context->parent = ga_context_retain(parent);
    context->canceller = kind == CONTEXT_WITHOUT ? NULL : parent->canceller;
    context->deadline = kind == CONTEXT_WITHOUT ? INT64_MAX : parent->deadline;
    return context;
}

GA_EXPORT struct ga_context *ga_context_with_cancel(struct ga_context *parent)
{
    struct ga_context *context = context_new(sizeof(struct canceller), CONTEXT_CANCEL, parent);
    context_adopt((struct canceller *)context);
    return context;
}

GA_EXPORT struct ga_context *ga_context_with_value(struct ga_context *parent, const void *key,
                                                   void *value)
{
    struct ga_context *context = context_new(sizeof(struct value), CONTEXT_VALUE, parent);
    ((struct value *)context)->key = key;
    ((struct value *)context)->value = value;
    return context;
}

GA_EXPORT struct ga_context *ga_context_without_cancel(struct ga_context *parent)
{
    return context_new(sizeof(struct ga_context), CONTEXT_WITHOUT, parent);
}

/* --- References --- */

GA_EXPORT struct ga_context *ga_context_retain(struct ga_context *context)
{
    /* Relaxed: whoever has one reference may make another. */
    if (context && context->kind != CONTEXT_ROOT)
        atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

/* One that is found in a list may be on its way out. */
static bool retain_if_alive(struct ga_context *context)
{
    unsigned count = atomic_load_explicit(&context->references, memory_order_relaxed);
    while (count != 0)
        if (atomic_compare_exchange_weak_explicit(&context->references, &count, count + 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

static struct canceller *as_canceller(struct ga_context *context)
{
    bool is = context && (context->kind == CONTEXT_CANCEL || context->kind == CONTEXT_DEADLINE);
    return is ? (struct canceller *)context : NULL;
}

/* Its last reference is gone; so nobody watches it, and its timer, which has one, is stopped. */
static void destroy(struct ga_context *context)
{
    struct canceller *canceller = as_canceller(context);
    if (canceller) {
        context_unwatch(context->parent, &canceller->as_child);
        ga_chan_release(atomic_load_explicit(&canceller->done, memory_order_relaxed));
    }
    coro_free(context);
}

static bool drop(struct ga_context *context)
{
    /* Release: what this user did comes before the end; acquire: whoever is last sees it all. */
    return context && context->kind != CONTEXT_ROOT &&
           atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1;
}

GA_EXPORT void ga_context_release(struct ga_context *context)
{
    while (drop(context)) {
        struct ga_context *parent = context->parent;
        destroy(context);
        context = parent;
    }
}

/* --- Watches --- */

static void add_watch(struct canceller *canceller, struct context_watch *watch)
{
    watch->queued = true;
    watch->previous = NULL;
    watch->next = canceller->watches;
    if (watch->next)
        watch->next->previous = watch;
    canceller->watches = watch;
}

static void remove_watch(struct canceller *canceller, struct context_watch *watch)
{
    watch->queued = false;
    if (watch->next)
        watch->next->previous = watch->previous;
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        canceller->watches = watch->next;
}

/* The latch is acquired. The reason, if it has ended. */
static int watch_locked(struct canceller *canceller, struct context_watch *watch)
{
    int error = atomic_load_explicit(&canceller->error, memory_order_relaxed);
    if (error == 0)
        add_watch(canceller, watch);
    return error;
}

int context_watch(struct ga_context *context, struct context_watch *watch)
{
    struct canceller *canceller = (struct canceller *)context->canceller;
    watch->queued = false;
    if (!canceller)
        return 0;
    latch_acquire(&canceller->latch);
    int error = watch_locked(canceller, watch);
    latch_release(&canceller->latch);
    return error;
}

bool context_unwatch(struct ga_context *context, struct context_watch *watch)
{
    struct canceller *canceller = (struct canceller *)context->canceller;
    if (!canceller)
        return true;
    latch_acquire(&canceller->latch);
    bool queued = watch->queued;
    if (queued)
        remove_watch(canceller, watch);
    latch_release(&canceller->latch);
    return queued;
}

void context_adopt(struct canceller *canceller)
{
    struct ga_context *parent = canceller->context.parent;
    canceller->context.canceller = &canceller->context;
    canceller->as_child.kind = CONTEXT_WATCH_CHILD;
    canceller->as_child.argument = canceller;
    int error = context_watch(parent, &canceller->as_child);
    if (error)
        context_end(canceller, error, ga_context_cause(parent));
}

/* --- Ending --- */

/* What one walk still has to do. */
struct walk {
    struct canceller *first, **end; /* to be ended, a reference each, linked by next_ending */
    struct context_watch *later;    /* to be fired without a latch, linked by next */
};

/* Latch held; the watch is out of the list. */
static void come_to(struct walk *walk, struct context_watch *watch)
{
    struct canceller *child;
    switch (watch->kind) {
    case CONTEXT_WATCH_WAIT:
        watch->fire(watch->argument);
        break;
    case CONTEXT_WATCH_LATER:
        watch->next = walk->later;
        walk->later = watch;
        break;
    case CONTEXT_WATCH_CHILD:
        child = watch->argument;
        if (!retain_if_alive(&child->context))
            break;
        child->next_ending = NULL;
        *walk->end = child;
        walk->end = &child->next_ending;
        break;
    }
}

/* Latch held. */
static void end_locked(struct walk *walk, struct canceller *canceller, int error, const char *cause)
{
    struct ga_channel *done = atomic_load_explicit(&canceller->done, memory_order_relaxed);
    canceller->cause = cause;
    order_before(canceller);
    atomic_store_explicit(&canceller->error, error, memory_order_release);
    if (done)
        ga_chan_close(done);
    for (struct context_watch *watch; (watch = canceller->watches);) {
        remove_watch(canceller, watch);
        come_to(walk, watch);
    }
}

/* false: it had ended before. */
static bool end_one(struct walk *walk, struct canceller *canceller, int error, const char *cause)
{
    if (atomic_load_explicit(&canceller->error, memory_order_relaxed) != 0)
        return false;
    latch_acquire(&canceller->latch);
    bool first = atomic_load_explicit(&canceller->error, memory_order_relaxed) == 0;
    if (first)
        end_locked(walk, canceller, error, cause);
    latch_release(&canceller->latch);
    if (first && canceller->context.kind == CONTEXT_DEADLINE)
        context_stop_timer(canceller);
    return first;
}

static void fire_later(struct context_watch *watch)
{
    for (struct context_watch *next; watch; watch = next) {
        next = watch->next;
        watch->fire(watch->argument);
    }
}

void context_end(struct canceller *canceller, int error, const char *cause)
{
    struct walk walk = {NULL, &walk.first, NULL};
    /* Nothing of it is in its parent's list any longer than it has to be. */
    if (end_one(&walk, canceller, error, cause) && canceller->context.parent->canceller)
        context_unwatch(canceller->context.parent, &canceller->as_child);
    while (walk.first) {
        struct canceller *child = walk.first;
        walk.first = child->next_ending;
        walk.end = walk.first ? walk.end : &walk.first;
        end_one(&walk, child, error, cause);
        ga_context_release(&child->context);
    }
    fire_later(walk.later);
}

GA_EXPORT void ga_context_cancel_cause(struct ga_context *context, const char *cause)
{
    struct canceller *canceller = as_canceller(context);
    if (!canceller)
        report_fatal("cancel of a context that can't be cancelled");
    context_end(canceller, ECANCELED, cause ? cause : "context canceled");
}

GA_EXPORT void ga_context_cancel(struct ga_context *context)
{
    ga_context_cancel_cause(context, NULL);
}

/* --- Asking --- */

GA_EXPORT int ga_context_err(const struct ga_context *context)
{
    return context_error(context);
}

GA_EXPORT const char *ga_context_cause(const struct ga_context *context)
{
    /* The error is read with acquire: the cause was written before it. */
    return context_error(context) ? ((struct canceller *)context->canceller)->cause : NULL;
}

/* Nobody has asked before, or several do now. */
GA_NOINLINE static struct ga_channel *make_done(struct canceller *canceller)
{
    struct ga_channel *made = ga_chan_make(sizeof(char), 0, true, __FILE__, __LINE__);
    latch_acquire(&canceller->latch);
    struct ga_channel *done = atomic_load_explicit(&canceller->done, memory_order_relaxed);
    if (!done) {
        done = made;
        made = NULL;
        if (atomic_load_explicit(&canceller->error, memory_order_relaxed) != 0)
            ga_chan_close(done);
        /* Release: whoever finds it without the latch finds it made. */
        atomic_store_explicit(&canceller->done, done, memory_order_release);
    }
    latch_release(&canceller->latch);
    ga_chan_release(made);
    return done;
}

GA_EXPORT ga_done_t ga_context_done(struct ga_context *context)
{
    struct canceller *canceller = context ? (struct canceller *)context->canceller : NULL;
    if (!canceller)
        return NULL;
    struct ga_channel *done = atomic_load_explicit(&canceller->done, memory_order_acquire);
    return (ga_done_t)(done ? done : make_done(canceller));
}

GA_EXPORT bool ga_context_deadline(const struct ga_context *context, int64_t *when)
{
    bool has = context && context->deadline != INT64_MAX;
    if (has && when)
        *when = context->deadline;
    return has;
}

GA_EXPORT void *ga_context_value(const struct ga_context *context, const void *key)
{
    for (; context; context = context->parent) {
        const struct value *value = (const struct value *)context;
        if (context->kind == CONTEXT_VALUE && value->key == key)
            return value->value;
    }
    return NULL;
}
