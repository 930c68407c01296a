// SPDX-License-Identifier: MIT
/*
 * blocks.c: hardened blocks: malloc, free, realloc.
 *
 * Place: src/libc's slow paths. Calls cache.c for slots, canary.c for what is checked, large.c and
 * sample.c for the blocks that those look after.
 *
 * A slot's life, by its state in the slab:
 *
 *   SLOT_FRESH --malloc--> SLOT_IN_USE --free--> SLOT_FREED --malloc--> SLOT_IN_USE ...
 *
 * A free that doesn't find SLOT_IN_USE is a double free. Two threads that free one block at the
 * very same moment may both find it; the second malloc that is given the slot then finds it in use.
 *
 * Invariants: a block in use has its canary right behind what the program asked for; behind that
 * its slot is zero, as far as slots are wiped.
 * Locking: none. A block's state belongs to who owns it.
 */
#include <errno.h>
#include <string.h>

#include "../os/report.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

static unsigned state_of(const struct slab *slab, size_t slot)
{
    return __atomic_load_n(&slab->state[slot], __ATOMIC_RELAXED);
}

/* Relaxed: the block travels from thread to thread by the program's own synchronisation. */
static void set_state(struct slab *slab, size_t slot, unsigned state)
{
    __atomic_store_n(&slab->state[slot], (uint16_t)state, __ATOMIC_RELAXED);
}

/* --- Allocating --- */

/* The class of a slot with room for so many bytes and a canary; 0: none has. */
static unsigned class_for(size_t room)
{
    if (room <= SMALL_MAX - CANARY_BYTES)
        return size_class_of(room + hardened.canary);
    return size_class_of(room > SMALL_MAX ? room : SMALL_MAX + 1);
}

static void set_size(struct slab *slab, size_t slot, size_t size)
{
    unsigned slack = (unsigned)(slab->room - size);
    if (GA_UNLIKELY(!slab->inverse)) {
        slab->size = size;
        slack = 0;
    }
    set_state(slab, slot, SLOT_IN_USE | slack);
}

GA_COLD static void handed_out_twice(const struct slab *slab, const void *p)
{
    misuse_block("double free", slab, p, p, slab->room);
}

/* Memory that was never handed out, but isn't zero. */
static void wipe_stale(const struct slab *slab, void *p)
{
    memset(p, 0, slab->wiped);
}

/* Makes a slot the program's. true: it had never been, and its memory was zero. */
GA_INLINE bool hand_out(void *p, size_t size)
{
    struct slab *slab = slab_of(p);
    size_t slot = slab_slot(slab, p);
    unsigned state = state_of(slab, slot);
    if (GA_LIKELY(state == SLOT_FREED))
        wipe_check(slab, p);
    else if (GA_UNLIKELY(state & SLOT_IN_USE))
        handed_out_twice(slab, p);
    else if (!slab->clean)
        wipe_stale(slab, p);
    set_size(slab, slot, size);
    canary_write(slab, p, size);
    return state == SLOT_FRESH && slab->clean;
}

static void *take(unsigned class)
{
    struct cache *cache = cache_self();
    if (GA_LIKELY(cache != NULL))
        return cache_take(cache, class);
    struct random random;
    void *p = NULL;
    random_seed(&random, &p);
    slab_take(class, &p, 1, &random);
    return p;
}

/* What is asked for, and where it may lie. */
struct want {
    size_t size;
    size_t room;    /* what its slot shall have room for */
    size_t most;    /* of a block without a class: how far it may grow where it lies */
    size_t align;   /* of a block without a class */
    unsigned class; /* 0: none */
};

static void *try_alloc(const struct want *want)
{
    if (want->class)
        return take(want->class);
    if (want->room > WINDOW_SIZE)
        return NULL;
    struct slab *slab = large_alloc(want->room, want->most, want->align);
    return slab ? (void *)slab->base : NULL;
}

/* *fresh: all of it is zero. */
static void *alloc(struct want want, bool *fresh)
{
    void *p = try_alloc(&want);
    if (GA_UNLIKELY(!p && want.room <= WINDOW_SIZE)) {
        scavenger_drain();
        want.most = want.room;
        p = try_alloc(&want);
    }
    if (GA_UNLIKELY(!p)) {
        errno = ENOMEM;
        return NULL;
    }
    *fresh = hand_out(p, want.size);
    return p;
}

