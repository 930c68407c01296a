// SPDX-License-Identifier: MIT
/*
 * stack_slab.c: where coroutines' stacks lie.
 *
 *   slab    | bits | stack 0 | stack 1 | ... |   one mapping; neighbours merge for the kernel
 *   stack   | guard |  grows downward  <-- | struct waiter | colour |
 *
 * The guard comes on top of the size, a power of 2. So from one stack to the next it is not one: at
 * 64 KB the pages at the stacks' tops would share a sixteenth of the processor's second TLB. And
 * the colour moves what each has at its top by some cache lines: else all struct waiters would
 * share one set of the first-level cache.
 *
 * Place: stack.c takes from here and lets memory go. Calls src/os.
 *
 * Invariants:
 *   - a stack's memory stays mapped for ever; that of a cold one reads as zero, or as it was left
 *     where the kernel wouldn't take it back: the status says either way that nobody is there;
 *   - a bit in `cold` is set exactly while the stack is cold; nothing of a cold stack is read, but
 *     by a visitor that was under way when all of a slab had become cold;
 *   - a slab of which all are cold is as if none had been taken, but for the guards;
 *   - of stacks that were never used those up to `fetched` have a page; they are fewer than a
 *     sixteenth of those in use, and lose it when others are given back;
 *   - guards survive MADV_DONTNEED, so whole stretches of cold stacks are released in one call.
 * Locking: stack.c's lock, where stack_slab.h says so.
 */
#include "stack_slab.h"

#include <string.h>

#include "../os/report.h"
#include "layout.h"

#define SLABS_MAX   512
#define FIRST_SHIFT 22   /* 4 MB in the first slab: 64 of the default stacks */
#define BATCH       256u /* stacks that get their guards in one go */
#define COLOURS     24
/* Tops of stacks that are fetched in one call: at most, and a share of the stacks in use. */
#define FETCH_MOST  64u
#define FETCH_SHARE 16u

struct slab {
    uintptr_t base;  /* constant */
    size_t count;    /* constant */
    size_t made;     /* those with a guard; guarded by the lock */
    size_t used;     /* those that were taken at least once; atomic, written under the lock */
    uint64_t *cold;  /* a bit a stack; written under the lock, atomic */
    uint64_t *chill; /* bits of those whose memory is being given back; the trimmer's */
    size_t is_cold;  /* how many; guarded by the lock */
    size_t fetched;  /* from `used` up to it tops have memory already; guarded by the lock */
    size_t stride;   /* from one stack to the next; constant */
    unsigned pool;   /* constant */
};

struct slab_pool {
    size_t cold;        /* bits set in its slabs; guarded by the lock */
    size_t next_count;  /* stacks in the next slab; guarded by the lock */
    unsigned cold_slab; /* where to look for a cold one first; guarded by the lock */
};

static struct {
    struct slab_pool pools[STACK_POOLS];
    struct slab all[SLABS_MAX];
    atomic_uint count;   /* release, once the slab is filled in */
    enum os_guard guard; /* what guards are made of; guarded by the lock */
    bool unfetchable;    /* the kernel won't fetch tops; guarded by the lock */
} slabs;

