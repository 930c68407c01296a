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

/* This thread's cache, made now if it has none; NULL when it can't have one. */
struct mcache *mcache_attached(void);
/* Gives everything in the cache to the centrals. The caller owns the cache. */
void mcache_flush(struct mcache *cache);

#endif
