// SPDX-License-Identifier: MIT
/*
 * mcache.c: what malloc and free do when the loaded magazine can't serve them.
 *
 * Place: src/libc calls it after the fast path declined. Calls src/mcentral, and thread.c for a
 * thread's first cache.
 *
 * Invariants:
 *   - loaded is never NULL; before a class's first use it is the magazine of capacity 0 that all
 *     caches share, which is full and empty at once;
 *   - previous is NULL, or empty, or holds objects and isn't needed before loaded runs out;
 *   - `count` of a loaded magazine is stale; top says how many objects it holds;
 *   - next is the slot below top, which for an empty magazine is the floor: NULL.
 * Locking: none of its own; a cache belongs to its thread. Fork: the child's thread keeps its
 * cache.
 */
#include "../mcentral/mcentral.h"
#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

/*
 * A refill takes this many bytes' worth of objects out of the spans, at most a magazine full: fresh
 * objects cost no memory until they are written, but those of one thread shouldn't be spread wide.
 */
#define REFILL_BYTES ((size_t)64 << 10)

static unsigned refill_count(unsigned class, const struct magazine *magazine)
{
    size_t fit = REFILL_BYTES / size_classes[class].size;
    fit = fit < 1 ? 1 : fit;
    return fit < magazine->capacity ? (unsigned)fit : magazine->capacity;
}

/* Loads `magazine`, which holds `count` objects. Like all stores to a cache, this is one that
 * mcache_read_stats may read at any moment. */
static void load(struct mcache *cache, unsigned class, struct magazine *magazine)
{
    GA_STORE_ANY(cache->loaded[class], magazine);
    GA_STORE_ANY(cache->top[class], magazine_slots(magazine) + magazine->count);
    cache->next[class] = cache->top[class][-1];
}

/* Unloads the loaded magazine, with its count brought up to date. NULL before the first use. */
static struct magazine *unload(struct mcache *cache, unsigned class)
{
    struct magazine *magazine = cache->loaded[class];
    if (magazine->capacity == 0)
        return NULL;
    GA_STORE_ANY(magazine->count, (uint32_t)(cache->top[class] - magazine_slots(magazine)));
    return magazine;
}

/* The program's handler of SIGABRT may allocate: once only, the block is left where it is. */
GA_NORETURN GA_COLD static void freed_twice(void *p, unsigned class)
{
    report_fatal("double free: %p (size class %u of %u bytes, thread %u)", p, class,
                 size_classes[class].size, os_thread_id());
}

/* Without a cache: one object from the spans. */
static void *alloc_uncached(unsigned class)
{
    void *p = NULL;
    if (mheap_init())
        mcentral_fill(class, &p, 1);
    return p;
}

static void *pop_loaded(struct mcache *cache, unsigned class)
{
    void **top = cache->top[class]--;
    if (GA_UNLIKELY(top[-1] == top[-2]))
        freed_twice(top[-1], class);
    cache->next[class] = top[-2];
    return top[-1];
}

/* Makes the loaded magazine hold something; false when out of memory. */
static bool replenish(struct mcache *cache, unsigned class)
{
    struct magazine *previous = cache->previous[class];
    if (previous && previous->count) {
        GA_STORE_ANY(cache->previous[class], unload(cache, class));
        load(cache, class, previous);
        return true;
    }
    /* Both are empty: the previous one goes, the loaded one becomes it, a full one comes. */
    struct magazine *full = mcentral_take_full(class, previous);
    if (full) {
        GA_STORE_ANY(cache->previous[class], unload(cache, class));
        load(cache, class, full);
        return true;
    }
    struct magazine *loaded = unload(cache, class);
    if (!loaded) {
        loaded = mcentral_take_empty(class, NULL);
        if (!loaded)
            return false;
    }
    unsigned got = mcentral_fill(class, magazine_slots(loaded), refill_count(class, loaded));
    GA_STORE_ANY(loaded->count, got);
    load(cache, class, loaded);
    return loaded->count > 0;
}

GA_NOINLINE void *mcache_alloc_slow(unsigned class)
{
    struct mcache *cache = mcache_attached();
    if (!cache)
        return alloc_uncached(class);
    void **top = cache->top[class];
    if (top[-1] && top[-1] == top[-2]) {
        cache->top[class]--;
        freed_twice(top[-1], class);
    }
    if (!top[-1] && !replenish(cache, class))
        return alloc_uncached(class);
    return pop_loaded(cache, class);
}

/* Makes room in the loaded magazine; false when there's no memory for another magazine. */
static bool make_room(struct mcache *cache, unsigned class)
{
    struct magazine *previous = cache->previous[class];
    if (previous && !previous->count) {
        GA_STORE_ANY(cache->previous[class], unload(cache, class));
        load(cache, class, previous);
        return true;
    }
    /* Not ours while it is given: a bad object in it ends the process, whose handlers may free. */
    GA_STORE_ANY(cache->previous[class], NULL);
    struct magazine *empty = mcentral_take_empty(class, previous);
    if (!empty) {
        GA_STORE_ANY(cache->previous[class], previous);
        return false;
    }
    GA_STORE_ANY(cache->previous[class], unload(cache, class));
    load(cache, class, empty);
    return true;
}

GA_NOINLINE void mcache_free_slow(void *p, unsigned class)
{
    struct mcache *cache = mcache_attached();
    /* The neighbour that malloc would compare it with is about to lie in another magazine. */
    if (cache && cache->top[class][-1] == p)
        freed_twice(p, class);
    bool pushed = cache && (mcache_push(cache, class, p) ||
                            (make_room(cache, class) && mcache_push(cache, class, p)));
    if (!pushed)
        mcentral_drain(class, &p, 1);
}

bool mcache_has(unsigned class)
{
    const struct mcache *cache = mcache_self();
    const struct magazine *previous = cache->previous[class];
    return cache->next[class] || (previous && previous->count);
}

/* Gives a class's magazines to the depot. */
static void flush_class(struct mcache *cache, unsigned class)
{
    struct magazine *loaded = unload(cache, class), *previous = cache->previous[class];
    load(cache, class, &mcache_none_magazine.magazine);
    GA_STORE_ANY(cache->previous[class], NULL);
    if (loaded)
        mcentral_give(class, loaded);
    if (previous)
        mcentral_give(class, previous);
}

void mcache_flush(struct mcache *cache)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        flush_class(cache, class);
}
