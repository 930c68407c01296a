// SPDX-License-Identifier: MIT
/* objects.h: malloc and free for sizes that have a class, where the entry points aren't linked. */
#ifndef GOALLOC_TEST_OBJECTS_H
#define GOALLOC_TEST_OBJECTS_H

#include "mcache/mcache.h"

static inline void *object_alloc(unsigned class)
{
    void *p;
    return mcache_pop(mcache_self(), class, &p) ? p : mcache_alloc_slow(class);
}

static inline void object_free(void *p)
{
    size_t class = mheap_class_of(p);
    if (!mcache_push(mcache_self(), class, p))
        mcache_free_slow(p, (unsigned)class);
}

#endif
