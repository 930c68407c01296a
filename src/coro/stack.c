// SPDX-License-Identifier: MIT
/*
 * stack.c: where coroutines' stacks come from, and where their memory goes back to.
 *
 *   slab    | stack 0 | stack 1 | ... |      one mapping; neighbours merge into one for the kernel
 *   stack   | guard |  grows downward  <-- | struct waiter | colour |
 *
 * A stack's life:
 *
 *   unmade --a batch gets its guards--> fresh --> in use <--> warm (a list, linked by next)
 *                                                   ^           | nobody wanted it for a while
 *                                                   +-- cold <--+  its memory is given back
 *
 * Place: spawn.c takes and gives, the monitor trims. Calls src/os.
 *
 * The colour moves what each stack has at its top by some cache lines: else all struct waiters
 * would share one set of the first-level cache, their addresses being 64 KB apart.
 *
 * Invariants:
 *   - a stack's memory stays mapped for ever; that of a cold one reads as zero, and so does the
 *     status of a waiter long gone;
 *   - a bit in `cold` is set exactly while the stack is cold; nothing of a cold stack is read;
 *   - guards survive MADV_DONTNEED, so whole stretches of cold stacks are released in one call.
 * Locking: stacks.lock, held for list operations, not for the release of memory. A proc's own pool
 * needs none. Fork: see start.c.
 */
#include <errno.h>

#include "../options/options.h"
#include "../os/report.h"
#include "internal.h"
#include "layout.h"

#define SLABS_MAX    512
#define SIZE_SHIFT   14 /* 16 KB, the smallest */
#define POOLS        17 /* up to 1 GB */
#define FIRST_STACKS 64
#define BATCH        256u /* stacks that get their guards in one go */
#define COLOURS      24
#define FEW_STACKS   8u
#define TRIM_BATCH   4096u /* stacks for which the trimmer holds the lock */

struct slab {
    uintptr_t base;  /* constant */
    size_t count;    /* constant */
    size_t made;     /* those with a guard; guarded by stacks.lock */
    size_t used;     /* those that were taken at least once; atomic, written under the lock */
    uint64_t *cold;  /* a bit a stack; written under the lock, atomic */
    uint64_t *chill; /* bits of those whose memory is being given back; the trimmer's */
    unsigned pool;   /* constant */
};

struct size_pool {
    struct waiter *warm; /* the first batch's first; guarded by the lock */
    unsigned warm_count; /* stacks; guarded by the lock */
    unsigned least;      /* the fewest that were warm since the last trim; guarded by the lock */
    size_t cold;         /* bits set in its slabs; guarded by the lock */
    size_t next_count;   /* stacks in the next slab; guarded by the lock */
    unsigned cold_slab;  /* where to look for a cold one first; guarded by the lock */
};

static struct {
    struct lock lock;
    struct size_pool pools[POOLS];
    struct slab slabs[SLABS_MAX];
    atomic_uint slab_count; /* release, once the slab is filled in */
    enum os_guard guard;    /* what guards are made of; guarded by the lock */
} stacks;

