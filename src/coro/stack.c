// SPDX-License-Identifier: MIT
/*
 * stack.c: coroutines' stacks that are free, and when their memory goes back.
 *
 * A stack's life:
 *
 *   unmade --a batch gets its guards--> fresh --> in use <--> warm (a list, linked by next)
 *                                                   ^           | nobody wanted it for a while
 *                                                   +-- cold <--+  its memory is given back
 *
 * Place: spawn.c takes and gives by stack.h, the monitor trims. Calls stack_slab.c.
 *
 * Warm ones are in a proc's own pool, or in batches on a common list. Locking: stacks.lock, held
 * for list operations, not for the release of memory. A proc's own pool needs none. Fork: see
 * start.c.
 */
#include "stack.h"

#include <errno.h>

#include "../options/options.h"
#include "stack_slab.h"

#define FEW_STACKS 8u
#define TRIM_BATCH 4096u /* stacks for which the trimmer holds the lock */

struct size_pool {
    struct waiter *warm; /* the first batch's first; guarded by the lock */
    unsigned warm_count; /* stacks; guarded by the lock */
    unsigned least;      /* the fewest that were warm since the last trim; guarded by the lock */
};

static struct {
    struct lock lock;
    struct size_pool pools[STACK_POOLS];
} stacks;

/* --- Sizes --- */

static unsigned pool_of(size_t size)
{
    unsigned pool = 0;
    while (((size_t)1 << (STACK_SHIFT + pool)) < size)
        pool++;
    return pool;
}

unsigned stack_pool_default(void)
{
    return pool_of((size_t)options.stack);
}

bool stack_size_is_allowed(size_t size)
{
    return size >= STACK_MIN && size <= STACK_MAX;
}

/* --- The common list of batches; lock held. Of the free stack that is a batch's first, gift is the
 * next batch's first, and pins how many there are. --- */

static void list(struct size_pool *sizes, struct batch batch, void *next)
{
    if (batch.first) {
        batch.first->gift = next;
        batch.first->pins = batch.count;
        next = batch.first;
    }
    sizes->warm = next;
}

static struct batch unlist(struct size_pool *sizes, void **next)
{
    struct waiter *first = sizes->warm;
    *next = first ? first->gift : NULL;
    return (struct batch){.first = first, .count = first ? first->pins : 0};
}

static void count_taken(struct size_pool *sizes, unsigned count)
{
    sizes->warm_count -= count;
    if (sizes->warm_count < sizes->least)
        sizes->least = sizes->warm_count;
}

static void give_batch(struct size_pool *sizes, struct batch batch)
{
    sizes->warm_count += batch.count;
    if (batch.first)
        list(sizes, batch, sizes->warm);
}

static struct batch take_batch(struct size_pool *sizes)
{
    void *next;
    struct batch batch = unlist(sizes, &next);
    sizes->warm = next;
    count_taken(sizes, batch.count);
    return batch;
}

static void give_one(struct size_pool *sizes, struct waiter *waiter)
{
    void *next;
    struct batch batch = unlist(sizes, &next);
    if (batch.count == BATCH_STACKS) {
        next = batch.first;
        batch = (struct batch){.first = NULL};
    }
    batch_push(&batch, waiter);
    list(sizes, batch, next);
    sizes->warm_count++;
}

static struct waiter *take_warm(struct size_pool *sizes)
{
    void *next;
    struct batch batch = unlist(sizes, &next);
    struct waiter *waiter = batch_pop(&batch);
    list(sizes, batch, next);
    count_taken(sizes, waiter != NULL);
    return waiter;
}

static struct waiter *take(unsigned pool)
{
    struct waiter *waiter = take_warm(&stacks.pools[pool]);
    return waiter ? waiter : stack_slab_take(pool);
}

/* --- Taking and giving --- */

