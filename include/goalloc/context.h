// SPDX-License-Identifier: MIT
/*
 * goalloc/context.h: contexts, which tell a tree of work that it is to end, with the meaning that
 * they have in Go.
 *
 *     struct ga_context *context = ga_context_with_timeout(parent, 2 * 1000000000);
 *     if (ga_recv_ctx(context, c, &v) == ETIMEDOUT) ...
 *     ga_context_cancel(context);
 *     ga_context_release(context);
 *
 * A context made from another, its parent, ends when the parent does. Ending is for good. Every
 * call that waits has a form that takes a context and gives up when it ends.
 *
 * Contexts are counted: whoever makes one releases it, and a context keeps its parent. Releasing
 * does not cancel. NULL, as a context, is the background. Without memory the process ends.
 *
 * All functions may be called by anybody at any time; those that ask take no lock.
 */
#ifndef GOALLOC_CONTEXT_H
#define GOALLOC_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "chan.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ga_context;

/* What a context's end is told by: nothing is ever sent on it, it is closed. */
typedef ga_chan(char) ga_done_t;

/* --- Making them --- */

/* Two that never end, have no values and need no release. TODO is for what is still to be thought
 * about. */
struct ga_context *ga_context_background(void);
struct ga_context *ga_context_todo(void);

/* One that ga_context_cancel ends. */
struct ga_context *ga_context_with_cancel(struct ga_context *parent);
/* One that also ends when a time has come, in nanoseconds from now, or of the monotonic clock. */
struct ga_context *ga_context_with_timeout(struct ga_context *parent, int64_t nanoseconds);
struct ga_context *ga_context_with_deadline(struct ga_context *parent, int64_t when);
/* One that knows a value. The key is compared by its address: that of a static variable, say. */
struct ga_context *ga_context_with_value(struct ga_context *parent, const void *key, void *value);
/* One with its parent's values, which doesn't end with it. */
struct ga_context *ga_context_without_cancel(struct ga_context *parent);

struct ga_context *ga_context_retain(struct ga_context *context);
void ga_context_release(struct ga_context *context);

/* --- Ending them --- */

/* Ends it and all that were made from it, unless it has ended. On one that was made by neither
 * with_cancel, with_timeout nor with_deadline: the process ends. */
void ga_context_cancel(struct ga_context *context);
/* The same, with a reason for ga_context_cause: a text that stays. */
void ga_context_cancel_cause(struct ga_context *context, const char *cause);

/* --- Asking --- */

/* 0 while it hasn't ended; ECANCELED; ETIMEDOUT if the time had come. */
int ga_context_err(const struct ga_context *context);
/* Why it ended: the text given to ga_context_cancel_cause, on it or on the ancestor that ended;
 * "context canceled"; "context deadline exceeded". NULL while it hasn't ended. */
const char *ga_context_cause(const struct ga_context *context);
/* A channel that is closed when it ends, for a select; NULL if it never does. Lives as long as the
 * context. */
ga_done_t ga_context_done(struct ga_context *context);
/* Whether it has a deadline, and which. */
bool ga_context_deadline(const struct ga_context *context, int64_t *when);
/* The value that it or its nearest ancestor has for the key, or NULL. */
void *ga_context_value(const struct ga_context *context, const void *key);

/* --- Something to be done at its end --- */

struct ga_after_func;

/* Calls the function in a coroutine of its own when the context ends; at once if it has. */
struct ga_after_func *ga_context_after_func(struct ga_context *context, void (*function)(void *),
                                            void *argument);
/* true: it won't be called. false: it has been started. Once for each, in either case: the handle
 * is gone afterwards. */
bool ga_context_stop(struct ga_after_func *after);

#ifdef __cplusplus
}
#endif

#endif