/* For the debugger; the words of layout.h. */
GA_EXPORT extern const uintptr_t ga_debug_layout[LAYOUT_COUNT];
const uintptr_t ga_debug_layout[LAYOUT_COUNT] = {
    [LAYOUT_VERSION] = 1,
    [LAYOUT_WORDS] = LAYOUT_COUNT,
    [LAYOUT_SLABS_ADDRESS] = (uintptr_t)&stacks.slabs,
    [LAYOUT_SLAB_COUNT_ADDRESS] = (uintptr_t)&stacks.slab_count,
    [LAYOUT_SLAB_SIZE] = sizeof(struct slab),
    [LAYOUT_SLAB_BASE_AT] = offsetof(struct slab, base),
    [LAYOUT_SLAB_USED_AT] = offsetof(struct slab, used),
    [LAYOUT_SLAB_COLD_AT] = offsetof(struct slab, cold),
    [LAYOUT_SLAB_POOL_AT] = offsetof(struct slab, pool),
    [LAYOUT_SIZE_SHIFT] = SIZE_SHIFT,
    [LAYOUT_WAITER_SIZE] = (sizeof(struct waiter) + GA_CACHE_LINE - 1) & -(size_t)GA_CACHE_LINE,
    [LAYOUT_COLOURS] = COLOURS,
    [LAYOUT_SP_AT] = offsetof(struct waiter, sp),
    [LAYOUT_STATUS_AT] = offsetof(struct waiter, status),
    [LAYOUT_REASON_AT] = offsetof(struct waiter, reason),
    [LAYOUT_ID_AT] = offsetof(struct waiter, id),
    [LAYOUT_NAME_AT] = offsetof(struct waiter, name),
    [LAYOUT_SITE_AT] = offsetof(struct waiter, site),
    [LAYOUT_MAIN_ADDRESS] = (uintptr_t)&sched.main,
    [LAYOUT_REASONS_ADDRESS] = (uintptr_t)park_reason_texts,
    [LAYOUT_FORKS_AT] = offsetof(struct waiter, forks),
    [LAYOUT_FORKS_ADDRESS] = (uintptr_t)&sched.forks,
};

/* --- Where things lie --- */

static unsigned pool_of(size_t size)
{
    unsigned pool = 0;
    while (((size_t)1 << (SIZE_SHIFT + pool)) < size)
        pool++;
    return pool;
}

static size_t pool_size(unsigned pool)
{
    return (size_t)1 << (SIZE_SHIFT + pool);
}

static unsigned default_pool(void)
{
    return pool_of((size_t)options.stack);
}

size_t stack_size_default(void)
{
    return pool_size(default_pool());
}

bool stack_size_is_allowed(size_t size)
{
    return size >= STACK_MIN && size <= STACK_MAX;
}

static struct waiter *waiter_at(const struct slab *slab, size_t index)
{
    uintptr_t top = slab->base + (index + 1) * pool_size(slab->pool);
    size_t colour = index % COLOURS * GA_CACHE_LINE;
    return (struct waiter *)(top - colour - round_up(sizeof(struct waiter), GA_CACHE_LINE));
}

static bool bit_is_set(const uint64_t *bits, size_t index)
{
    return __atomic_load_n(&bits[index / 64], __ATOMIC_RELAXED) >> index % 64 & 1;
}

static void change_bit(uint64_t *bits, size_t index)
{
    __atomic_fetch_xor(&bits[index / 64], UINT64_C(1) << index % 64, __ATOMIC_RELAXED);
}

static struct slab *slab_of(uintptr_t address)
{
    unsigned count = atomic_load_explicit(&stacks.slab_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        struct slab *slab = &stacks.slabs[i];
        if (address - slab->base < slab->count * pool_size(slab->pool))
            return slab;
    }
    return NULL;
}

struct waiter *stack_of_guard(uintptr_t address)
{
    struct slab *slab = slab_of(address);
    if (!slab)
        return NULL;
    size_t offset = address - slab->base, size = pool_size(slab->pool);
    return offset % size < os_page_size() ? waiter_at(slab, offset / size) : NULL;
}

void stack_each(void (*visit)(struct waiter *waiter, void *argument), void *argument)
{
    unsigned count = atomic_load_explicit(&stacks.slab_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        struct slab *slab = &stacks.slabs[i];
        size_t used = __atomic_load_n(&slab->used, __ATOMIC_ACQUIRE);
        for (size_t k = 0; k < used; k++)
            if (!bit_is_set(slab->cold, k))
                visit(waiter_at(slab, k), argument);
    }
}

struct visit {
    coro_stack_visitor *visit;
    void *argument;
};