/* Warm ones by the batch; of others, whose memory has to be fetched, some. */
static struct batch refill(unsigned pool)
{
    lock_acquire(&stacks.lock);
    struct batch batch = take_batch(&stacks.pools[pool]);
    bool is_warm = batch.count > 0;
    while (!is_warm && batch.count < FEW_STACKS) {
        struct waiter *waiter = take(pool);
        if (!waiter)
            break;
        batch_push(&batch, waiter);
    }
    lock_release(&stacks.lock);
    return batch;
}

static struct waiter *take_alone(size_t size)
{
    lock_acquire(&stacks.lock);
    struct waiter *waiter = take(size ? pool_of(size) : stack_pool_default());
    lock_release(&stacks.lock);
    return waiter;
}

static struct waiter *take_of_proc(struct proc *proc)
{
    struct batch *mine = proc->stacks;
    mine[0] = mine[1].first ? mine[1] : refill(proc->pool);
    mine[1] = (struct batch){.first = NULL};
    return batch_pop(&mine[0]);
}

struct waiter *stack_take_slowly(struct proc *proc, size_t size)
{
    struct waiter *waiter = size == 0 && proc ? take_of_proc(proc) : take_alone(size);
    if (GA_UNLIKELY(!waiter))
        errno = ENOMEM;
    return waiter;
}

/* To the common list. */
static void flush(struct batch *batch, unsigned pool)
{
    if (!batch->first)
        return;
    lock_acquire(&stacks.lock);
    give_batch(&stacks.pools[pool], *batch);
    lock_release(&stacks.lock);
    *batch = (struct batch){.first = NULL};
}

void stack_flush(struct proc *proc)
{
    flush(&proc->stacks[0], proc->pool);
    flush(&proc->stacks[1], proc->pool);
}

void stack_give_slowly(struct proc *proc, struct waiter *waiter)
{
    if (!proc || waiter->pool != proc->pool) {
        lock_acquire(&stacks.lock);
        give_one(&stacks.pools[waiter->pool], waiter);
        lock_release(&stacks.lock);
        return;
    }
    struct batch *mine = proc->stacks;
    flush(&mine[1], proc->pool);
    mine[1] = mine[0];
    mine[0] = (struct batch){.first = NULL};
    batch_push(&mine[0], waiter);
}

/* --- Giving back to the kernel; the monitor --- */

/* Marks up to a batch of those that nobody wanted since the last trim. Whether more are left. */
static bool chill_some(unsigned pool)
{
    struct size_pool *sizes = &stacks.pools[pool];
    lock_acquire(&stacks.lock);
    unsigned least = sizes->least, count = least < TRIM_BATCH ? least : TRIM_BATCH;
    for (unsigned i = 0; i < count; i++)
        stack_slab_chill(take_warm(sizes));
    sizes->least = least - count;
    bool more = sizes->least > 0;
    lock_release(&stacks.lock);
    return more;
}

static void trim_pool(unsigned pool)
{
    struct size_pool *sizes = &stacks.pools[pool];
    if (__atomic_load_n(&sizes->least, __ATOMIC_RELAXED) > 0) {
        while (chill_some(pool)) {
        }
        stack_slab_release_chilled(pool);
    }
    lock_acquire(&stacks.lock);
    stack_slab_make_cold(pool);
    sizes->least = sizes->warm_count;
    lock_release(&stacks.lock);
}

/* What sanitizers know of a stack lies in its waiter: theirs stay. */
void stack_trim(void)
{
    for (unsigned pool = 0; pool < STACK_POOLS && !sched.annotated; pool++)
        trim_pool(pool);
}

bool stack_has_warm(void)
{
    bool found = false;
    lock_acquire(&stacks.lock);
    for (unsigned pool = 0; pool < STACK_POOLS && !found && !sched.annotated; pool++)
        found = stacks.pools[pool].warm_count > 0;
    lock_release(&stacks.lock);
    return found;
}

/* --- Fork --- */

void stack_freeze(void)
{
    lock_freeze(&stacks.lock);
}

void stack_thaw(void)
{
    lock_thaw(&stacks.lock);
}

void stack_reset(void)
{
    lock_reset(&stacks.lock);
}
