// SPDX-License-Identifier: MIT
/*
 * mcache.h: a thread's cache of free objects, and the fast paths of malloc and free.
 *
 * For each size class a thread has a loaded magazine, whose top the cache holds, and a previous one
 * that is full or empty (Bonwick's pair: whatever the next call is, it can be served without a lock
 * half of a magazine away from the edge). Classes of small objects have a third one, the reserve. A
 * malloc pops, a free pushes. Neither touches the object, its span, or anything that another thread
 * writes.
 *
 * A thread that has no cache yet points at mcache_none, whose magazines hold nothing and take
 * nothing, so that the fast paths need not ask. So does one whose cache is gone, after its
 * destructors; its few calls go to the centrals one object at a time.
 */
#ifndef GOALLOC_MCACHE_H
#define GOALLOC_MCACHE_H

#include "../goalloc.h"
#include "../mcentral/magazine.h"
#include "../mheap/mheap.h"
#include "../size_classes/size_classes.h"

/*
 * The topmost object of each loaded magazine is kept a second time, in `next`. A free that is
 * followed by a malloc of the same class is the commonest pair there is; the malloc finds its block
 * in a place that depends on nothing but the class, while top waits for free's look-up of the class
 * (26 to 34 cycles a pair against 14).
 */
struct mcache {
    void *next[SIZE_CLASS_COUNT]; /* what malloc returns; NULL: nothing loaded; owner */
    void **top[SIZE_CLASS_COUNT]; /* one past the loaded magazine's last; owner */
    struct magazine *loaded[SIZE_CLASS_COUNT];   /* top == loaded: it is full; owner */
    struct magazine *previous[SIZE_CLASS_COUNT]; /* full, empty, or NULL; atomic: the owner puts
                                                     and takes, others may take */
    struct magazine *reserve[SIZE_CLASS_COUNT];  /* the one before that; the same */
    uint64_t traffic;                  /* bytes of the magazines that came and went; owner */
    struct mcache *next_cache;         /* all caches; guarded by the registry's lock */
    struct mcache *next_idle;          /* those without a thread; the registry's lock */
    unsigned destructor_rounds;        /* owner */
    unsigned requests_met;             /* of mcache_requests; owner */
    unsigned visits;                   /* of slow paths; owner, read by others */
    unsigned visits_seen;              /* what mcache_take_from_sleepers saw; the registry's lock */
    void **top_seen[SIZE_CLASS_COUNT]; /* top at the last request to flush what is unused; owner */
    bool idle;                         /* no thread owns it; the registry's lock */
    void *hardened;                    /* src/hardened's part, or NULL; owner */
    long until_sample;                 /* blocks until one is guarded; owner */
    unsigned thread;                   /* its owner's number; 0: not asked for; owner */
    unsigned debt_cycle;               /* the collector's cycle that `debt` is of; owner */
    size_t debt;                       /* bytes that the thread has yet to look at; owner */
};

extern GA_HIDDEN __thread struct mcache *mcache_current __attribute__((tls_model("initial-exec")));
extern GA_HIDDEN struct mcache mcache_none;

/* The one way to this thread's cache; see GA_TLS_LOAD for why it isn't a plain read. */
GA_INLINE struct mcache *mcache_self(void)
{
    struct mcache *cache;
    GA_TLS_LOAD(cache, mcache_current);
    return cache;
}

/* --- Slow paths --- */

/* An object of the class, when the loaded magazine has none. NULL: out of memory. */
void *mcache_alloc_slow(unsigned class);
/* How many bytes this thread got by that, about. */
size_t mcache_refill_bytes(unsigned class);
/* Frees an object of the class, when the loaded magazine is full. */
void mcache_free_slow(void *p, unsigned class);
/* How many objects of the class this thread gets, or frees, between two slow paths; 0: not known.
 */
GA_INLINE unsigned mcache_capacity(unsigned class)
{
    return mcache_self()->loaded[class]->capacity;
}
/* This thread's cache, made now if it has none; NULL when it can't have one. */
struct mcache *mcache_attached(void);
/* Called for each cache that goes cold, by the thread that owns it then. Set once, at start. */
extern void (*mcache_flush_too)(struct mcache *cache);
/* Whether this thread has an object of the class at hand. */
bool mcache_has(unsigned class);

/* --- Fast paths --- */

/*
 * A class's words of a cache, by the address of the first. Each access below is to a register and a
 * constant: a Golden Cove hands on in no time what was stored to such an address, and in five
 * cycles where an index is added (a pair 2.2 ns against 3.8).
 */
struct mcache_words;

#define MCACHE_WORD(words, field)                                                                  \
    (*(__typeof__(&((struct mcache *)0)->field[0]))((char *)(words) +                              \
                                                    offsetof(struct mcache, field)))

/* Of this thread, by the class's offset. */
GA_INLINE struct mcache_words *mcache_words_self(size_t offset)
{
    GA_TLS_ADD(offset, mcache_current);
    return (struct mcache_words *)offset;
}

