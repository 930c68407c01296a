// SPDX-License-Identifier: MIT
/*
 * blocks.c: hardened blocks: malloc, free, realloc.
 *
 * Place: src/libc's slow paths. Calls cache.c for slots, canary.c for what is checked, large.c and
 * sample.c for the blocks that those look after.
 *
 * A slot's life, by its note:
 *
 *   NOTE_FRESH, NOTE_STALE --malloc--> NOTE_IN_USE --free--> NOTE_FREED --malloc--> NOTE_IN_USE ...
 *
 * A free that doesn't find NOTE_IN_USE is a double free, or of no block's start. Two threads that
 * free one block at the very same moment may both find it; the second malloc that is given the slot
 * then finds it in use.
 *
 * malloc and free take a short way while all is as usual: a class of many slots, a ready slot that
 * was used before, a quarantine that is full. It reads the thread's cache, the slot's note and the
 * slot, and calls nothing; whatever else there may be, also each mistake, is left to the general
 * way, which begins anew.
 *
 * Invariants: a block in use has its canary right behind what the program asked for; behind that
 * its slot is zero, as far as slots are wiped.
 * Locking: none. A block's state belongs to who owns it.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../os/report.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

/* --- Allocating --- */

/* The class of a slot with room for so many bytes and a canary; 0: none has. */
static unsigned class_for(size_t room)
{
    if (room <= SMALL_MAX - CANARY_BYTES)
        return size_class_of(room + hardened.canary);
    return size_class_of(room > SMALL_MAX ? room : SMALL_MAX + 1);
}

static void set_size(struct slab *slab, uint16_t *note, size_t size)
{
    if (!slab->inverse)
        slab->size = size;
    note_use(note, note_free(slab->class, 0), slab->class ? slab->room - size : 0);
}

GA_COLD static void handed_out_twice(const struct slab *slab, const void *p)
{
    misuse_block("double free", slab, p, p, slab->room);
}

/* Makes a slot the program's. true: it had never been, and its memory was zero. */
static bool hand_out(void *p, size_t size)
{
    struct slab *slab = slab_of(p);
    uint16_t *note = slab_note(slab, p);
    unsigned before = note_load(note);
    if (before == note_free(slab->class, NOTE_FREED))
        wipe_check(slab, p);
    else if (GA_UNLIKELY(before & NOTE_IN_USE))
        handed_out_twice(slab, p);
    else if (before == note_free(slab->class, NOTE_STALE))
        zero_fill(p, slab->wiped);
    set_size(slab, note, size);
    canary_write(slab, p, size);
    return before == note_free(slab->class, NOTE_FRESH);
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
    bool grows;     /* of a block without a class: it is likely to become longer */
    size_t align;   /* of a block without a class */
    unsigned class; /* 0: none */
};

static void *try_alloc(const struct want *want)
{
    if (want->class)
        return take(want->class);
    if (want->room > WINDOW_SIZE)
        return NULL;
    struct slab *slab = large_alloc(want->room, want->grows, want->align);
    return slab ? (void *)slab->base : NULL;
}

