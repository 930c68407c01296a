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
 *   - reserve is the same to previous as previous is to loaded;
 *   - `count` of a loaded magazine is what it held when it was loaded; top says what it holds;
 *   - next is the slot below top, which for an empty magazine is the floor: NULL;
 *   - only the owner puts a previous magazine or a reserve, and only after taking what was there;
 *     who takes it, owner or not, has it for himself.
 * Locking: none of its own; a cache belongs to its thread. Fork: the child's thread keeps its
 * cache.
 */
#include "../mcentral/mcentral.h"
#include "../os/misuse.h"
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
 * mcache_read_stats may read at any moment; release: it finds the magazine made. */
static void load(struct mcache *cache, unsigned class, struct magazine *magazine)
{
    __atomic_store_n(&cache->loaded[class], magazine, __ATOMIC_RELEASE);
    GA_STORE_ANY(cache->top[class], magazine_slots(magazine) + magazine->count);
    cache->next[class] = cache->top[class][-1];
}

/* The statistics' count: what the magazine holds less than when it was loaded the program has got,
 * what it holds more the program has freed. */
static void count_use(struct mcache_counts *counts, unsigned class, uint32_t before, uint32_t now)
{
    if (now < before)
        GA_STORE_ANY(counts->allocs[class], counts->allocs[class] + (before - now));
    else
        GA_STORE_ANY(counts->frees[class], counts->frees[class] + (now - before));
}

/* Unloads the loaded magazine, with its count brought up to date. NULL before the first use. */
static struct magazine *unload(struct mcache *cache, unsigned class)
{
    struct magazine *magazine = cache->loaded[class];
    if (magazine->capacity == 0)
        return NULL;
    uint32_t now = (uint32_t)(cache->top[class] - magazine_slots(magazine));
    count_use(mcache_counts(cache), class, magazine->count, now);
    GA_STORE_ANY(magazine->count, now);
    /* The collector may stop this thread anywhere: it is counted before it is in its new place. */
    atomic_signal_fence(memory_order_seq_cst);
    return magazine;
}

/* Puts a magazine, or none, where another thread may take it. Release: who does finds what was done
 * to it before. */
static void put(struct magazine **slot, struct magazine *magazine)
{
    __atomic_store_n(slot, magazine, __ATOMIC_RELEASE);
}

/* Acquire: for those who aren't the owner. */
struct magazine *mcache_take(struct magazine **slot)
{
    if (!__atomic_load_n(slot, __ATOMIC_RELAXED))
        return NULL;
    return __atomic_exchange_n(slot, NULL, __ATOMIC_ACQUIRE);
}

/* The program's handler of SIGABRT may allocate: once only, the block is left where it is. */
GA_NORETURN GA_COLD static void freed_twice(void *p, unsigned class)
{
    misuse_report(&(struct misuse){.what = "double free",
                                   .address = p,
                                   .class = class,
                                   .class_size = size_classes[class].size});
}

/* Without a cache: one object from the spans. */
static void *alloc_uncached(unsigned class)
{
    return mheap_init() ? mcentral_take_one(class) : NULL;
}

static void *pop_loaded(struct mcache *cache, unsigned class)
{
    void **top = cache->top[class], *p = top[-1];
    GA_STORE_ANY(cache->top[class], top - 1);
    if (GA_UNLIKELY(p == top[-2]))
        freed_twice(p, class);
    cache->next[class] = top[-2];
    return p; /* in a register all the while: the collector may stop this thread anywhere */
}

/* Loads `magazine`, and the loaded one becomes the previous. */
static void load_over(struct mcache *cache, unsigned class, struct magazine *magazine)
{
    put(&cache->previous[class], unload(cache, class));
    load(cache, class, magazine);
}

/* Loads what was the reserve; the previous, which was taken, becomes it. */
static void load_reserve(struct mcache *cache, unsigned class, struct magazine *reserve,
                         struct magazine *previous)
{
    put(&cache->reserve[class], previous);
    load_over(cache, class, reserve);
}

static bool has_objects(const struct magazine *magazine)
{
    return magazine && magazine->count;
}

static bool has_room(const struct magazine *magazine)
{
    return magazine && !magazine->count;
}

/* --- Refilling --- */

