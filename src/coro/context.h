// SPDX-License-Identifier: MIT
/*
 * context.h: contexts, for those whose waits they end and for context*.c.
 *
 *   kind        parent   ends by                 canceller (whose end it is)
 *   root        none     never                   NULL
 *   cancel      any      cancel, parent's end    itself
 *   deadline    any      the same, or its timer  itself
 *   value       any      parent's end            the parent's
 *   without     any      never                   NULL
 *
 * A canceller has a list of watches: of the cancellers below it, of waits, of functions to be
 * called. They leave it when the context ends, or before.
 *
 * Invariants:
 *   - an ended canceller has no watches, and its done channel, if it has one, is closed;
 *   - `error` changes once, from 0, under the latch, after `cause` was written;
 *   - a context holds a reference to its parent, so all its ancestors are there.
 */
#ifndef GOALLOC_CORO_CONTEXT_H
#define GOALLOC_CORO_CONTEXT_H

#include "goalloc/context.h"

#include "latch.h"
#include "timer.h"

/* --- For those whose waits it ends --- */

enum context_watch_kind {
    CONTEXT_WATCH_WAIT,  /* fire is called with the latch held, and must not wait or allocate */
    CONTEXT_WATCH_LATER, /* fire is called without the latch, perhaps after unwatch */
    CONTEXT_WATCH_CHILD, /* another canceller's */
};

/* Something to be done when a context ends. Embedded in what it belongs to. */
struct context_watch {
    struct context_watch *next, *previous; /* guarded by the canceller's latch */
    bool queued;                           /* guarded by the canceller's latch */
    enum context_watch_kind kind;          /* constant */
    void (*fire)(void *argument);          /* constant */
    void *argument;                        /* constant */
};

/* 0; or the reason, if it has ended already: then `fire` is not called. */
int context_watch(struct ga_context *context, struct context_watch *watch);
/* true: `fire` won't be called. false: it has been called, or for LATER will be. */
bool context_unwatch(struct ga_context *context, struct context_watch *watch);

/* --- For context*.c --- */

enum context_kind {
    CONTEXT_ROOT,
    CONTEXT_CANCEL,
    CONTEXT_DEADLINE,
    CONTEXT_VALUE,
    CONTEXT_WITHOUT,
};

struct ga_context {
    enum context_kind kind;       /* constant */
    atomic_uint references;       /* release to drop one, acquire by who drops the last */
    struct ga_context *parent;    /* constant */
    struct ga_context *canceller; /* see above; constant */
    int64_t deadline;             /* its own or an ancestor's; INT64_MAX: none; constant */
};

/* CONTEXT_CANCEL, CONTEXT_DEADLINE */
struct canceller {
    struct ga_context context; /* first */
    struct latch latch;
    atomic_int error;                /* written under the latch: release; read: acquire */
    const char *cause;               /* constant once error is set */
    struct ga_channel *_Atomic done; /* NULL: nobody has asked; written under the latch */
    struct context_watch *watches;   /* guarded by latch */
    struct context_watch as_child;   /* in the list of the canceller above */
    struct canceller *next_ending;   /* of those that one walk ends; that walk's */
};

struct deadline {
    struct canceller canceller; /* first */
    struct timer timer;         /* holds a reference while it waits or fires */
};

struct value {
    struct ga_context context; /* first */
    const void *key;           /* constant */
    void *value;               /* constant */
};

/* Of the nearest canceller; lock-free. */
GA_INLINE int context_error(const struct ga_context *context)
{
    if (!context || !context->canceller)
        return 0;
    struct canceller *canceller = (struct canceller *)context->canceller;
    int error = atomic_load_explicit(&canceller->error, memory_order_acquire);
    if (error)
        order_after(canceller);
    return error;
}

/* A new context of a kind, zeroed, with one reference. */
struct ga_context *context_new(size_t size, enum context_kind kind, struct ga_context *parent);
/* Enters the canceller into its parent's list, or ends it if the parent has ended. */
void context_adopt(struct canceller *canceller);
void context_end(struct canceller *canceller, int error, const char *cause);
/* Stops the timer. Without any latch. */
void context_stop_timer(struct canceller *canceller);

#endif
