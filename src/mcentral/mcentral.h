// SPDX-License-Identifier: MIT
/*
 * mcentral.h: what the threads share of a size class.
 *
 * A central is a depot of magazines that hold objects, a stock of empty ones, and the class's spans
 * that have free objects. Threads exchange whole magazines with the depot, so an object that one
 * thread frees and another allocates costs no atomic operation of its own. When the depot is empty
 * a magazine is filled from the spans' bits, in order of address; when it holds too many, one is
 * drained into the bits, which is also where a double free shows.
 */
#ifndef GOALLOC_MCENTRAL_H
#define GOALLOC_MCENTRAL_H

#include "../goalloc.h"
#include "../os/lock.h"
#include "../size_classes/size_classes.h"
#include "../mheap/mheap.h"
#include "magazine.h"

/*
 * With a collector there are two more centrals for each size class, for objects that are kept
 * apart: those without pointers, and those whose type says where their pointers are. The collector
 * looks at a span's kind, not at an object's. No magazine ever holds such an object, and their
 * pages have class entry 0, so that free's fast path declines them.
 */
#define MCENTRAL_COUNT (3 * SIZE_CLASS_COUNT)
GA_INLINE unsigned mcentral_noscan(unsigned class)
{
    return class + SIZE_CLASS_COUNT;
}
GA_INLINE unsigned mcentral_typed(unsigned class)
{
    return class + 2 * SIZE_CLASS_COUNT;
}

struct mcentral {
    struct lock lock;
    uint32_t spans;         /* list of spans with both free and used objects; guarded by lock */
    struct magazine *full;  /* depot: holding at least one object; guarded by lock */
    struct magazine *empty; /* stock; guarded by lock */
    struct magazine *all;   /* every magazine of the class ever made; guarded by lock */
    uint32_t full_count;    /* length of `full`; guarded by lock */
    uint32_t least_full;    /* the least it was since mcentral_trim_unneeded; guarded by lock */
    uint32_t in_depot;      /* objects in its magazines; guarded by lock */
    uint32_t span_count;    /* spans of this class; guarded by lock */
    uint32_t least_free;    /* objects free in them: the least since a walk through holes began */
    uint32_t walked;        /* so many of them the last walk was about, or fewer; guarded by lock */
    uint32_t hole_at;       /* the span at which a walk goes on; 0: none; guarded by lock */
    uint32_t hole_skip;     /* so many free objects it leaves alone first; guarded by lock */
    uint8_t hole_tries;     /* refusals by the kernel until it gives up; guarded by lock */
    bool hole_all;          /* it is about every hole; guarded by lock */
    bool wide;              /* magazines have their full capacity from now on; guarded by lock */
    uint32_t returns;       /* of magazines to who gave them, beyond others; guarded by lock */
    size_t objects_out;     /* bits set in them: with users or in magazines; guarded by lock */
    uint64_t allocs, frees; /* past all threads' caches, ever; guarded by lock */
} __attribute__((aligned(GA_CACHE_LINE)));

/* --- For a thread's cache --- */

/* Gives an empty magazine (or NULL) and takes one with objects; NULL, and nothing given, when the
 * depot has none. `taker` is who a magazine's `giver` may be. */
struct magazine *mcentral_take_full(unsigned class, struct magazine *empty, const void *taker);
/* Gives a magazine with objects (or NULL) and takes an empty one. NULL when out of memory; then
 * nothing was given either. */
struct magazine *mcentral_take_empty(unsigned class, struct magazine *full);
/* Of an empty magazine that is neither loaded nor given: its capacity is as the class has it now.
 */
void mcentral_refit(unsigned class, struct magazine *empty);
/* Gives both kinds back and takes none. */
void mcentral_give(unsigned class, struct magazine *magazine);
/* Takes up to `want` objects out of spans; how many it got: a few less where that leaves a whole
 * cache line to whoever comes next. The object that should be used first comes last. 0: out of
 * memory. */
unsigned mcentral_fill(unsigned class, void **objects, unsigned want);
/* Returns objects to their spans. Aborts with a line on one that isn't an object in use. */
void mcentral_drain(unsigned class, void *const *objects, unsigned count);
/* One object past the thread's cache, to and from the program. NULL: out of memory. */
void *mcentral_take_one(unsigned class);
void mcentral_give_one(unsigned class, void *p);
/* Whether the depot has a magazine to give. */
bool mcentral_has_full(unsigned class);
/* An object whose bytes are zero, of a class with at most 64 objects to a span. Cheaper than
 * zeroing one, and above all it doesn't touch pages that nobody has touched. NULL: out of memory.
 */