static struct want usual(size_t size)
{
    return (struct want){
        .size = size, .room = size, .most = size, .align = HEAP_PAGE, .class = class_for(size)};
}

/* Sizes above 1 KB, empty caches, and the blocks that are sampled. */
GA_NOINLINE static void *malloc_rare(size_t size)
{
    bool fresh;
    struct cache *cache = cache_self();
    if (cache && hardened.sample && !cache->until_sample) {
        cache->until_sample = sample_draw(&cache->random);
        void *p = sample_alloc(size);
        if (p)
            return p;
    }
    if (cache)
        cache->until_sample--;
    return alloc(usual(size), &fresh);
}

void *hardened_malloc(size_t size)
{
    struct cache *cache = cache_at_hand();
    size_t bytes = size + hardened.canary;
    if (GA_UNLIKELY(!cache || bytes > SMALL_BYTE_MAX || bytes < size || !cache->until_sample))
        return malloc_rare(size);
    cache->until_sample--;
    void *p = cache_take(cache, size_class_of(bytes));
    if (GA_UNLIKELY(!p))
        return malloc_rare(size);
    hand_out(p, size);
    return p;
}

/* A block that grows to this size, or beyond, gets address space behind it, as much as many times
 * its size: where it lies on then, nothing is copied. */
#define EXTENSIBLE_MIN ((size_t)128 << 10)
#define EXTENSIBLE_BY  ((size_t)4)
#define EXTENSIBLE_MAX ((size_t)64 << 20)

void *hardened_malloc_growing(size_t old, size_t size)
{
    bool fresh;
    struct want want = usual(size);
    if (size > old && size >= EXTENSIBLE_MIN) {
        want.class = 0;
        want.most = size < EXTENSIBLE_MAX ? EXTENSIBLE_BY * size : size;
    } else if (size > old && size < old + old / 4) {
        want.room = old + old / 4;
        want.class = class_for(want.room);
    }
    return alloc(want, &fresh);
}

void *hardened_calloc(size_t size)
{
    bool fresh;
    void *p = alloc(usual(size), &fresh);
    if (p && !fresh)
        memset(p, 0, size);
    return p;
}

/* The smallest class of many slots that are all aligned; 0: none. */
static unsigned aligned_class(size_t align, size_t size)
{
    unsigned class = size_class_of(round_up(size + CANARY_BYTES, align));
    while (class && size_classes[class].size & (align - 1))
        class = class + 1 < SIZE_CLASS_COUNT ? class + 1 : 0;
    return class && size_classes[class].objects > 1 ? class : 0;
}

void *hardened_aligned(size_t align, size_t size)
{
    bool fresh;
    struct want want = usual(size);
    want.class = 0;
    if (align > HEAP_PAGE)
        want.align = align;
    else if (size < SMALL_MAX)
        want.class = aligned_class(align, size);
    if (!want.class && align <= HEAP_PAGE && size <= CLASS_SIZE_MAX)
        want.class = size_class_of(size > SMALL_MAX ? size : SMALL_MAX + 1);
    return alloc(want, &fresh);
}

/* --- Freeing --- */

GA_COLD GA_NORETURN static void bad_start(const struct slab *slab, const void *p,
                                          const char *function)
{
    size_t slot = (uintptr_t)p < slab->base ? 0 : slab_slot(slab, p);
    slot = slot < slab->slots ? slot : slab->slots - 1u;
    bool misaligned = (uintptr_t)p % MIN_ALIGN != 0;
    misuse_call(function, misaligned ? "a misaligned pointer" : "an interior pointer",
                &(struct misuse){.address = p,
                                 .block = (void *)(slab->base + slot * slab->stride),
                                 .size = slab_block_size(slab, state_of(slab, slot)),
                                 .class = slab->class,
                                 .class_size = size_classes[slab->class].size});
}

GA_COLD GA_NORETURN static void bad_state(const struct slab *slab, const void *p,
                                          const char *function)
{
    if (strcmp(function, "free") == 0)
        misuse_block("double free", slab, p, p, slab->room);
    misuse_call(function, "a freed block",
                &(struct misuse){.address = p,
                                 .block = p,
                                 .class = slab->class,
                                 .class_size = size_classes[slab->class].size});
}

