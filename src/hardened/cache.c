// SPDX-License-Identifier: MIT
/*
 * cache.c: a thread's ready blocks, and the freed ones that it holds back.
 *
 *   free --> shuffle --a random one--> queue --the oldest--> ready --the last--> malloc
 *                                                             ^ |
 *                                              trays, slabs --+ +--> trays, slabs, many at a time
 *
 * Place: blocks.c, for each malloc and free. Calls trays.c and slab.c.
 *
 * A freed block is held back for at least as many frees as the queue is long, and nobody can tell
 * which of them comes next.
 *
 * Invariants: what lies here has its bit set in its slab, and its note says NOTE_FREED, or,
 * in `ready`, NOTE_FRESH or NOTE_STALE. Locking: none: a cache belongs to its thread, and waits
 * with the thread's mcache for the next.
 */
#include <limits.h>

#include "../os/os.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

/* A class holds back this many bytes in `shuffle`, and again in `queue`; readies so many more; and
 * takes so many out of slabs at a time, in random order. */
#define HELD_BYTES  ((size_t)16 << 10)
#define READY_BYTES ((size_t)512 << 10)
#define TAKE_BYTES  ((size_t)16 << 10)

static _Atomic(struct cache *) all_caches; /* release: who sees a cache sees its `next` */

static uint16_t between(size_t least, size_t n, size_t most)
{
    return (uint16_t)(n < least ? least : n > most ? most : n);
}

static void init_class(struct cache *cache, unsigned class)
{
    struct held_class *held = &cache->classes[class];
    struct held_blocks *blocks = &cache->blocks[class];
    size_t size = size_classes[class].size;
    bool single = size_classes[class].objects == 1;
    held->room = (uint32_t)(size - (single ? 0 : hardened.canary));
    held->wiped = (uint16_t)(size < hardened.zero_max ? size : hardened.zero_max);
    held->held_most = hardened.quarantine ? between(1, HELD_BYTES / size, HELD_MAX) : (uint16_t)0;
    held->ready_top = blocks->ready;
    held->ready_end = blocks->ready + between(2, READY_BYTES / size, READY_MAX);
    held->shuffle = blocks->shuffle;
    held->queue = held->queue_at = blocks->queue;
    held->queue_end = blocks->queue + held->held_most;
    held->usual = (uint16_t)note_free(class, NOTE_FREED);
    held->general = GENERAL_FILLING;
    if (single || !hardened.canary || !hardened.zero_max) {
        held->general |= GENERAL_ALWAYS;
        held->usual = NOTE_NEVER;
    }
}

static struct cache *make(struct mcache *owner)
{
    struct cache *cache = mheap_meta_alloc(sizeof(*cache));
    if (!cache)
        return NULL;
    random_seed(&cache->random, cache);
    cache->until_sample = hardened.sample ? sample_draw(&cache->random) - 1 : LONG_MAX;
    cache->classes[0].general = GENERAL_ALWAYS;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        init_class(cache, class);
    struct cache *first = atomic_load_explicit(&all_caches, memory_order_relaxed);
    do
        cache->next = first;
    while (!atomic_compare_exchange_weak_explicit(&all_caches, &first, cache, memory_order_release,
                                                  memory_order_relaxed));
    owner->hardened = cache;
    return cache;
}

struct cache *cache_self(void)
{
    struct mcache *owner = mcache_self();
    if (GA_UNLIKELY(owner == &mcache_none)) {
        owner = mcache_attached();
        if (!owner)
            return NULL;
    }
    return GA_LIKELY(owner->hardened != NULL) ? owner->hardened : make(owner);
}

/* false: out of memory. */
static bool refill(struct cache *cache, struct held_class *held, unsigned class)
{
    void **ready = cache->blocks[class].ready;
    unsigned want =
        between(1, TAKE_BYTES / size_classes[class].size, (size_t)(held->ready_end - ready));
    scavenger_tick(); /* which may flush this cache */
    unsigned got = tray_take(class, ready, &cache->random);
    if (!got)
        got = slab_take(class, ready, want, &cache->random);
    held->ready_top = ready + got;
    return got > 0;
}