/* *fresh: all of it is zero. */
static void *alloc(struct want want, bool *fresh)
{
    void *p = try_alloc(&want);
    if (GA_UNLIKELY(!p && want.room <= WINDOW_SIZE)) {
        scavenger_drain();
        want.grows = false;
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
    return (struct want){.size = size, .room = size, .align = HEAP_PAGE, .class = class_for(size)};
}

static void *malloc_general(size_t size)
{
    bool fresh;
    return alloc(usual(size), &fresh);
}

/* A guarded block, if it is this one's turn; or the thread's first, which has no cache yet. */
GA_NOINLINE static void *malloc_drawn(size_t size)
{
    struct cache *cache = cache_self();
    void *p = NULL;
    if (cache && cache->until_sample < 0) {
        cache->until_sample = hardened.sample ? sample_draw(&cache->random) - 1 : LONG_MAX;
        p = hardened.sample ? sample_alloc(size) : NULL;
    }
    return p ? p : malloc_general(size);
}

/* Whether the slot may be taken the short way: there's one, and it was used before. */
GA_INLINE bool is_usual(const struct held_class *held, const void *slot)
{
    return GA_LIKELY(slot != NULL && note_load(mheap_known_note(slot)) == held->usual);
}

/* The class's last ready slot, which is usual and zero. */
GA_INLINE void *take_ready(struct held_class *held, void *p, size_t size)
{
    uint64_t canary = canary_of((char *)p + size);
    held->ready_top--;
    memcpy((char *)p + size, &canary, CANARY_BYTES);
    note_use(mheap_known_note(p), held->usual, held->room - size);
    return p;
}

/* The short way of classes above ZERO_INLINE_MAX. */
GA_NOINLINE static void *take_long(struct held_class *held, size_t size)
{
    void *p = held->ready_top[-1];
    if (GA_UNLIKELY(!is_zero_long(p, held->wiped)))
        wipe_broken(p);
    return take_ready(held, p, size);
}

/* Of classes that aren't looked up by the byte. */
GA_NOINLINE static void *malloc_medium(struct cache *cache, size_t size)
{
    if (size > SMALL_MAX - CANARY_BYTES)
        return malloc_general(size);
    struct held_class *held = &cache->classes[size_class_of_medium(size + CANARY_BYTES)];
    return is_usual(held, held->ready_top[-1]) ? take_long(held, size) : malloc_general(size);
}

void *hardened_malloc(size_t size)
{
    struct cache *cache = cache_at_hand();
    if (GA_UNLIKELY(!cache || --cache->until_sample < 0))
        return malloc_drawn(size);
    if (GA_UNLIKELY(size > SMALL_BYTE_MAX - CANARY_BYTES))
        return malloc_medium(cache, size);
    size_t offset = size_class_offset_by_byte[size + CANARY_BYTES];
    struct held_class *held =
        (void *)((char *)cache->classes + offset / SIZE_CLASS_OFFSET * sizeof(*held));
    GA_FORGET(held);
    void *p = held->ready_top[-1];
    if (GA_UNLIKELY(!is_usual(held, p)))
        return malloc_general(size);
    if (held->wiped > ZERO_INLINE_MAX)
        return take_long(held, size);
    if (GA_UNLIKELY(!zero_is(p, held->wiped)))
        wipe_broken(p);
    return take_ready(held, p, size);
}

/* A block that grows to this size, or beyond, is put where free pages follow, as in the default
 * mode: where it takes those, nothing is copied. */
#define EXTENSIBLE_MIN ((size_t)128 << 10)

void *hardened_malloc_growing(size_t old, size_t size)
{
    bool fresh;
    struct want want = usual(size);
    if (size > old && size >= EXTENSIBLE_MIN) {
        want.class = 0;
        want.grows = true;
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

static size_t size_at(struct slab *slab, size_t slot)
{
    const uint16_t *note = slab_note(slab, (void *)(slab->base + slot * slab->stride));
    return slab_block_size(slab, note, note_load(note));
}

GA_COLD GA_NORETURN static void bad_start(struct slab *slab, const void *p, const char *function)
{
    size_t slot = (uintptr_t)p < slab->base ? 0 : slab_slot(slab, p);
    slot = slot < slab->slots ? slot : slab->slots - 1u;
    bool misaligned = (uintptr_t)p % MIN_ALIGN != 0;
    misuse_call(function, misaligned ? "a misaligned pointer" : "an interior pointer",
                &(struct misuse){.address = p,
                                 .block = (void *)(slab->base + slot * slab->stride),
                                 .size = size_at(slab, slot),
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

/* The size of the block that must start at p. */
static size_t block_size(struct slab *slab, const void *p, const char *function)
{
    size_t slot = slab_slot(slab, p);
    if (GA_UNLIKELY((uintptr_t)p != slab->base + slot * slab->stride || slot >= slab->slots))
        bad_start(slab, p, function);
    const uint16_t *note = slab_note(slab, p);
    unsigned value = note_load(note);
    if (GA_UNLIKELY(!(value & NOTE_IN_USE)))
        bad_state(slab, p, function);
    return slab_block_size(slab, note, value);
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

static void free_checked(struct slab *slab, void *p, size_t size)
{
    if (slab->class && slab->wiped > ZERO_INLINE_MAX)
        zero_prefetch(p, slab->wiped);
    if (GA_LIKELY(hardened.canary != 0))
        canary_check(slab, p, size);
    note_store(slab_note(slab, p), note_free(slab->class, NOTE_FREED));
    if (!slab->class) {
        large_free(slab);
        return;
    }
    zero_fill(p, slab->wiped);
    struct cache *cache = cache_self();
    if (GA_LIKELY(cache != NULL))
        cache_give(cache, slab->class, p);
    else
        slab_give(slab->class, &p, 1);
}

void (*hardened_free_other)(void *p);

GA_NOINLINE static void free_general(void *p)
{
    struct slab *slab = mheap_owner_of(p);
    if (GA_LIKELY(slab != NULL))
        free_checked(slab, p, block_size(slab, p, "free"));
    else
        hardened_free_other(p);
}

/* The class's part of a cache, by a note of a block in use. */
GA_INLINE struct held_class *held_of(struct cache *cache, unsigned note)
{
    size_t offset = (note & NOTE_CLASS) * sizeof(struct held_class) / NOTE_CLASS_ONE;
    struct held_class *held = (void *)((char *)cache->classes + offset);
    GA_FORGET(held);
    return held;
}

void hardened_free_any(void *p)
{
    struct cache *cache = cache_at_hand();
    size_t unit = mheap_unit_of(p);
    if (GA_UNLIKELY(unit >= mheap_noted_units() || !cache)) {
        free_general(p);
        return;
    }
    uint16_t *note = mheap_note_at(unit);
    unsigned value = note_load(note);
    struct held_class *held = held_of(cache, value);
    if (held->wiped > ZERO_INLINE_MAX && value & NOTE_IN_USE)
        zero_prefetch(p, held->wiped);
    if (GA_UNLIKELY(!(value & NOTE_IN_USE) || held->general || held->ready_top == held->ready_end ||
                    !canary_is_whole(p, held->room - note_slack(note, value)))) {
        free_general(p);
        return;
    }
    note_store(note, held->usual);
    cache_pass(cache, held, p);
    zero_fill(p, held->wiped);
}

void hardened_free(struct span *span, void *p, size_t believed, const char *function)
{
    if (GA_UNLIKELY(span->state == SPAN_GUARDED)) {
        sample_free(p, believed, function);
        return;
    }
    struct slab *slab = span->owner;
    size_t size = block_size(slab, p, function);
    if (GA_UNLIKELY(believed != SIZE_UNKNOWN && believed != size))
        wrong_size(slab, p, size, believed, function);
    free_checked(slab, p, size);
}

/* --- Sizes --- */

size_t hardened_usable_size(struct span *span, void *p, const char *function)
{
    if (span->state == SPAN_GUARDED)
        return sample_usable_size(p, function);
    return block_size(span->owner, p, function);
}

/* Whether a block may stay in its slot with another size: it fits, and wouldn't have one half as
 * long elsewhere. */
static bool may_stay(struct slab *slab, size_t size)
{
    if (size > slab->room)
        return !slab->class && large_extend(slab, size);
    return size >= slab->room / 2 || class_for(size) == slab->class;
}

/* Its slot has room. */
static void set_length(struct slab *slab, void *p, size_t old, size_t size)
{
    size_t end = old + CANARY_BYTES < slab->wiped ? old + CANARY_BYTES : slab->wiped;
    if (size < end)
        memset((char *)p + size, 0, end - size);
    if (old < size)
        memset((char *)p + old, 0, size - old < CANARY_BYTES ? size - old : CANARY_BYTES);
    set_size(slab, slab_note(slab, p), size);
    canary_write(slab, p, size);
}

bool hardened_resize(struct span *span, void *p, size_t size)
{
    struct slab *slab = span->owner;
    if (span->state == SPAN_GUARDED)
        return false;
    const uint16_t *note = slab_note(slab, p);
    size_t old = slab_block_size(slab, note, note_load(note));
    if (hardened.canary)
        canary_check(slab, p, old);
    bool stays = may_stay(slab, size);
    if (stays)
        set_length(slab, p, old, size);
    return stays;
}

void hardened_shrink(struct span *span, void *p, size_t old, size_t size)
{
    if (span->state == SPAN_GUARDED)
        sample_shrink(p, size);
    else
        set_length(span->owner, p, old, size);
}