/* For the debugger; the words of layout.h. */
GA_EXPORT extern const uintptr_t ga_debug_layout[LAYOUT_COUNT];
const uintptr_t ga_debug_layout[LAYOUT_COUNT] = {
    [LAYOUT_VERSION] = 2,
    [LAYOUT_WORDS] = LAYOUT_COUNT,
    [LAYOUT_SLABS_ADDRESS] = (uintptr_t)&slabs.all,
    [LAYOUT_SLAB_COUNT_ADDRESS] = (uintptr_t)&slabs.count,
    [LAYOUT_SLAB_SIZE] = sizeof(struct slab),
    [LAYOUT_SLAB_BASE_AT] = offsetof(struct slab, base),
    [LAYOUT_SLAB_USED_AT] = offsetof(struct slab, used),
    [LAYOUT_SLAB_COLD_AT] = offsetof(struct slab, cold),
    [LAYOUT_SLAB_STRIDE_AT] = offsetof(struct slab, stride),
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

/* With its guard. */
static size_t pool_stride(unsigned pool)
{
    return ((size_t)1 << (STACK_SHIFT + pool)) + os_page_size();
}

static struct waiter *waiter_at(const struct slab *slab, size_t index)
{
    uintptr_t top = slab->base + (index + 1) * slab->stride;
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
    unsigned count = atomic_load_explicit(&slabs.count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        struct slab *slab = &slabs.all[i];
        if (address - slab->base < slab->count * slab->stride)
            return slab;
    }
    return NULL;
}

struct waiter *stack_of_guard(uintptr_t address)
{
    struct slab *slab = slab_of(address);
    if (!slab)
        return NULL;
    size_t offset = address - slab->base, size = slab->stride;
    return offset % size < os_page_size() ? waiter_at(slab, offset / size) : NULL;
}

void stack_each(void (*visit)(struct waiter *waiter, void *argument), void *argument)
{
    unsigned count = atomic_load_explicit(&slabs.count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        struct slab *slab = &slabs.all[i];
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

/* Of both kinds of bits. */
static size_t size_of_bits(size_t count)
{
    return round_up((count + 63) / 64 * 2 * sizeof(uint64_t), os_page_size());
}

static struct slab *fill_in(unsigned pool, uintptr_t bits, size_t count)
{
    unsigned index = atomic_load_explicit(&slabs.count, memory_order_relaxed);
    uint64_t *words = (uint64_t *)bits;
    slabs.all[index] = (struct slab){.base = bits + size_of_bits(count),
                                     .count = count,
                                     .cold = words,
                                     .chill = words + (count + 63) / 64,
                                     .stride = pool_stride(pool),
                                     .pool = pool};
    atomic_store_explicit(&slabs.count, index + 1, memory_order_release);
    return &slabs.all[index];
}

static size_t first_count(unsigned pool)
{
    return STACK_SHIFT + pool < FIRST_SHIFT ? (size_t)1 << (FIRST_SHIFT - STACK_SHIFT - pool) : 1;
}

/* As many stacks as planned, or as the limits leave. */
static struct slab *make_slab(unsigned pool)
{
    struct slab_pool *sizes = &slabs.pools[pool];
    if (sizes->next_count == 0)
        sizes->next_count = first_count(pool);
    if (atomic_load_explicit(&slabs.count, memory_order_relaxed) == SLABS_MAX)
        return NULL;
    for (size_t count = sizes->next_count; count > 0; count /= 2) {
        uintptr_t base = os_map_stacks(size_of_bits(count) + count * pool_stride(pool));
        if (!base)
            continue;
        if (count * pool_stride(pool) < (size_t)16 << 30)
            sizes->next_count = count * 4;
        return fill_in(pool, base, count);
    }
    return NULL;
}

static struct slab *slab_with_room(unsigned pool)
{
    unsigned count = atomic_load_explicit(&slabs.count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++)
        if (slabs.all[i].pool == pool && slabs.all[i].used < slabs.all[i].count)
            return &slabs.all[i];
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
    enum os_guard before = slabs.guard;
    uintptr_t first = slab->base + slab->made * slab->stride;
    slabs.guard = os_guard_pages(first, slab->stride, count, before);
    if (GA_UNLIKELY(slabs.guard != before && slabs.guard != OS_GUARD_ADVICE))
        warn_of_guards(slabs.guard);
    slab->made += count;
}

static void release_run(const struct slab *slab, size_t from, size_t to)
{
    os_release(slab->base + from * slab->stride, (to - from) * slab->stride);
}

/* A stack that was never used is about to be: the next ones probably are, too, and many tops in one
 * call cost a fraction of a fault for each. */
static void fetch_tops(struct slab *slab)
{
    size_t index = slab->used, room = slab->made - index;
    size_t count = (index - slab->is_cold) / FETCH_SHARE;
    count = count < FETCH_MOST ? count : FETCH_MOST;
    count = count < room ? count : room;
    if (count < 2 || slabs.unfetchable)
        return;
    uintptr_t top = slab->base + (index + 1) * slab->stride;
    slabs.unfetchable = !os_fetch_pages(top - os_page_size(), slab->stride, count);
    slab->fetched = index + count;
}

/* Tops that were fetched in vain go back. */
static void unfetch_tops(struct slab *slab)
{
    if (slab->fetched > slab->used)
        release_run(slab, slab->used, slab->fetched);
    slab->fetched = 0;
}

static struct waiter *make_waiter(struct slab *slab, size_t index)
{
    struct waiter *waiter = waiter_at(slab, index);
    waiter->stack = slab->base + index * slab->stride;
    waiter->stack_size = slab->stride;
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
    if (slab->used >= slab->fetched)
        fetch_tops(slab);
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
        slab->is_cold--;
        slabs.pools[slab->pool].cold--;
        return make_waiter(slab, index);
    }
    return NULL;
}

static struct waiter *take_cold(unsigned pool)
{
    struct slab_pool *sizes = &slabs.pools[pool];
    unsigned count = atomic_load_explicit(&slabs.count, memory_order_relaxed);
    for (unsigned i = 0; sizes->cold > 0 && i < count; i++, sizes->cold_slab++) {
        struct slab *slab = &slabs.all[sizes->cold_slab % count];
        struct waiter *waiter = slab->pool == pool ? take_cold_from(slab) : NULL;
        if (waiter)
            return waiter;
    }
    return NULL;
}

struct waiter *stack_slab_take(unsigned pool)
{
    struct waiter *waiter = take_cold(pool);
    return waiter ? waiter : take_fresh(pool);
}

/* --- Giving memory back --- */

void stack_slab_chill(struct waiter *waiter)
{
    struct slab *slab = slab_of(waiter->stack);
    change_bit(slab->chill, (waiter->stack - slab->base) / slab->stride);
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

/* Lock held. All are cold: whoever comes next starts from the first, and the bits' memory goes too.
 * A visitor under way may see no bits, and look at waiters that read as zero. */
static void forget(struct slab *slab)
{
    slabs.pools[slab->pool].cold -= slab->is_cold;
    slab->is_cold = 0;
    /* Relaxed: to later visitors it is a number. */
    __atomic_store_n(&slab->used, 0, __ATOMIC_RELAXED);
    size_t size = size_of_bits(slab->count);
    if (!os_release((uintptr_t)slab->cold, size))
        memset(slab->cold, 0, size);
}

/* Lock held. What was released may be taken again. */
static void make_cold(struct slab *slab)
{
    size_t cold_before = slab->is_cold;
    for (size_t i = 0; i < (slab->used + 63) / 64; i++) {
        if (slab->chill[i] == 0)
            continue;
        size_t count = count_bits(slab->chill[i]);
        __atomic_fetch_or(&slab->cold[i], slab->chill[i], __ATOMIC_RELAXED);
        slabs.pools[slab->pool].cold += count;
        slab->is_cold += count;
        slab->chill[i] = 0;
    }
    if (slab->is_cold > cold_before)
        unfetch_tops(slab);
    if (slab->used > 0 && slab->is_cold == slab->used)
        forget(slab);
}

void stack_slab_release_chilled(unsigned pool)
{
    unsigned count = atomic_load_explicit(&slabs.count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (slabs.all[i].pool == pool)
            release_chilled(&slabs.all[i]);
}

void stack_slab_make_cold(unsigned pool)
{
    unsigned count = atomic_load_explicit(&slabs.count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (slabs.all[i].pool == pool)
            make_cold(&slabs.all[i]);
}
