// SPDX-License-Identifier: MIT
/*
 * introspect.c: malloc_trim, mallopt, and the ga_* calls that aren't statistics.
 *
 * Place: beside malloc.c. Calls src/scavenger. Other allocators leave some of these to glibc, which
 * then works on a heap that isn't used. Locking, fork: nothing of its own.
 */
#include "../../include/goalloc/goalloc.h"
#include "../scavenger/scavenger.h"
#include "internal.h"
#include "stand_in.h"

/* glibc's answer: 1 when memory went back. */
GA_EXPORT int malloc_trim(size_t keep)
{
    return stand_in_leaves_heap() && mheap_init() && scavenger_release_all(keep) > 0;
}

GA_EXPORT size_t ga_free_os_memory(void)
{
    return stand_in_leaves_heap() && mheap_init() ? scavenger_release_all(0) : 0;
}

GA_EXPORT const char *ga_version(void)
{
    return GA_VERSION;
}

/*
 * 1: glibc has such a parameter, and this value does no harm: it is advice to an allocator with
 * brk, bins and arenas, which this one hasn't. 0: there's no such parameter.
 */
GA_EXPORT int mallopt(int parameter, int value)
{
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
        return 1;
    default:
        return 0;
    }
}
