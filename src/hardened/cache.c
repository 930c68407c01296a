// SPDX-License-Identifier: MIT
/*
 * cache.c: a thread's ready blocks, and the freed ones that it holds back.
 *
 *   free --> shuffle --a random one--> queue --the oldest--> ready --the last--> malloc
 *                                                             ^ |
 *                                                     slabs --+ +--> slabs, many at a time
 *
 * Place: blocks.c, for each malloc and free. Calls slab.c.
 *
 * A freed block is held back for at least as many frees as the queue is long, and nobody can tell
 * which of them comes next.
 *
 * Invariants: what lies here has its bit set in its slab, and its state is SLOT_FREED, or
 * SLOT_FRESH in `ready`. Locking: none: a cache belongs to its thread, and waits with the thread's
 * mcache for the next.
 */
#include "../os/os.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

/* A class holds back this many bytes in `shuffle`, and again in `queue`; readies so many more; and
 * takes so many out of slabs at a time, in random order. */
#define HELD_BYTES  ((size_t)16 << 10)
#define READY_BYTES ((size_t)64 << 10)
#define TAKE_BYTES  ((size_t)16 << 10)

static _Atomic(struct cache *) all_caches; /* release: who sees a cache sees its `next` */

static uint16_t between(size_t least, size_t n, size_t most)
{
    return (uint16_t)(n < least ? least : n > most ? most : n);
}

static void init_class(struct held_class *held, size_t size)
{
    held->held_most = hardened.quarantine ? between(1, HELD_BYTES / size, HELD_MAX) : (uint16_t)0;
    held->ready_most = between(2, READY_BYTES / size, READY_MAX);
}

static struct cache *make(struct mcache *owner)
{
    struct cache *cache = mheap_meta_alloc(sizeof(*cache));
    if (!cache)
        return NULL;
    random_seed(&cache->random, cache);
    cache->until_sample = hardened.sample ? sample_draw(&cache->random) : 0;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        init_class(&cache->classes[class], size_classes[class].size);
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

bool cache_refill(struct cache *cache, unsigned class)
{
    struct held_class *held = &cache->classes[class];
    unsigned want = between(1, TAKE_BYTES / size_classes[class].size, held->ready_most);
    scavenger_tick(); /* which may flush this cache */
    held->ready_count = (uint16_t)slab_take(class, held->ready, want, &cache->random);
    return held->ready_count > 0;
}

void cache_unload(struct held_class *held, unsigned class)
{
    unsigned keep = held->ready_most / 2;
    slab_give(class, held->ready + keep, held->ready_most - keep);
    held->ready_count = (uint16_t)keep;
    scavenger_tick();
}

void cache_give_slow(struct held_class *held, unsigned class, void *p)
{
    if (held->shuffled < held->held_most) {
        held->shuffle[held->shuffled++] = p;
    } else if (held->queued < held->held_most) {
        held->queue[held->queued++] = p;
    } else {
        if (held->ready_count == held->ready_most)
            cache_unload(held, class);
        held->ready[held->ready_count++] = p;
    }
}

/* --- Flushing --- */

static void check(void *const *blocks, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct slab *slab = slab_of(blocks[i]);
        if (slab->state[slab_slot(slab, blocks[i])] == SLOT_FREED)
            wipe_check(slab, blocks[i]);
    }
}

void cache_check(struct cache *cache)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct held_class *held = &cache->classes[class];
        check(held->shuffle, held->shuffled);
        check(held->queue, held->queued);
        check(held->ready, held->ready_count);
    }
}

static void flush_class(struct held_class *held, unsigned class)
{
    unsigned shuffled = held->shuffled, queued = held->queued, ready = held->ready_count;
    held->shuffled = held->queued = held->queue_at = held->ready_count = 0;
    slab_give(class, held->shuffle, shuffled);
    slab_give(class, held->queue, queued);
    slab_give(class, held->ready, ready);
}

void cache_flush(struct mcache *owner)
{
    struct cache *cache = owner->hardened;
    if (!cache)
        return;
    cache_check(cache);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        if (cache->classes[class].shuffled || cache->classes[class].ready_count)
            flush_class(&cache->classes[class], class);
}

/* Another thread's counts: of some moment. */
size_t cache_count(unsigned class)
{
    size_t count = 0;
    const struct cache *cache = atomic_load_explicit(&all_caches, memory_order_acquire);
    for (; cache; cache = cache->next) {
        const struct held_class *held = &cache->classes[class];
        count += __atomic_load_n(&held->ready_count, __ATOMIC_RELAXED);
        count += __atomic_load_n(&held->shuffled, __ATOMIC_RELAXED);
        count += __atomic_load_n(&held->queued, __ATOMIC_RELAXED);
    }
    return count;
}
