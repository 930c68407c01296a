// SPDX-License-Identifier: MIT
/*
 * thread.c: which cache a thread has, from its first malloc to after its last destructor.
 *
 *   mcache_none --first slow path--> a cache --last destructor round--> mcache_none, thread_gone
 * set; with GOALLOC=count mcache_none for ever
 *
 * Place: mcache.c's slow paths ask for the thread's cache; the C library calls the destructor.
 *
 * A cache whose thread has ended keeps its contents and waits for the next thread, up to
 * WARM_CACHES of them: starting a thread is then as cheap as taking the cache off a list. Further
 * ones are flushed first, so that ten thousand threads that come and go leave no more than that.
 *
 * Invariants: every cache ever made is in the registry; an idle one is owned by the registry's
 * lock. Locking: the registry's lock, outside the centrals'. Fork: the child's other threads are
 * gone in the midst of whatever they did; their caches are left as they are and never used again.
 */
#include <limits.h>
#include <pthread.h>

#include "../mcentral/mcentral.h"
#include "../os/lock.h"
#include "../os/os.h"
#include "internal.h"

#define WARM_CACHES 4

struct none_magazine mcache_none_magazine;

/* [0 ... n] is the only way to say this once, and gcc and clang both have it. */
struct mcache mcache_none = {
    .top = {[0 ... SIZE_CLASS_COUNT - 1] = (void **)&mcache_none_magazine.magazine},
    .loaded = {[0 ... SIZE_CLASS_COUNT - 1] = &mcache_none_magazine.magazine},
};

__thread struct mcache *mcache_current __attribute__((tls_model("initial-exec"), used)) =
    &mcache_none;
/* Not NULL once this thread's cache has been given up. */
extern GA_HIDDEN __thread void *mcache_thread_gone __attribute__((tls_model("initial-exec")));
__thread void *mcache_thread_gone __attribute__((tls_model("initial-exec"), used));

void (*mcache_flush_too)(struct mcache *cache);

static struct {
    struct lock lock;
    struct mcache *all;   /* guarded by lock */
    struct mcache *warm;  /* idle, with objects in them; guarded by lock */
    struct mcache *cold;  /* idle, flushed; guarded by lock */
    unsigned warm_count;  /* length of `warm`; guarded by lock */
    pthread_key_t key;    /* constant once key_made */
    atomic_bool key_made; /* release once key is valid, acquire by who uses it */
} registry;

/* Of caches that went cold; guarded by the registry's lock. */
static struct mcache_counts cold_counts;

static bool uncached; /* no thread gets a cache; written before main */

static void set_current(struct mcache *cache)
{
    GA_TLS_STORE(mcache_current, cache);
}

static bool is_gone(void)
{
    void *gone;
    GA_TLS_LOAD(gone, mcache_thread_gone);
    return gone != NULL;
}

/* --- A thread's beginning --- */

static struct mcache *make_cache(void)
{
    struct mcache *cache = mheap_meta_alloc(sizeof(struct counted_mcache));
    if (!cache)
        return NULL;
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++) {
        cache->top[class] = mcache_none.top[class];
        cache->loaded[class] = mcache_none.loaded[class];
    }
    return cache;
}

static void push_idle(struct mcache **list, struct mcache *cache)
{
    cache->idle = true;
    cache->next_idle = *list;
    *list = cache;
}

static struct mcache *pop_idle(struct mcache **list)
{
    struct mcache *cache = *list;
    if (cache) {
        *list = cache->next_idle;
        cache->idle = false;
    }
    return cache;
}

/* Lock held. */
static struct mcache *take_idle(void)
{
    struct mcache *cache = pop_idle(&registry.warm);
    registry.warm_count -= cache != NULL;
    return cache ? cache : pop_idle(&registry.cold);
}

static struct mcache *take_cache(void)
{
    lock_acquire(&registry.lock);
    struct mcache *cache = take_idle();
    if (!cache) {
        cache = make_cache();
        if (cache) {
            cache->next_cache = registry.all;
            registry.all = cache;
        }
    }
    lock_release(&registry.lock);
    return cache;
}

struct mcache *mcache_attached(void)
{
    struct mcache *cache = mcache_self();
    if (GA_LIKELY(cache != &mcache_none))
        return cache;
    /* What the loader frees it frees for threads that have ended, or at this one's very end. */
    cache = is_gone() || uncached || os_serves_loader() ? NULL : take_cache();
    if (!cache)
        return NULL;
    /* First the cache, then the key: pthread_setspecific may itself call malloc. */
    cache->destructor_rounds = 0;
    cache->thread = 0;
    set_current(cache);
    if (registry.key_made)
        pthread_setspecific(registry.key, cache);
    return cache;
}

/* --- A thread's end --- */