void *mcentral_take_zero(unsigned class);

/* --- Objects that are kept apart, one at a time --- */

/* NULL: out of memory. */
void *mcentral_take_noscan(unsigned class);
void *mcentral_take_typed(unsigned class);
/* p lies in a span of such objects. Aborts with a line on one that isn't in use. */
void mcentral_free_apart(const struct span *span, void *p);

/* --- For the scavenger --- */

/* Bytes of objects in all depots beyond SMALL_DEPOT magazines each, which aren't worth a look.
 * Approximate while threads run. */
#define SMALL_DEPOT 2
size_t mcentral_depot_bytes(void);
/* The least they were since the last call: what nobody needed. */
size_t mcentral_take_depot_least(void);
/* Counts bytes that src/hardened keeps for later, as depots do; negative: they went. */
void mcentral_count_spare(long bytes);
/* Drains all but `keep` of the depot's magazines. */
void mcentral_trim(unsigned class, uint32_t keep);
/* Drains as many of the depot's magazines as nobody has needed since the last call. */
void mcentral_trim_unneeded(unsigned class);
/* While memory is being given back the depots hold nothing, and a cache that is full is drained:
 * one small object that lies in a magazine keeps its whole span from being freed. */
void mcentral_set_lean(bool lean);
extern GA_HIDDEN atomic_bool mcentral_lean; /* relaxed: a magazine more or less */
GA_INLINE bool mcentral_is_lean(void)
{
    return atomic_load_explicit(&mcentral_lean, memory_order_relaxed);
}

/*
 * Holes: whole pages of the system's in which no object is in use, in spans where others are. A
 * walk gives back those of a class, in steps; one walk at a time. It is about free objects that
 * nobody has needed since the last began, or with `all` about every one.
 */
enum mcentral_look {
    LOOK_NOTHING, /* it isn't worth it */
    LOOK_LATER,   /* it may be, once it is known what is needed */
    LOOK_WALK,    /* it has begun */
};
enum mcentral_look mcentral_begin_holes(unsigned class, bool all);
/* A step; adds to *bytes what went. false: it has ended. */
bool mcentral_give_holes(unsigned class, size_t *bytes);
/* Set whenever objects come back to spans; relaxed: a hint. */
extern GA_HIDDEN atomic_bool mcentral_may_have_holes;

/* --- Life, statistics, checks --- */
void mcentral_lock_all(void);
void mcentral_unlock_all(void);
void mcentral_reset_in_child(void);

struct mcentral_stats {
    size_t spans, objects_out, objects_in_depot;
    size_t magazines;       /* ever made; they are never given back */
    uint64_t allocs, frees; /* past all threads' caches; the others are in struct mcache_stats */
};
void mcentral_read_stats(unsigned class, struct mcentral_stats *out);
/* Bytes that a magazine of the class takes. */
size_t magazine_footprint(unsigned class);
void mcentral_check(void);

/* --- For the collector --- */

/* Bytes of objects that are with users or in magazines. Approximate while threads run. */
size_t mcentral_bytes_out(void);

void mcentral_acquire_all(void);
void mcentral_release_all(void);

/* With every lock held and the world stopped: the objects in the depots, of which nobody else
 * knows. They and the stock's magazines count as seen. */
typedef void mcentral_visit(void *object, void *context);
void mcentral_visit_depots(uint32_t round, mcentral_visit *visit, void *context);
/* What lies, or may lie, in magazines that nobody has said to have seen: those that a stopped
 * thread holds in its hands, so to speak, between a depot and its cache. Among it are objects in
 * use. After the thread caches were asked. */
void mcentral_visit_in_hand(uint32_t round, mcentral_visit *visit, void *context);

/* What became of a span that starts at `page`, if one of objects does that waits to be swept. */
struct mcentral_swept {
    size_t bytes, objects;           /* in use, but not reached */
    size_t live_bytes, live_objects; /* reached */
};
/* Frees them when `free_them` says so; else only notes them as doomed. */
struct mcentral_swept mcentral_sweep(size_t page, bool free_them);

#endif
