// SPDX-License-Identifier: MIT
/*
 * memory.c: blocks for the runtime's own structures.
 *
 * Place: called by src/coro only. Calls src/mcache's fast paths and src/mheap, as src/libc's malloc
 * does, but none of the entry points: the runtime works beside another malloc too. In a program
 * that was built with a sanitizer that one's malloc is called: AddressSanitizer's shadow lies where
 * our heap would, and LeakSanitizer looks for what is still reachable in its own blocks only.
 *
 * Invariants: what it gives is a block like malloc's. Locking: none of its own.
 */
#include <errno.h>
#include <string.h>

#include "../mcache/mcache.h"
#include "memory.h"

/* More they may end the process for. */
#define SANITIZERS_MOST ((size_t)4 << 30)

extern void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
extern void __interceptor_free(void *p) __attribute__((weak));

static void *alloc_small(size_t size)
{
    unsigned class = size_class_of(size);
    void *p;
    if (!mcache_pop(mcache_self(), class, &p))
        p = mcache_alloc_slow(class);
    return p;
}

static void *alloc_large(size_t size)
{
    bool may = size <= WINDOW_SIZE && mheap_init();
    struct span *span = may ? mheap_alloc_large(pages_for(size), HEAP_PAGE, CONTENTS_ZERO) : NULL;
    return span ? (void *)span_address(span) : NULL;
}

void *coro_alloc_unset(size_t size)
{
    void *p;
    if (GA_UNLIKELY(&__interceptor_calloc != NULL))
        p = size <= SANITIZERS_MOST ? __interceptor_calloc(1, size) : NULL;
    else
        p = size <= CLASS_SIZE_MAX ? alloc_small(size) : alloc_large(size);
    if (!p)
        errno = ENOMEM;
    return p;
}

void *coro_alloc(size_t size, bool pointers)
{
    (void)pointers; /* the heap has one kind of span as yet; a collector tells them apart */
    void *p = coro_alloc_unset(size);
    return p && size <= CLASS_SIZE_MAX ? memset(p, 0, size) : p;
}

void coro_free(void *p)
{
    if (GA_UNLIKELY(&__interceptor_free != NULL)) {
        __interceptor_free(p);
        return;
    }
    size_t class = mheap_class_of(p);
    if (GA_LIKELY(class != 0)) {
        if (!mcache_push(mcache_self(), class, p))
            mcache_free_slow(p, (unsigned)class);
        return;
    }
    struct span *span = p ? mheap_span_of(p) : NULL;
    if (span)
        mheap_free_large(span);
}
