// SPDX-License-Identifier: MIT
/*
 * entries.h: every entry point that allocates, and every one that frees, by a number, so that a
 * stress test draws one by lot.
 */
#ifndef GOALLOC_STRESS_ENTRIES_H
#define GOALLOC_STRESS_ENTRIES_H

#include <errno.h>
#include <malloc.h>
#include <stdalign.h>

#include "libc/internal.h"

extern void *new_nothrow(size_t size, const void *tag) __asm__("_ZnwmRKSt9nothrow_t");
extern void *new_array_nothrow(size_t size, const void *tag) __asm__("_ZnamRKSt9nothrow_t");
extern void *new_aligned_nothrow(size_t size, size_t align,
                                 const void *tag) __asm__("_ZnwmSt11align_val_tRKSt9nothrow_t");
extern void delete_plain(void *p) __asm__("_ZdlPv");
extern void delete_array(void *p) __asm__("_ZdaPv");
extern void delete_sized(void *p, size_t size) __asm__("_ZdlPvm");

#define ALLOC_ENTRIES 15

/* Allocates by the entry point of that number; the alignment it owes goes to *align. */
static inline void *entry_alloc(unsigned entry, size_t size, size_t power, size_t *align)
{
    void *p = NULL;
    *align = MIN_ALIGN;
    switch (entry % ALLOC_ENTRIES) {
    case 0:
        return calloc(1, size);
    case 1:
        return calloc(size, 1);
    case 2:
        return realloc(NULL, size);
    case 3:
        return reallocarray(NULL, 1, size);
    case 4:
        *align = power;
        return memalign(power, size);
    case 5:
        *align = power;
        return aligned_alloc(power, size);
    case 6:
        *align = power < 8 ? 8 : power;
        errno = posix_memalign(&p, *align, size);
        return p;
    case 7:
        *align = 4096;
        return valloc(size);
    case 8:
        *align = 4096;
        return pvalloc(size);
    case 9:
        return new_nothrow(size, NULL);
    case 10:
        return new_array_nothrow(size, NULL);
    case 11:
        *align = power;
        return new_aligned_nothrow(size, power, NULL);
    default:
        return malloc(size);
    }
}

static inline bool entry_zeroes(unsigned entry)
{
    return entry % ALLOC_ENTRIES <= 1;
}

#define FREE_ENTRIES 9

/* A page-aligned block may be pvalloc's, and longer than was asked for. */
static inline void entry_free(unsigned entry, void *p, size_t size)
{
    if ((uintptr_t)p % 4096 == 0)
        entry = FREE_ENTRIES - 1;
    switch (entry % FREE_ENTRIES) {
    case 0:
        cfree(p);
        return;
    case 1:
        free_sized(p, size);
        return;
    case 2:
        delete_plain(p);
        return;
    case 3:
        delete_array(p);
        return;
    case 4:
        delete_sized(p, size);
        return;
    case 5:
        if (realloc(p, 0) != NULL)
            abort();
        return;
    default:
        free(p);
    }
}

#endif