/* What runs has its stack in its thread's registers; what is gone has none. */
static void visit_saved(struct waiter *waiter, void *argument)
{
    const struct visit *visit = argument;
    enum waiter_status status = waiter_status(waiter);
    if ((status == WAITER_RUNNABLE || status == WAITER_WAITING) && waiter->forks == sched.forks)
        visit->visit((uintptr_t)waiter->sp, waiter->stack + waiter->stack_size, visit->argument);
}

/* main's stack is its thread's, up from the saved pointer to where the caller knows; its upper end
 * is not known here. */
void coro_each_stack(coro_stack_visitor *visit, void *argument)
{
    struct visit both = {visit, argument};
    stack_each(visit_saved, &both);
}

/* --- Making; lock held --- */

static struct slab *fill_in(unsigned pool, uintptr_t base, size_t count)
{
    unsigned index = atomic_load_explicit(&stacks.slab_count, memory_order_relaxed);
    size_t words = (count + 63) / 64;
    uint64_t *bits = coro_alloc(2 * words * sizeof(*bits), false);
    if (!bits) {
        os_unmap(base, count * pool_size(pool));
        return NULL;
    }
    stacks.slabs[index] = (struct slab){
        .base = base, .count = count, .cold = bits, .chill = bits + words, .pool = pool};
    atomic_store_explicit(&stacks.slab_count, index + 1, memory_order_release);
    return &stacks.slabs[index];
}

/* As many stacks as planned, or as the limits leave. */
static struct slab *make_slab(unsigned pool)
{
    struct size_pool *sizes = &stacks.pools[pool];
    if (sizes->next_count == 0)
        sizes->next_count = pool_size(pool) >= (size_t)1 << 22 ? 1 : FIRST_STACKS;
    if (atomic_load_explicit(&stacks.slab_count, memory_order_relaxed) == SLABS_MAX)
        return NULL;
    for (size_t count = sizes->next_count; count > 0; count /= 2) {
        uintptr_t base = os_map_stacks(count * pool_size(pool));
        if (!base)
            continue;
        if (count * pool_size(pool) < (size_t)16 << 30)
            sizes->next_count = count * 4;
        return fill_in(pool, base, count);
    }
    return NULL;
}

static struct slab *slab_with_room(unsigned pool)
{
    unsigned count = atomic_load_explicit(&stacks.slab_count, memory_order_relaxed);
    for (unsigned i = count; i-- > 0;)
        if (stacks.slabs[i].pool == pool)
            return stacks.slabs[i].used < stacks.slabs[i].count ? &stacks.slabs[i] : NULL;
    return NULL;
}

GA_COLD static void warn_of_guards(enum os_guard guard)
{
    report_line(
        guard == OS_GUARD_NONE
            ? "coroutine stacks have no guard pages: the kernel refuses more mappings"
            : "coroutine stacks are guarded by mprotect: the kernel has no MADV_GUARD_INSTALL "
              "(Linux 6.13), and room for some 30,000 such mappings");
}

static void make_guards(struct slab *slab)
{
    size_t count = slab->count - slab->made < BATCH ? slab->count - slab->made : BATCH;
    enum os_guard before = stacks.guard;
    uintptr_t first = slab->base + slab->made * pool_size(slab->pool);
    stacks.guard = os_guard_pages(first, pool_size(slab->pool), count, before);
    if (GA_UNLIKELY(stacks.guard != before && stacks.guard != OS_GUARD_ADVICE))
        warn_of_guards(stacks.guard);
    slab->made += count;
}

static struct waiter *make_waiter(struct slab *slab, size_t index)
{
    struct waiter *waiter = waiter_at(slab, index);
    waiter->stack = slab->base + index * pool_size(slab->pool);
    waiter->stack_size = pool_size(slab->pool);
    waiter->pool = (uint8_t)slab->pool;
    return waiter;
}

