// SPDX-License-Identifier: MIT
/*
 * scope.c: waiting for coroutines to end: a scope's children, or all.
 *
 * Place: programs call it; spawn.c says who starts and ends.
 *
 * Invariants: `children` is 0 exactly while nobody who was started in the scope is alive; waiters
 * are woken once each, after it has become 0. A coroutine that waits for all is woken when nobody
 * is left but daemons, main and such coroutines; main and threads, when those have ended too.
 * Locking: the scope's lock; all_lock for ga_wait_all.
 *
 * ga_wait_all is free for those that end while nobody calls it: they count themselves in their
 * proc, and look at sched.wait_all afterwards, with no barrier between. The one that waits sets
 * wait_all and has the kernel run a barrier everywhere before it counts. Not where it has the only
 * proc itself: whoever ends on it later got it by a hand-over after that store; those that end on
 * machines that have lost it have a barrier run themselves, as has who makes a second one.
 */
#include <errno.h>

#include "goalloc/context.h"
#include "internal.h"

#define UNSEEN_ENDS UINT64_C(256)

struct link {
    struct waiter *waiter;
    struct link *next;
};

struct ga_scope {
    struct lock lock;
    atomic_size_t children; /* relaxed but for the last one's end, which is acquire and release */
    struct link *waiters;   /* guarded by lock */
    atomic_int error;       /* the first; relaxed */
    atomic_bool cancelled;  /* relaxed */
    struct ga_context *context; /* ends when it is cancelled; or NULL. Constant */
};

static bool release_lock(struct waiter *self, void *lock)
{
    (void)self;
    lock_release(lock);
    return true;
}

static void wake_list(struct link *link)
{
    while (link) {
        struct link *next = link->next; /* it lies on the stack of the one that is woken */
        park_ready(link->waiter);
        link = next;
    }
}

/* --- Scopes --- */

GA_EXPORT struct ga_scope *ga_scope_new(void)
{
    return coro_alloc(sizeof(struct ga_scope), true);
}

GA_EXPORT struct ga_scope *ga_scope_new_ctx(struct ga_context *parent, struct ga_context **context)
{
    struct ga_scope *scope = ga_scope_new();
    if (!scope)
        return NULL;
    *context = scope->context = ga_context_with_cancel(parent);
    return scope;
}

void scope_child_starts(struct ga_scope *scope)
{
    atomic_fetch_add_explicit(&scope->children, 1, memory_order_relaxed);
}

/* The last one looks for waiters under the lock, and doesn't touch the scope after it has released
 * it: whoever waits may free the scope then. So does only one that ends under the lock. */
void scope_child_ended(struct ga_scope *scope)
{
    order_before(scope);
    size_t left = atomic_load_explicit(&scope->children, memory_order_relaxed);
    while (left > 1)
        if (atomic_compare_exchange_weak_explicit(&scope->children, &left, left - 1,
                                                  memory_order_release, memory_order_relaxed))
            return;
    lock_acquire(&scope->lock);
    struct link *waiters = NULL;
    if (atomic_fetch_sub_explicit(&scope->children, 1, memory_order_acq_rel) == 1) {
        waiters = scope->waiters;
        scope->waiters = NULL;
    }
    lock_release(&scope->lock);
    wake_list(waiters);
}

GA_EXPORT void ga_scope_cancel(struct ga_scope *scope)
{
    atomic_store_explicit(&scope->cancelled, true, memory_order_relaxed);
    if (scope->context)
        ga_context_cancel(scope->context);
}

GA_EXPORT bool ga_scope_cancelled(const struct ga_scope *scope)
{
    return atomic_load_explicit(&scope->cancelled, memory_order_relaxed);
}

GA_EXPORT void ga_scope_fail(struct ga_scope *scope, int error)
{
    int none = 0;
    if (error == 0)
        return;
    atomic_compare_exchange_strong_explicit(&scope->error, &none, error, memory_order_relaxed,
                                            memory_order_relaxed);
    ga_scope_cancel(scope);
}

