// SPDX-License-Identifier: MIT
/* internal.h: what mcache.c and thread.c share. */
#ifndef GOALLOC_MCACHE_INTERNAL_H
#define GOALLOC_MCACHE_INTERNAL_H

#include "mcache.h"

/* A magazine of capacity 0: its floor, then its end. */
struct none_magazine {
    void *floor[MAGAZINE_FLOOR];
    struct magazine magazine;
};
extern struct none_magazine mcache_none_magazine;

/* What the statistics count, behind each cache but mcache_none, which never has a magazine: there
 * the fast paths' data stays as dense as it was. */
struct mcache_counts {
    uint64_t allocs[SIZE_CLASS_COUNT]; /* by magazines that were unloaded; owner */
    uint64_t frees[SIZE_CLASS_COUNT];  /* the same of what was freed into them; owner */
};

struct counted_mcache {
    struct mcache cache;
    struct mcache_counts counts;
};

GA_INLINE struct mcache_counts *mcache_counts(struct mcache *cache)
{
    return &((struct counted_mcache *)cache)->counts;
}

/* Takes the magazine in a cache's `previous` or `reserve`, while its owner may be doing the same.
 * NULL: there's none. */
struct magazine *mcache_take(struct magazine **slot);
/* Gives everything in the cache to the centrals. The caller owns the cache. */
void mcache_flush(struct mcache *cache);

#endif
