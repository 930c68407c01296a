// SPDX-License-Identifier: MIT
/*
 * goalloc/coro.h: coroutines.
 *
 *     static void greet(const char *who, int times) { ... }
 *
 *     int main(void)
 *     {
 *         ga_go(greet, "world", 3);
 *         ga_wait_all();
 *     }
 *
 * A coroutine is a function that runs by itself, as a thread does, at a hundredth of the cost. They
 * run on as many threads as there are processors (GOMAXPROCS), and move between them whenever they
 * wait. So a coroutine must not count on its thread: what is thread-local, pthread_self() and locks
 * of the pthread kind belong to the thread, and hold only from one wait to the next. errno is
 * the coroutine's own, in sources that include this header. ga_lock_os_thread() keeps one where it
 * is. The first call makes the process's first thread a coroutine too, locked to its thread as it
 * always was; where main can do without that, ga_unlock_os_thread() makes its waits as cheap as the
 * others'.
 *
 * Every function may be called from any thread. Times are in nanoseconds. Functions that return int
 * give 0, or -1 with errno set, unless they say otherwise.
 */
#ifndef GOALLOC_CORO_PUBLIC_H
#define GOALLOC_CORO_PUBLIC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ga_context;

/* --- errno, of the coroutine rather than of the thread --- */

/* Unlike libc's, its address is asked for anew at each use. */
int *ga_errno(void);
#undef errno
#define errno (*ga_errno())

/* --- Starting --- */

/* Where a coroutine was started, for reports; ga_go makes it. */
struct ga_site {
    const char *file, *function, *entry;
    int line;
};

struct ga_go_options {
    size_t
        stack_size; /* 0: 64 KB, or GOALLOC=stack=...; 16 KB to 1 GB, rounded up to a power of 2 */
    const char *name; /* shown in reports; must stay valid */
    bool pinned;      /* has a thread of its own, as after ga_lock_os_thread() */
    bool daemon;      /* ga_wait_all() doesn't wait for it */
};

typedef struct ga_scope ga_scope;

int ga_go_start(const struct ga_site *site, const struct ga_go_options *options, ga_scope *scope,
                void (*function)(void), uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d,
                uintptr_t e, uintptr_t f);

/*
 * int ga_go(fn, a, b, ...): starts fn(a, b, ...) as a coroutine. 0 to 6 arguments, integers or
 * pointers. That they fit fn's prototype is checked at compile time; so is that fn takes neither
 * floating-point numbers nor structs. (In C, gcc refuses enums too: let that parameter be an int.)
 * What fn returns is dropped.
 *
 * Errors: EINVAL for a NULL function or a bad stack size, ENOMEM.
 */
/* int ga_go_opts(&options, fn, a, b, ...): the same with options, which are copied. A compound
 * literal wants parentheses: ga_go_opts((&(struct ga_go_options){.name = "x", .daemon = true}), fn)
 */
/* int ga_scope_go(scope, fn, a, b, ...): the same as a child of a scope, below. */

/* --- Life --- */

/* Lets others run first. */
void ga_yield(void);
/* At least so long; at once if not positive. */
void ga_sleep(int64_t nanoseconds);
/* Ends the calling coroutine. C++ destructors on its stack run. In main: the others go on. */
#if defined(__cplusplus)
[[noreturn]] void ga_exit(void);
#else
_Noreturn void ga_exit(void);
#endif
/* A number that no other coroutine of this process has; 0 on a thread that is none. */
uint64_t ga_self(void);
/* Shown in reports and in gdb; must stay valid. */
void ga_set_name(const char *name);
/* From here on, until the matching unlock, the calling coroutine runs on this thread, and nobody
 * else does. They nest. */
void ga_lock_os_thread(void);
void ga_unlock_os_thread(void);

/* Coroutines that have not ended, main among them. */
size_t ga_num_coroutines(void);
/* Waits until all but daemons, main and the callers of this have ended. */
void ga_wait_all(void);
/* How many run at once. n > 0 sets it; returns what it was before. */
int ga_set_procs(int n);

/* Nanoseconds of the monotonic clock. */
int64_t ga_now(void);

/* --- Scopes --- */

/*
 * A scope waits for its children. A child that fails says so, and the first that does cancels the
 * rest: they see it by ga_scope_cancelled(), or by the scope's context, which ends waits too.
 */
ga_scope *ga_scope_new(void); /* NULL: out of memory */
/* The same, and a context below `parent` that ends with ECANCELED when the scope is cancelled, or
 * has ended. It is the scope's: ga_scope_end() frees it. */
ga_scope *ga_scope_new_ctx(struct ga_context *parent, struct ga_context **context);
/* Records the first error other than 0 and cancels. From a child, or from anywhere. */
void ga_scope_fail(ga_scope *scope, int error);
void ga_scope_cancel(ga_scope *scope);
bool ga_scope_cancelled(const ga_scope *scope);
/* Waits for all children; the first error, or 0. More may be started afterwards. */
int ga_scope_wait(ga_scope *scope);
/* Waits, and frees the scope. */
int ga_scope_end(ga_scope *scope);

/* --- Timers --- */

typedef struct ga_timer ga_timer;
/* fn(argument) in a coroutine of its own, after so long. NULL: out of memory. */
ga_timer *ga_after(int64_t nanoseconds, void (*fn)(void *), void *argument);
/* The same again and again, each `period` after the one before; periods that were missed are left
 * out. */
ga_timer *ga_every(int64_t period, void (*fn)(void *), void *argument);
/* Whether it was waiting, and now will not run. */
bool ga_timer_stop(ga_timer *timer);
/* Runs after so long from now on, whether it was waiting (true) or not (false). */
bool ga_timer_reset(ga_timer *timer, int64_t nanoseconds);
/* Stops it and gives it up. Every timer wants this once. */
void ga_timer_free(ga_timer *timer);

typedef struct ga_ticker ga_ticker;
/* NULL: out of memory, or a period that is not positive (EINVAL). */
ga_ticker *ga_ticker_new(int64_t period);
/* Waits for the next tick; false: it was stopped. A tick that nobody waited for is kept; more than
 * one are one. */
bool ga_ticker_wait(ga_ticker *ticker);
void ga_ticker_stop(ga_ticker *ticker);
void ga_ticker_free(ga_ticker *ticker);

#ifdef __cplusplus
}
#endif

#include <goalloc/coro_go.h>

#include <goalloc/chan.h>
#include <goalloc/context.h>
#include <goalloc/sync.h>

#endif