static struct waiter *take_fresh(unsigned pool)
{
    struct slab *slab = slab_with_room(pool);
    if (!slab)
        slab = make_slab(pool);
    if (!slab)
        return NULL;
    if (slab->used == slab->made)
        make_guards(slab);
    size_t index = slab->used;
    struct waiter *waiter = make_waiter(slab, index);
    __atomic_store_n(&slab->used, index + 1, __ATOMIC_RELEASE);
    if (GA_UNLIKELY(sched.annotated))
        annotate_new(waiter);
    return waiter;
}

/* --- Taking; lock held --- */

static struct waiter *take_cold_from(struct slab *slab)
{
    size_t words = (slab->used + 63) / 64;
    for (size_t i = 0; i < words; i++) {
        if (slab->cold[i] == 0)
            continue;
        size_t index = i * 64 + (size_t)__builtin_ctzll(slab->cold[i]);
        change_bit(slab->cold, index);
        stacks.pools[slab->pool].cold--;
        return make_waiter(slab, index);
    }
    return NULL;
}

static struct waiter *take_cold(unsigned pool)
{
    struct size_pool *sizes = &stacks.pools[pool];
    unsigned count = atomic_load_explicit(&stacks.slab_count, memory_order_relaxed);
    for (unsigned i = 0; sizes->cold > 0 && i < count; i++, sizes->cold_slab++) {
        struct slab *slab = &stacks.slabs[sizes->cold_slab % count];
        struct waiter *waiter = slab->pool == pool ? take_cold_from(slab) : NULL;
        if (waiter)
            return waiter;
    }
    return NULL;
}

/* --- Batches. Of a free stack that is a batch's first in the common list, gift is the next batch's
 * first, and pins how many there are. --- */

static void push(struct batch *batch, struct waiter *waiter)
{
    waiter->next = batch->first;
    batch->first = waiter;
    batch->count++;
}

static struct waiter *pop(struct batch *batch)
{
    struct waiter *waiter = batch->first;
    if (waiter) {
        batch->first = waiter->next;
        batch->count--;
    }
    return waiter;
}

/* --- The common list; lock held --- */

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
    return (struct batch){first, first ? first->pins : 0};
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
        batch = (struct batch){NULL, 0};
    }
    push(&batch, waiter);
    list(sizes, batch, next);
    sizes->warm_count++;
}

static struct waiter *take_warm(struct size_pool *sizes)
{
    void *next;
    struct batch batch = unlist(sizes, &next);
    struct waiter *waiter = pop(&batch);
    list(sizes, batch, next);
    count_taken(sizes, waiter != NULL);
    return waiter;
}

static struct waiter *take(unsigned pool)
{
    struct waiter *waiter = take_warm(&stacks.pools[pool]);
    if (!waiter)
        waiter = take_cold(pool);
    return waiter ? waiter : take_fresh(pool);
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
        push(&batch, waiter);
    }
    lock_release(&stacks.lock);
    return batch;
}

static struct waiter *take_of_proc(struct proc *proc)
{
    struct batch *mine = proc->stacks;
    if (GA_UNLIKELY(!mine[0].first)) {
        mine[0] = mine[1].first ? mine[1] : refill(default_pool());
        mine[1] = (struct batch){NULL, 0};
    }
    return pop(&mine[0]);
}

static struct waiter *take_alone(size_t size)
{
    lock_acquire(&stacks.lock);
    struct waiter *waiter = take(size ? pool_of(size) : default_pool());
    lock_release(&stacks.lock);
    return waiter;
}

struct waiter *stack_take(struct proc *proc, size_t size)
{
    struct waiter *waiter = size == 0 && proc ? take_of_proc(proc) : take_alone(size);
    if (GA_UNLIKELY(!waiter))
        errno = ENOMEM;
    return waiter;
}

/* To the common list. */
static void flush(struct batch *batch)
{
    if (!batch->first)
        return;
    lock_acquire(&stacks.lock);
    give_batch(&stacks.pools[default_pool()], *batch);
    lock_release(&stacks.lock);
    *batch = (struct batch){NULL, 0};
}