/* Lock held. A cache without a thread hands its counts over, so that it need not be looked at. */
static void collect_counts(struct mcache *cache)
{
    struct mcache_counts *counts = mcache_counts(cache);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        cold_counts.allocs[class] += counts->allocs[class];
        cold_counts.frees[class] += counts->frees[class];
    }
    *counts = (struct mcache_counts){0};
}

/* Not under the lock: a bad object ends the process, whose handler of SIGABRT may start threads. */
static void flush_to_cold(struct mcache *cache)
{
    mcache_flush(cache);
    if (mcache_flush_too)
        mcache_flush_too(cache);
    lock_acquire(&registry.lock);
    collect_counts(cache);
    push_idle(&registry.cold, cache);
    lock_release(&registry.lock);
}

static void retire(struct mcache *cache)
{
    lock_acquire(&registry.lock);
    bool stays_warm = registry.warm_count < WARM_CACHES;
    if (stays_warm) {
        registry.warm_count++;
        push_idle(&registry.warm, cache);
    }
    lock_release(&registry.lock);
    if (!stays_warm)
        flush_to_cold(cache);
}

/*
 * The C library calls destructors in up to four rounds, and ours, being among the first keys made,
 * comes early in each. By setting the value again it is called in the next round too, so that other
 * destructors, which may free, mostly find the cache still there.
 */
static void destroy(void *value)
{
    struct mcache *cache = value;
    if (++cache->destructor_rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1) {
        pthread_setspecific(registry.key, cache);
        return;
    }
    set_current(&mcache_none);
    GA_TLS_STORE(mcache_thread_gone, cache);
    retire(cache);
}

void mcache_init_process(void)
{
    if (registry.key_made)
        return;
    registry.key_made = pthread_key_create(&registry.key, destroy) == 0;
    /* A cache that this thread got before the key existed. */
    struct mcache *cache = mcache_self();
    if (registry.key_made && cache != &mcache_none)
        pthread_setspecific(registry.key, cache);
}

void mcache_give_up(void)
{
    struct mcache *cache = mcache_self();
    uncached = true;
    if (cache == &mcache_none)
        return;
    set_current(&mcache_none);
    if (registry.key_made)
        pthread_setspecific(registry.key, NULL);
    flush_to_cold(cache);
}

/* --- Flushing --- */

void mcache_flush_self(void)
{
    struct mcache *cache = mcache_self();
    if (cache != &mcache_none)
        mcache_flush(cache);
}

static struct mcache *take_warm(void)
{
    lock_acquire(&registry.lock);
    struct mcache *cache = pop_idle(&registry.warm);
    registry.warm_count -= cache != NULL;
    lock_release(&registry.lock);
    return cache;
}

void mcache_flush_idle(void)
{
    for (struct mcache *cache; (cache = take_warm());)
        flush_to_cold(cache);
}

atomic_uint mcache_requests;

/* --- Caches whose threads don't come by --- */

struct taken {
    struct magazine *of_class[SIZE_CLASS_COUNT]; /* lists */
};

static void take(struct magazine **slot, struct magazine **list)
{
    struct magazine *magazine = mcache_take(slot);
    if (magazine) {
        magazine->next = *list;
        *list = magazine;
    }
}

static void take_all_but_loaded(struct mcache *cache, struct taken *taken)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        take(&cache->previous[class], &taken->of_class[class]);
        take(&cache->reserve[class], &taken->of_class[class]);
    }
}

/* Not under the lock, as above. */
static void give_taken(const struct taken *taken)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        for (struct magazine *magazine = taken->of_class[class], *next; magazine; magazine = next) {
            next = magazine->next;
            mcentral_give(class, magazine);
        }
}

void mcache_take_from_sleepers(bool all)
{
    struct taken taken = {{NULL}};
    lock_acquire(&registry.lock);
    for (struct mcache *cache = registry.all; cache; cache = cache->next_cache) {
        unsigned visits = GA_LOAD_ANY(cache->visits);
        if (all || visits == cache->visits_seen)
            take_all_but_loaded(cache, &taken);
        cache->visits_seen = visits;
    }
    lock_release(&registry.lock);
    give_taken(&taken);
}

/* --- Fork --- */

void mcache_lock_for_fork(void)
{
    lock_freeze(&registry.lock);
}

void mcache_unlock_after_fork(void)
{
    lock_thaw(&registry.lock);
}

void mcache_reset_in_child(void)
{
    lock_reset(&registry.lock);
}

/* --- The collector --- */

void mcache_acquire_all(void)
{
    lock_acquire(&registry.lock);
}

void mcache_release_all(void)
{
    lock_release(&registry.lock);
}

struct visit {
    uint32_t round;
    void (*visit)(void *object, void *context);
    void *context;
};

