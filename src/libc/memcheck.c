// SPDX-License-Identifier: MIT
/*
 * memcheck.c: the heap under valgrind's memcheck, which is told of each block.
 *
 * Place: a stand-in (stand_in.h), chosen where memcheck leaves malloc to us
 * (--soname-synonyms=somalloc=nouserintercepts). Calls src/mcentral and src/mheap past the caches:
 * what waits in a cache would be neither the program's nor free.
 *
 * A block's last 8 bytes hold the size that was asked for, so that memcheck sees that size and no
 * more, and at least those bytes lie between two blocks:
 *
 *   p                    p + size                       p + usable
 *   | the program's      | nobody's ...       | size    |
 *
 * Invariants: nobody's memory, and freed memory, is touched only between two calls of be_silent.
 */
#include <string.h>

#include "../mcentral/mcentral.h"
#include "../os/valgrind.h"
#include "internal.h"
#include "stand_in.h"

#define TAIL sizeof(size_t)

GA_COLD static void be_silent(bool silent)
{
    valgrind_request(VALGRIND_BE_SILENT, silent ? 1 : (uintptr_t)-1, 0, 0, 0);
}

GA_COLD static size_t *tail_of(void *p)
{
    return (size_t *)((char *)p + heap_usable_size(p) - TAIL);
}

GA_COLD static size_t asked_for(void *p)
{
    be_silent(true);
    size_t size = *tail_of(p);
    be_silent(false);
    return size;
}

GA_COLD static void *give(void *p, size_t size)
{
    if (!p)
        return out_of_memory();
    be_silent(true);
    *tail_of(p) = size;
    be_silent(false);
    valgrind_request(VALGRIND_BLOCK_GIVEN, (uintptr_t)p, size, 0, false);
    valgrind_request(MEMCHECK_FORBID, (uintptr_t)p + size, heap_usable_size(p) - size, 0, 0);
    return p;
}

GA_COLD static void *memcheck_malloc(size_t size)
{
    if (size > REQUEST_MAX - TAIL)
        return out_of_memory();
    unsigned class = size_class_of(size + TAIL);
    if (!class)
        return give(large_block(alloc_large(size + TAIL, HEAP_PAGE, CONTENTS_ANY)), size);
    void *p = NULL;
    if (mheap_init())
        mcentral_fill(class, &p, 1);
    return give(p, size);
}

GA_COLD static void *memcheck_aligned(size_t align, size_t size)
{
    if (size > REQUEST_MAX - TAIL)
        return out_of_memory();
    return give(heap_aligned(align, size + TAIL), size);
}

GA_COLD static void memcheck_free(void *p, unsigned class)
{
    if (!p)
        return;
    valgrind_request(VALGRIND_BLOCK_FREED, (uintptr_t)p, 0, 0, 0);
    if (class)
        mcentral_drain(class, &p, 1);
    else
        heap_free_large(p);
}

GA_COLD static void *memcheck_realloc(void *p, size_t size)
{
    size_t old = asked_for(p);
    void *new = memcheck_malloc(size);
    if (!new)
        return NULL;
    memcpy(new, p, old < size ? old : size);
    memcheck_free(p, (unsigned)mheap_class_of(p));
    return new;
}

const struct stand_in stand_in_memcheck = {
    .has_heap = true,
    .malloc = memcheck_malloc,
    .aligned = memcheck_aligned,
    .realloc = memcheck_realloc,
    .free = memcheck_free,
    .usable_size = asked_for,
};