void stack_flush(struct proc *proc)
{
    flush(&proc->stacks[0]);
    flush(&proc->stacks[1]);
}

void stack_give(struct proc *proc, struct waiter *waiter)
{
    if (GA_UNLIKELY(!proc || waiter->stack_size != stack_size_default())) {
        lock_acquire(&stacks.lock);
        give_one(&stacks.pools[waiter->pool], waiter);
        lock_release(&stacks.lock);
        return;
    }
    struct batch *mine = proc->stacks;
    if (GA_UNLIKELY(mine[0].count == BATCH_STACKS)) {
        flush(&mine[1]);
        mine[1] = mine[0];
        mine[0] = (struct batch){NULL, 0};
    }
    push(&mine[0], waiter);
}

/* --- Giving back to the kernel; the monitor --- */

static void release_run(const struct slab *slab, size_t from, size_t to)
{
    size_t size = pool_size(slab->pool);
    os_release(slab->base + from * size, (to - from) * size);
}

/* Releases what `chill` has, stretch by stretch. */
static void release_chilled(struct slab *slab)
{
    for (size_t i = 0; i < slab->used;) {
        if (slab->chill[i / 64] == 0) {
            i = (i | 63) + 1;
            continue;
        }
        size_t from = i;
        while (i < slab->used && bit_is_set(slab->chill, i))
            i++;
        if (i > from)
            release_run(slab, from, i);
        else
            i++;
    }
}

/* Lock held. What was released may be taken again. */
static void make_cold(struct slab *slab)
{
    for (size_t i = 0; i < (slab->used + 63) / 64; i++) {
        __atomic_fetch_or(&slab->cold[i], slab->chill[i], __ATOMIC_RELAXED);
        stacks.pools[slab->pool].cold += count_bits(slab->chill[i]);
        slab->chill[i] = 0;
    }
}

/* Marks up to a batch of those that nobody wanted since the last trim. Whether more are left. */
static bool chill_some(unsigned pool)
{
    struct size_pool *sizes = &stacks.pools[pool];
    lock_acquire(&stacks.lock);
    unsigned least = sizes->least, count = least < TRIM_BATCH ? least : TRIM_BATCH;
    for (unsigned i = 0; i < count; i++) {
        struct waiter *waiter = take_warm(sizes);
        struct slab *slab = slab_of(waiter->stack);
        change_bit(slab->chill, (waiter->stack - slab->base) / pool_size(pool));
    }
    sizes->least = least - count;
    bool more = sizes->least > 0;
    lock_release(&stacks.lock);
    return more;
}

static void trim_pool(unsigned pool)
{
    struct size_pool *sizes = &stacks.pools[pool];
    unsigned count = atomic_load_explicit(&stacks.slab_count, memory_order_acquire);
    if (__atomic_load_n(&sizes->least, __ATOMIC_RELAXED) > 0) {
        while (chill_some(pool)) {
        }
        for (unsigned i = 0; i < count; i++)
            if (stacks.slabs[i].pool == pool)
                release_chilled(&stacks.slabs[i]);
    }
    lock_acquire(&stacks.lock);
    for (unsigned i = 0; i < count; i++)
        if (stacks.slabs[i].pool == pool)
            make_cold(&stacks.slabs[i]);
    sizes->least = sizes->warm_count;
    lock_release(&stacks.lock);
}

/* What sanitizers know of a stack lies in its waiter: theirs stay. */
void stack_trim(void)
{
    for (unsigned pool = 0; pool < POOLS && !sched.annotated; pool++)
        trim_pool(pool);
}

bool stack_has_warm(void)
{
    bool found = false;
    lock_acquire(&stacks.lock);
    for (unsigned pool = 0; pool < POOLS && !found && !sched.annotated; pool++)
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