GA_INLINE struct mcache_words *mcache_words(struct mcache *cache, size_t class)
{
    uintptr_t words = (uintptr_t)cache + class * SIZE_CLASS_OFFSET;
    GA_FORGET(words);
    return (struct mcache_words *)words;
}

/* Pops an object; false where the slow path must be taken. */
GA_INLINE bool mcache_pop_of(struct mcache_words *words, void **out)
{
    void *p = MCACHE_WORD(words, next);
    void *below = MCACHE_WORD(words, top)[-2];
    /* Equal: both are NULL, since nothing is loaded and a magazine's floor is two deep; or one
     * block was freed twice in a row. The slow path finds out. */
    if (GA_UNLIKELY(p == below))
        return false;
    MCACHE_WORD(words, next) = below;
    GA_ADD_IN_PLACE(MCACHE_WORD(words, top), -(long)sizeof(void *));
    *out = p;
    return true;
}

/* Pushes an object; false where the slow path must be taken. */
GA_INLINE bool mcache_push_of(struct mcache_words *words, void *p)
{
    void **top = MCACHE_WORD(words, top);
    if (GA_UNLIKELY((struct magazine *)top == MCACHE_WORD(words, loaded)))
        return false;
    *top = p;
    GA_ADD_IN_PLACE(MCACHE_WORD(words, top), sizeof(void *));
    MCACHE_WORD(words, next) = p;
    return true;
}

GA_INLINE bool mcache_pop(struct mcache *cache, size_t class, void **out)
{
    return mcache_pop_of(mcache_words(cache, class), out);
}

GA_INLINE bool mcache_push(struct mcache *cache, size_t class, void *p)
{
    return mcache_push_of(mcache_words(cache, class), p);
}

/* Whether p is the object of the class that this thread freed last, or the one before. */
GA_INLINE bool mcache_freed_last(size_t class, const void *p)
{
    const struct mcache *cache = mcache_self();
    return cache->next[class] == p || cache->top[class][-2] == p;
}

/* --- Life of a thread --- */

/* Once, from the library's constructor: from then on a thread's cache outlives it by no more than
 * its destructors. */
void mcache_init_process(void);
/* From the constructor, if every block is to be counted: no thread has a cache from then on, and
 * each block passes through a central. */
void mcache_give_up(void);
/* Gives all that this thread has cached to the centrals; it keeps its cache. */
void mcache_flush_self(void);
/* The same for caches that no thread owns. */
void mcache_flush_idle(void);

/*
 * What threads are asked to do when they next come by a slow path. The lower half counts requests
 * to flush the classes that weren't used since the one before, the upper half those to flush all.
 * Relaxed: nothing follows from it but a flush.
 */
extern GA_HIDDEN atomic_uint mcache_requests;
#define MCACHE_FLUSH_UNUSED 1u
#define MCACHE_FLUSH_ALL    0x10000u
GA_INLINE void mcache_request(unsigned what)
{
    atomic_fetch_add_explicit(&mcache_requests, what, memory_order_relaxed);
}
/* Whether there is one that this thread hasn't met. */
GA_INLINE bool mcache_is_asked(void)
{
    return mcache_self()->requests_met !=
           atomic_load_explicit(&mcache_requests, memory_order_relaxed);
}
/* Meets them. */
void mcache_meet_requests(void);
/* Gives the previous magazines of threads' caches to the centrals: of those that haven't come by a
 * slow path since the last call, or of all. Their loaded magazines are theirs alone. */
void mcache_take_from_sleepers(bool all);

void mcache_lock_for_fork(void);
void mcache_unlock_after_fork(void);
void mcache_reset_in_child(void);

/* --- For statistics and checks; approximate while other threads run --- */
/*
 * What the program allocated and freed is counted when a magazine is unloaded, by how much less or
 * more it holds than when it was loaded; what the loaded ones have done so far is added when the
 * statistics are read. So the difference of the two is exact. Each misses the blocks that a thread
 * freed and got again while one magazine was loaded.
 */
struct mcache_stats {
    size_t caches, idle;              /* ever made; of them without a thread */
    size_t objects[SIZE_CLASS_COUNT]; /* cached by threads */
    uint64_t allocs[SIZE_CLASS_COUNT], frees[SIZE_CLASS_COUNT];
};
void mcache_read_stats(struct mcache_stats *out);
/* Bytes that a cache takes, without its magazines. */
size_t mcache_footprint(void);

/* --- For the collector --- */

void mcache_acquire_all(void);
void mcache_release_all(void);
/* With every lock held and the world stopped: the objects in the threads' magazines. A magazine
 * that a thread was about to load or to give away isn't visited, nor counted as seen. */
void mcache_visit_cached(uint32_t round, void (*visit)(void *object, void *context), void *context);

#endif
