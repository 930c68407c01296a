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
#include "magazine.h"

struct mcentral {
    struct lock lock;
    uint32_t spans;         /* list of spans with both free and used objects; guarded by lock */
    struct magazine *full;  /* depot: holding at least one object; guarded by lock */
    struct magazine *empty; /* stock; guarded by lock */
    uint32_t full_count;    /* length of `full`; guarded by lock */
    size_t span_count;      /* spans of this class; guarded by lock */
    size_t objects_out;     /* bits set in them: with users or in magazines; guarded by lock */
} __attribute__((aligned(GA_CACHE_LINE)));

/* --- For a thread's cache --- */

/* Gives an empty magazine (or NULL) and takes one with objects; NULL, and nothing given, when the
 * depot has none. */
struct magazine *mcentral_take_full(unsigned class, struct magazine *empty);
/* Gives a magazine with objects (or NULL) and takes an empty one. NULL when out of memory; then
 * nothing was given either. */
struct magazine *mcentral_take_empty(unsigned class, struct magazine *full);
/* Gives both kinds back and takes none. */
void mcentral_give(unsigned class, struct magazine *magazine);
/* Takes up to `want` objects out of spans; how many it got. The object that should be used first
 * comes last. 0: out of memory. */
unsigned mcentral_fill(unsigned class, void **objects, unsigned want);
/* Returns objects to their spans. Aborts with a line on one that isn't an object in use. */
void mcentral_drain(unsigned class, void *const *objects, unsigned count);
/* Whether the depot has a magazine to give. */
bool mcentral_has_full(unsigned class);
/* An object whose bytes are zero, of a class with at most 64 objects to a span. Cheaper than
 * zeroing one, and above all it doesn't touch pages that nobody has touched. NULL: out of memory.
 */
void *mcentral_take_zero(unsigned class);

/* --- For the scavenger --- */

/* Bytes of objects in all depots beyond LEAN_DEPOT magazines each: what a trim to that would drain.
 * Approximate while threads run. */
size_t mcentral_depot_bytes(void);
/* The least they were since the last call: what nobody needed. */
size_t mcentral_take_depot_least(void);
/* Drains all but `keep` of the depot's magazines. */
void mcentral_trim(unsigned class, uint32_t keep);
/* While memory is being given back the depots hold next to nothing: one small object that lies in a
 * magazine keeps its whole span from being freed. */
#define LEAN_DEPOT 2
void mcentral_set_lean(bool lean);

/* --- Life, statistics, checks --- */
void mcentral_lock_all(void);
void mcentral_unlock_all(void);
void mcentral_reset_in_child(void);

struct mcentral_stats {
    size_t spans, objects_out, objects_in_depot, magazines;
};
void mcentral_read_stats(unsigned class, struct mcentral_stats *out);
void mcentral_check(void);

#endif