/* The state of the block that must start at p, and its slot. */
GA_INLINE unsigned block_state(const struct slab *slab, const void *p, const char *function,
                               size_t *slot)
{
    *slot = slab_slot(slab, p);
    if (GA_UNLIKELY((uintptr_t)p != slab->base + *slot * slab->stride || *slot >= slab->slots))
        bad_start(slab, p, function);
    unsigned state = state_of(slab, *slot);
    if (GA_UNLIKELY(!(state & SLOT_IN_USE)))
        bad_state(slab, p, function);
    return state;
}

GA_COLD GA_NORETURN static void wrong_size(const struct slab *slab, const void *p, size_t size,
                                           size_t believed, const char *function)
{
    char where[64];
    struct text text;
    text_init(&text, where, sizeof(where));
    text_add(&text, "freed as one of %zu bytes", believed);
    misuse_call(function, "a block of another size",
                &(struct misuse){.where = where,
                                 .address = p,
                                 .block = p,
                                 .size = size,
                                 .class = slab->class,
                                 .class_size = size_classes[slab->class].size});
}

GA_NOINLINE static void give_rare(struct slab *slab, void *p)
{
    if (slab->class == 0) {
        large_free(slab);
        return;
    }
    struct cache *cache = cache_self();
    if (cache)
        cache_give(cache, slab->class, p);
    else
        slab_give(slab->class, &p, 1);
}

GA_INLINE void free_checked(struct slab *slab, void *p, size_t slot, size_t size)
{
    if (GA_LIKELY(hardened.canary != 0))
        canary_check(slab, p, size);
    set_state(slab, slot, SLOT_FREED);
    if (GA_LIKELY(slab->class))
        wipe(slab, p, size);
    struct cache *cache = cache_at_hand();
    if (GA_LIKELY(cache && slab->class))
        cache_give(cache, slab->class, p);
    else
        give_rare(slab, p);
}

void hardened_free_owned(void *owner, void *p)
{
    struct slab *slab = owner;
    size_t slot;
    unsigned state = block_state(slab, p, "free", &slot);
    free_checked(slab, p, slot, slab_block_size(slab, state));
}

void hardened_free(struct span *span, void *p, size_t believed, const char *function)
{
    if (GA_UNLIKELY(span->state == SPAN_GUARDED)) {
        sample_free(p, believed, function);
        return;
    }
    struct slab *slab = span->owner;
    size_t slot, size;
    unsigned state = block_state(slab, p, function, &slot);
    size = slab_block_size(slab, state);
    if (GA_UNLIKELY(believed != SIZE_UNKNOWN && believed != size))
        wrong_size(slab, p, size, believed, function);
    free_checked(slab, p, slot, size);
}

/* --- Sizes --- */

size_t hardened_usable_size(struct span *span, void *p, const char *function)
{
    if (span->state == SPAN_GUARDED)
        return sample_usable_size(p, function);
    const struct slab *slab = span->owner;
    size_t slot;
    unsigned state = block_state(slab, p, function, &slot);
    return slab_block_size(slab, state);
}

/* Whether a block may stay in its slot with another size: it fits, and wouldn't have one half as
 * long elsewhere. */
static bool may_stay(struct slab *slab, size_t size)
{
    if (size > slab->room)
        return !slab->class && slab_extend(slab, size);
    return size >= slab->room / 2 || class_for(size) == slab->class;
}

bool hardened_resize(struct span *span, void *p, size_t size)
{
    struct slab *slab = span->owner;
    if (span->state == SPAN_GUARDED)
        return false;
    size_t slot = slab_slot(slab, p), old = slab_block_size(slab, state_of(slab, slot));
    size_t end = old + CANARY_BYTES < slab->wiped ? old + CANARY_BYTES : slab->wiped;
    if (hardened.canary)
        canary_check(slab, p, old);
    if (!may_stay(slab, size))
        return false;
    if (size < end)
        memset((char *)p + size, 0, end - size);
    if (old < size)
        memset((char *)p + old, 0, size - old < CANARY_BYTES ? size - old : CANARY_BYTES);
    set_size(slab, slot, size);
    canary_write(slab, p, size);
    return true;
}