void *cache_take(struct cache *cache, unsigned class)
{
    struct held_class *held = &cache->classes[class];
    if (!held->ready_top[-1] && !refill(cache, held, class))
        return NULL;
    void *slot = *--held->ready_top, *next = held->ready_top[-1];
    if (next && held->general & GENERAL_ALWAYS)
        zero_prefetch(next, held->wiped);
    return slot;
}

/* Room in `ready` for another. */
static void unload(struct cache *cache, struct held_class *held, unsigned class)
{
    void **keep = cache->blocks[class].ready + (held->ready_end - cache->blocks[class].ready) / 2;
    unsigned count = (unsigned)(held->ready_top - keep);
    held->ready_top = keep;
    if (!tray_give(class, keep, count))
        slab_give(class, keep, count);
    scavenger_tick();
}

void cache_give(struct cache *cache, unsigned class, void *p)
{
    struct held_class *held = &cache->classes[class];
    struct held_blocks *blocks = &cache->blocks[class];
    if (held->ready_top == held->ready_end)
        unload(cache, held, class); /* which may flush this cache */
    if (!held->held_most) {
        *held->ready_top++ = p;
    } else if (blocks->shuffled < held->held_most) {
        blocks->shuffle[blocks->shuffled++] = p;
    } else if (blocks->queued < held->held_most) {
        blocks->queue[blocks->queued++] = p;
        if (blocks->queued == held->held_most)
            held->general &= (uint8_t)~GENERAL_FILLING;
    } else {
        cache_pass(cache, held, p);
    }
}

/* --- Flushing --- */

void cache_check_slots(void *const *slots, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct slab *slab = slab_of(slots[i]);
        if (note_load(slab_note(slab, slots[i])) == note_free(slab->class, NOTE_FREED))
            wipe_check(slab, slots[i]);
    }
}

static unsigned ready_count(const struct cache *cache, unsigned class)
{
    void **top = __atomic_load_n(&cache->classes[class].ready_top, __ATOMIC_RELAXED);
    return (unsigned)(top - cache->blocks[class].ready);
}

void cache_check(struct cache *cache)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct held_blocks *blocks = &cache->blocks[class];
        cache_check_slots(blocks->shuffle, blocks->shuffled);
        cache_check_slots(blocks->queue, blocks->queued);
        cache_check_slots(blocks->ready, ready_count(cache, class));
    }
}

static void flush_class(struct cache *cache, unsigned class)
{
    struct held_class *held = &cache->classes[class];
    struct held_blocks *blocks = &cache->blocks[class];
    unsigned shuffled = blocks->shuffled, queued = blocks->queued;
    unsigned ready = ready_count(cache, class);
    blocks->shuffled = blocks->queued = 0;
    held->queue_at = held->queue;
    held->ready_top = blocks->ready;
    held->general |= GENERAL_FILLING;
    slab_give(class, blocks->shuffle, shuffled);
    slab_give(class, blocks->queue, queued);
    slab_give(class, blocks->ready, ready);
}

void cache_flush(struct mcache *owner)
{
    struct cache *cache = owner->hardened;
    if (!cache)
        return;
    cache_check(cache);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        if (cache->blocks[class].shuffled || ready_count(cache, class))
            flush_class(cache, class);
}

/* Another thread's counts: of some moment. */
size_t cache_count(unsigned class)
{
    size_t count = 0;
    const struct cache *cache = atomic_load_explicit(&all_caches, memory_order_acquire);
    for (; cache; cache = cache->next) {
        count += ready_count(cache, class);
        count += __atomic_load_n(&cache->blocks[class].shuffled, __ATOMIC_RELAXED);
        count += __atomic_load_n(&cache->blocks[class].queued, __ATOMIC_RELAXED);
    }
    return count;
}
