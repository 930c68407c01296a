// SPDX-License-Identifier: MIT
/*
 * noscan.c: blocks that hold no pointers, where a collector is on.
 *
 * Place: gc.c's ga_gc_malloc_atomic, and malloc.c for those that free, realloc and
 * malloc_usable_size are given. Calls src/mcentral.
 *
 * They lie in spans of their own, so that the collector needs no bit for each. Those spans' class
 * bytes are 0: malloc's and free's fast paths know nothing of them, and no magazine ever mixes them
 * with others. Each allocation takes its central's lock.
 *
 * Invariants: a block stays of its kind when it is resized.
 * Locking: none here.
 */
#include <string.h>

#include "../mcentral/mcentral.h"
#include "internal.h"

static void *noscan_large(size_t size)
{
    return large_block(alloc_large(size, HEAP_PAGE, CONTENTS_NO_POINTERS));
}

void *noscan_malloc(size_t size)
{
    if (size > CLASS_SIZE_MAX || !mheap_init())
        return noscan_large(size);
    void *p = mcentral_take_noscan(size_class_of(size));
    after_slow_path(size);
    return p ? p : out_of_memory();
}

void apart_free(const struct span *span, void *p)
{
    mcentral_free_apart(span, p);
    after_slow_path(0);
}

void *noscan_realloc(const struct span *span, void *p, size_t size)
{
    size_t old = span->size;
    if (size + size_class_padding <= old && (size >= old / 2 || size_class_of(size) == span->class))
        return p;
    void *new = noscan_malloc(size);
    if (!new)
        return size <= old ? p : NULL;
    memcpy(new, p, size < old ? size : old);
    apart_free(span, p);
    return new;
}
