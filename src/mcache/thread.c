// SPDX-License-Identifier: MIT
/*
 * thread.c: which cache a thread has, from its first malloc to after its last destructor.
 *
 *   mcache_none --first slow path--> a cache --last destructor round--> mcache_none, thread_gone
 * set
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

#include "../os/lock.h"
#include "internal.h"

#define WARM_CACHES 4

struct none_magazine mcache_none_magazine;

/* [0 ... n] is the only way to say this once, and gcc and clang both have it. */
struct mcache mcache_none = {
    .top = {[0 ... SIZE_CLASS_COUNT - 1] = (void **)&mcache_none_magazine.magazine},
    .loaded = {[0 ... SIZE_CLASS_COUNT - 1] = &mcache_none_magazine.magazine},
};

__thread struct mcache *mcache_current __attribute__((tls_model("initial-exec"))) = &mcache_none;
/* Not NULL once this thread's cache has been given up. */
static __thread void *thread_gone __attribute__((tls_model("initial-exec"), used));

static struct {
    struct lock lock;
    struct mcache *all;   /* guarded by lock */
    struct mcache *warm;  /* idle, with objects in them; guarded by lock */
    struct mcache *cold;  /* idle, flushed; guarded by lock */
    unsigned warm_count;  /* length of `warm`; guarded by lock */
    pthread_key_t key;    /* constant once key_made */
    atomic_bool key_made; /* release once key is valid, acquire by who uses it */
} registry;

static void set_current(struct mcache *cache)
{
    GA_TLS_STORE(mcache_current, cache);
}

static bool is_gone(void)
{
    void *gone;
    GA_TLS_LOAD(gone, thread_gone);
    return gone != NULL;
}

/* --- A thread's beginning --- */

static struct mcache *make_cache(void)
{
    struct mcache *cache = mheap_meta_alloc(sizeof(*cache));
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
    cache = is_gone() ? NULL : take_cache();
    if (!cache)
        return NULL;
    /* First the cache, then the key: pthread_setspecific may itself call malloc. */
    cache->destructor_rounds = 0;
    set_current(cache);
    if (registry.key_made)
        pthread_setspecific(registry.key, cache);
    return cache;
}

/* --- A thread's end --- */

/* Not under the lock: a bad object ends the process, whose handler of SIGABRT may start threads. */
static void flush_to_cold(struct mcache *cache)
{
    mcache_flush(cache);
    lock_acquire(&registry.lock);
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
    GA_TLS_STORE(thread_gone, cache);
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

/* --- Statistics --- */

/* Another thread's magazines change while this reads; counts are clamped, never trusted. */
static size_t count_class(const struct mcache *cache, unsigned class)
{
    const struct magazine *loaded = __atomic_load_n(&cache->loaded[class], __ATOMIC_RELAXED);
    const struct magazine *previous = __atomic_load_n(&cache->previous[class], __ATOMIC_RELAXED);
    void **top = __atomic_load_n(&cache->top[class], __ATOMIC_RELAXED);
    size_t held = loaded->capacity - (size_t)((void **)loaded - top);
    size_t count = held <= loaded->capacity ? held : 0;
    if (previous)
        count += __atomic_load_n(&previous->count, __ATOMIC_RELAXED);
    return count;
}

void mcache_read_stats(struct mcache_stats *out)
{
    *out = (struct mcache_stats){0};
    lock_acquire(&registry.lock);
    for (const struct mcache *cache = registry.all; cache; cache = cache->next_cache) {
        out->caches++;
        out->idle += cache->idle;
        for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
            out->objects[class] += count_class(cache, class);
    }
    lock_release(&registry.lock);
}