GA_EXPORT int ga_scope_wait(struct ga_scope *scope)
{
    lock_acquire(&scope->lock);
    if (atomic_load_explicit(&scope->children, memory_order_acquire) > 0) {
        struct link self = {park_self(), scope->waiters};
        /* cppcheck-suppress autoVariables ; until it is woken, which takes it off the list */
        scope->waiters = &self;
        park(release_lock, &scope->lock, park_scope, scope);
    } else {
        lock_release(&scope->lock);
    }
    order_after(scope);
    return atomic_load_explicit(&scope->error, memory_order_relaxed);
}

GA_EXPORT int ga_scope_end(struct ga_scope *scope)
{
    int error = ga_scope_wait(scope);
    if (scope->context) {
        ga_context_cancel(scope->context);
        ga_context_release(scope->context);
    }
    coro_free(scope);
    return error;
}

/* --- All --- */

static struct {
    struct lock lock;
    struct link *outside;  /* main, and threads; guarded by lock, as are the following */
    struct link *inside;   /* coroutines */
    uint64_t inside_count; /* those of inside that are no daemons */
} all;

static struct link *take_list(struct link **list)
{
    struct link *first = *list;
    *list = NULL;
    return first;
}

/* Lock held. Those whose wait is over. */
static struct link *take_waiters(void)
{
    if (coro_count_awaited() > all.inside_count)
        return NULL;
    if (all.inside) {
        __atomic_store_n(&all.inside_count, 0, __ATOMIC_RELAXED);
        return take_list(&all.inside); /* main's turn comes when they have ended */
    }
    atomic_store(&sched.wait_all, 0);
    return take_list(&all.outside);
}

/* By the only proc there is, which knows its own counts. */
static uint64_t count_alone(const struct proc *mine)
{
    uint64_t ended = mine->ended + atomic_load_explicit(&sched.foreign_ended, memory_order_acquire);
    return mine->started + atomic_load_explicit(&sched.foreign_started, memory_order_relaxed) -
           ended;
}

/*
 * Each that ends asks, while somebody waits for all. Most are far from the last: what is counted
 * without the lock may lack what other procs' processors have in their store buffers, a few dozen
 * stores each. Those that end without a proc have a barrier run by all before they ask.
 */
static bool is_far(const struct proc *mine)
{
    uint64_t last = __atomic_load_n(&all.inside_count, __ATOMIC_RELAXED);
    if (GA_LOAD_ANY(sched.alone) && mine)
        return count_alone(mine) > last;
    return coro_count_awaited() > last + UNSEEN_ENDS * (procs_made() - (mine != NULL));
}

GA_NOINLINE static void check_all(void)
{
    lock_acquire(&all.lock);
    struct link *waiters = take_waiters();
    lock_release(&all.lock);
    wake_list(waiters);
}

void scope_check_wait_all(const struct proc *mine)
{
    if (GA_UNLIKELY(!is_far(mine)))
        check_all();
}

/* Off its stack; one that ended before wait_all was set has been counted by now. */
static bool look_once(struct waiter *self, void *unused)
{
    (void)self;
    (void)unused;
    struct link *waiters = take_waiters();
    lock_release(&all.lock);
    wake_list(waiters);
    return true;
}

/* The caller runs on the only proc that there ever was. */
static bool is_alone(void)
{
    struct machine *machine = machine_self();
    bool was = machine_enter(machine);
    bool alone = GA_LOAD_ANY(sched.alone) && machine_proc(machine) != NULL;
    machine_leave(machine, was);
    return alone;
}

GA_EXPORT void ga_wait_all(void)
{
    if (!sched_started())
        return;
    struct waiter *waiter = park_self();
    bool is_outside = waiter->flags & (WAITER_THREAD | WAITER_MAIN);
    struct link **list = is_outside ? &all.outside : &all.inside;
    lock_acquire(&all.lock);
    struct link self = {waiter, *list};
    *list = &self;
    bool counts = !is_outside && !waiter->daemon;
    __atomic_store_n(&all.inside_count, all.inside_count + counts, __ATOMIC_RELAXED);
    atomic_store(&sched.wait_all, 1);
    if (is_alone())
        atomic_thread_fence(memory_order_seq_cst);
    else
        sched_barrier();
    park(look_once, NULL, park_wait_all, NULL);
    order_after(&sched.wait_all);
}

/* --- Fork --- */

void scope_reset(void)
{
    lock_reset(&all.lock);
    all.inside = all.outside = NULL;
    all.inside_count = 0;
    atomic_store(&sched.wait_all, 0);
}