/*
 * Objects out of the spans lie in no near cache, nor do those that this thread gave away long ago.
 * The program is about to write to them one after the other, and would wait for each; asked for all
 * at once they come together. A heap of 64 MB that is torn down and built anew: 25 ns a block
 * against 36. Not those that another thread gave, which may still lie in its cache: a producer and
 * a consumer of 64-byte blocks lose a fifth by it.
 */
#define HOT_BYTES ((uint64_t)1 << 20)

static void warm(struct magazine *magazine)
{
    void **slots = magazine_slots(magazine);
    for (unsigned i = magazine->count; i-- > 0;)
        GA_PREFETCH_WRITE(slots[i]);
}

static bool is_cold(const struct mcache *cache, const struct magazine *magazine)
{
    return magazine->giver == cache && cache->traffic - magazine->given_at > HOT_BYTES;
}

/* A magazine comes from the depot, or goes there. */
static void count_traffic(struct mcache *cache, unsigned class)
{
    cache->traffic += (uint64_t)cache->loaded[class]->capacity * size_classes[class].size;
}

/* Notes on a magazine that goes to the depot when it did; NULL stays NULL. */
static struct magazine *stamp(struct mcache *cache, struct magazine *magazine)
{
    if (magazine) {
        magazine->giver = cache;
        magazine->given_at = cache->traffic;
    }
    return magazine;
}

/* Fills the loaded magazine, which is empty, from the spans; false when out of memory. */
static bool fill_loaded(struct mcache *cache, unsigned class)
{
    struct magazine *loaded = unload(cache, class);
    if (!loaded) {
        loaded = mcentral_take_empty(class, NULL);
        if (!loaded)
            return false;
    }
    /* While it fills it isn't loaded: what its slots hold is more than its top says. */
    load(cache, class, &mcache_none_magazine.magazine);
    mcentral_refit(class, loaded);
    unsigned got = mcentral_fill(class, magazine_slots(loaded), refill_count(class, loaded));
    GA_STORE_ANY(loaded->count, got);
    load(cache, class, loaded);
    warm(loaded);
    return got > 0;
}

size_t mcache_refill_bytes(unsigned class)
{
    size_t size = size_classes[class].size, whole = size * mcache_capacity(class);
    size_t most = size > REFILL_BYTES ? size : REFILL_BYTES;
    return whole < size ? size : whole < most ? whole : most;
}

/* Makes the loaded magazine hold something; false when out of memory. */
static bool replenish(struct mcache *cache, unsigned class)
{
    struct magazine *previous = mcache_take(&cache->previous[class]);
    if (has_objects(previous)) {
        load_over(cache, class, previous);
        return true;
    }
    struct magazine *reserve = mcache_take(&cache->reserve[class]);
    if (has_objects(reserve)) {
        load_reserve(cache, class, reserve, previous);
        return true;
    }
    /* All are empty: the previous one goes, the loaded one becomes it, a full one comes. */
    put(&cache->reserve[class], reserve);
    count_traffic(cache, class);
    struct magazine *full = mcentral_take_full(class, previous, cache);
    if (!full) {
        put(&cache->previous[class], previous);
        return fill_loaded(cache, class);
    }
    load_over(cache, class, full);
    if (is_cold(cache, full))
        warm(full);
    return true;
}

GA_NOINLINE void *mcache_alloc_slow(unsigned class)
{
    struct mcache *cache = mcache_attached();
    if (!cache)
        return alloc_uncached(class);
    GA_STORE_ANY(cache->visits, cache->visits + 1);
    void **top = cache->top[class];
    if (top[-1] && top[-1] == top[-2]) {
        cache->top[class]--;
        freed_twice(top[-1], class);
    }
    if (!top[-1] && !replenish(cache, class))
        return alloc_uncached(class);
    return pop_loaded(cache, class);
}

/* Where there's no memory for another magazine, the loaded one's objects go to their spans: all at
 * once, or every free would ask the kernel for that memory again. false: there's no magazine. */
static bool drain_loaded(struct mcache *cache, unsigned class)
{
    struct magazine *loaded = unload(cache, class);
    if (!loaded)
        return false;
    load(cache, class, &mcache_none_magazine.magazine);
    mcentral_drain(class, magazine_slots(loaded), loaded->count);
    GA_STORE_ANY(loaded->count, 0);
    load(cache, class, loaded);
    return true;
}

/*
 * A class has a reserve if its magazines are small. With one a thread whose number of live objects
 * goes up and down a little never comes to the depot; without, two threads that do so mix their
 * objects there until each has some in every cache line of the other's (a fifth more time).
 */