static void visit_slots(const struct visit *v, struct magazine *magazine, size_t count)
{
    void **slots = magazine_slots(magazine);
    magazine->seen = v->round;
    for (size_t i = 0; i < count; i++)
        v->visit(slots[i], v->context);
}

/*
 * The thread may stand between any two instructions. While it exchanges its magazines `top` may not
 * belong to `loaded`: then the magazine stays unseen. In the midst of a malloc or a free the
 * topmost object may be counted or not; a register holds it as well.
 */
static void visit_class(const struct visit *v, const struct mcache *cache, unsigned class)
{
    struct magazine *loaded = cache->loaded[class];
    struct magazine *others[] = {cache->previous[class], cache->reserve[class]};
    size_t held = (size_t)(cache->top[class] - magazine_slots(loaded));
    if (loaded->capacity && held <= loaded->capacity)
        visit_slots(v, loaded, held);
    for (size_t i = 0; i < 2; i++)
        if (others[i] && others[i] != loaded && others[i]->count <= others[i]->capacity)
            visit_slots(v, others[i], others[i]->count);
}

void mcache_visit_cached(uint32_t round, void (*visit)(void *object, void *context), void *context)
{
    struct visit v = {round, visit, context};
    for (const struct mcache *cache = registry.all; cache; cache = cache->next_cache)
        for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
            visit_class(&v, cache, class);
}

/* --- Statistics --- */

/*
 * Another thread's magazines change while this reads; counts are clamped, never trusted. A top that
 * isn't the loaded magazine's is of another moment, with an exchange between.
 */
static void count_magazines(const struct mcache *cache, unsigned class, struct mcache_stats *out)
{
    const struct magazine *loaded = __atomic_load_n(&cache->loaded[class], __ATOMIC_ACQUIRE);
    if (loaded == &mcache_none_magazine.magazine)
        return; /* a class that the thread hasn't used, or is just flushing */
    enum { OTHERS = 2 };
    const struct magazine *others[OTHERS] = {
        __atomic_load_n(&cache->previous[class], __ATOMIC_RELAXED),
        __atomic_load_n(&cache->reserve[class], __ATOMIC_RELAXED),
    };
    void **top = __atomic_load_n(&cache->top[class], __ATOMIC_RELAXED);
    size_t before = __atomic_load_n(&loaded->count, __ATOMIC_RELAXED);
    size_t capacity = GA_LOAD_ANY(loaded->capacity);
    size_t held = capacity - (size_t)((void **)loaded - top);
    if (held <= capacity) {
        out->objects[class] += held;
        out->allocs[class] += before > held ? before - held : 0;
        out->frees[class] += held > before ? held - before : 0;
    }
    for (size_t i = 0; i < OTHERS; i++)
        if (others[i])
            out->objects[class] += __atomic_load_n(&others[i]->count, __ATOMIC_RELAXED);
}

/* An exchange has a magazine counted: what is read before and after one doesn't belong together. */
#define COUNT_TRIES 4

static void count_class(struct mcache *cache, unsigned class, struct mcache_stats *out)
{
    const struct mcache_counts *counts = mcache_counts(cache);
    const size_t objects = out->objects[class];
    const uint64_t allocs = out->allocs[class], frees = out->frees[class];
    for (int tries = 0; tries < COUNT_TRIES; tries++) {
        uint64_t allocated = __atomic_load_n(&counts->allocs[class], __ATOMIC_ACQUIRE);
        uint64_t freed = __atomic_load_n(&counts->frees[class], __ATOMIC_ACQUIRE);
        out->objects[class] = objects;
        out->allocs[class] = allocs + allocated;
        out->frees[class] = frees + freed;
        count_magazines(cache, class, out);
        if (allocated == __atomic_load_n(&counts->allocs[class], __ATOMIC_RELAXED) &&
            freed == __atomic_load_n(&counts->frees[class], __ATOMIC_RELAXED))
            return;
    }
}

static void count_cache(struct mcache *cache, struct mcache_stats *out)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        count_class(cache, class, out);
}

/* Of idle caches those on the warm list; cold ones are empty, and their counts collected. */
void mcache_read_stats(struct mcache_stats *out)
{
    *out = (struct mcache_stats){0};
    lock_acquire(&registry.lock);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        out->allocs[class] = cold_counts.allocs[class];
        out->frees[class] = cold_counts.frees[class];
    }
    for (struct mcache *cache = registry.all; cache; cache = cache->next_cache) {
        out->caches++;
        out->idle += cache->idle;
        if (!cache->idle)
            count_cache(cache, out);
    }
    for (struct mcache *cache = registry.warm; cache; cache = cache->next_idle)
        count_cache(cache, out);
    lock_release(&registry.lock);
}

size_t mcache_footprint(void)
{
    return round_up(sizeof(struct counted_mcache), GA_CACHE_LINE);
}