#define RESERVE_BYTES ((size_t)16 << 10)

static bool may_have_reserve(unsigned class)
{
    const struct size_class *c = &size_classes[class];
    return (size_t)c->size * c->magazine_capacity <= RESERVE_BYTES;
}

/*
 * Loads an empty magazine of the depot's, which gets the eldest of ours if there are as many as
 * there may be. The two were taken, and are full or NULL. false: there's no memory for a magazine.
 */
static bool load_empty(struct mcache *cache, unsigned class, struct magazine *reserve,
                       struct magazine *previous)
{
    bool three = may_have_reserve(class);
    count_traffic(cache, class);
    struct magazine *empty = mcentral_take_empty(class, stamp(cache, three ? reserve : previous));
    if (empty)
        put(&cache->reserve[class], three ? previous : NULL);
    else
        put(&cache->reserve[class], reserve);
    if (empty)
        load_over(cache, class, empty);
    else
        put(&cache->previous[class], previous);
    return empty != NULL;
}

static void give_two(unsigned class, struct magazine *one, struct magazine *other)
{
    if (one)
        mcentral_give(class, one);
    if (other)
        mcentral_give(class, other);
}

/* Makes room in the loaded magazine; false when there's no memory for a magazine. */
static bool make_room(struct mcache *cache, unsigned class)
{
    /* Not ours while they are taken: a bad object ends the process, whose handlers may free. */
    struct magazine *previous = mcache_take(&cache->previous[class]);
    if (GA_UNLIKELY(mcentral_is_lean())) {
        give_two(class, previous, mcache_take(&cache->reserve[class]));
        previous = NULL;
        if (drain_loaded(cache, class))
            return true;
    }
    if (has_room(previous)) {
        load_over(cache, class, previous);
        return true;
    }
    struct magazine *reserve = mcache_take(&cache->reserve[class]);
    if (has_room(reserve)) {
        load_reserve(cache, class, reserve, previous);
        return true;
    }
    return load_empty(cache, class, reserve, previous) || drain_loaded(cache, class);
}

GA_NOINLINE void mcache_free_slow(void *p, unsigned class)
{
    struct mcache *cache = mcache_attached();
    if (cache)
        GA_STORE_ANY(cache->visits, cache->visits + 1);
    /* The neighbour that malloc would compare it with is about to lie in another magazine. */
    if (cache && cache->top[class][-1] == p)
        freed_twice(p, class);
    bool pushed = cache && (mcache_push(cache, class, p) ||
                            (make_room(cache, class) && mcache_push(cache, class, p)));
    if (!pushed)
        mcentral_give_one(class, p);
}

static bool holds_objects(struct magazine *const *slot)
{
    const struct magazine *magazine = __atomic_load_n(slot, __ATOMIC_RELAXED);
    return magazine && GA_LOAD_ANY(magazine->count);
}

bool mcache_has(unsigned class)
{
    const struct mcache *cache = mcache_self();
    return cache->next[class] || holds_objects(&cache->previous[class]) ||
           holds_objects(&cache->reserve[class]);
}

/* Gives a class's magazines to the depot, the eldest first. */
static void flush_class(struct mcache *cache, unsigned class)
{
    enum { HELD = 3 };
    struct magazine *held[HELD] = {mcache_take(&cache->reserve[class]),
                                   mcache_take(&cache->previous[class]), unload(cache, class)};
    load(cache, class, &mcache_none_magazine.magazine);
    for (size_t i = 0; i < HELD; i++)
        if (held[i])
            mcentral_give(class, stamp(cache, held[i]));
}

/* A class whose position hasn't moved wasn't used, or comes back to where it was by chance. */
static void flush_unused(struct mcache *cache)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        if (cache->top[class] == cache->top_seen[class])
            flush_class(cache, class);
        cache->top_seen[class] = cache->top[class];
    }
}

void mcache_meet_requests(void)
{
    struct mcache *cache = mcache_self();
    unsigned requests = atomic_load_explicit(&mcache_requests, memory_order_relaxed);
    if (cache == &mcache_none)
        return;
    bool all = (requests ^ cache->requests_met) / MCACHE_FLUSH_ALL != 0;
    cache->requests_met = requests;
    if (all)
        mcache_flush(cache);
    else
        flush_unused(cache);
}

void mcache_flush(struct mcache *cache)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        flush_class(cache, class);
}
