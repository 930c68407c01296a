// SPDX-License-Identifier: MIT
/*
 * zero.c: zeroing and looking for zeros, of more bytes than fit in a few registers.
 *
 * Place: canary.c's inline functions, for classes above ZERO_INLINE_MAX.
 *
 * libc's memset and a loop over 16 bytes at a time took half of what a block of 1 KB cost; here are
 * 128 bytes a step, in vectors of 32 where the processor has them.
 *
 * Invariants: none. Locking: none: a block has one owner, a freed slot too.
 */
#include "internal.h"

typedef uint64_t vector __attribute__((vector_size(32), aligned(16), may_alias));

#define STEP (4 * sizeof(vector))
_Static_assert(STEP <= ZERO_INLINE_MAX, "the last step may overlap the one before");

GA_INLINE void zero(void *p, size_t bytes)
{
    char *at = p, *last = at + bytes - STEP;
    for (;; at += STEP) {
        at = at < last ? at : last;
        vector *to = (vector *)at;
        to[0] = to[1] = to[2] = to[3] = (vector){0};
        if (at == last)
            return;
    }
}

GA_INLINE bool is_zero(const void *p, size_t bytes)
{
    const char *at = p, *last = at + bytes - STEP;
    vector any = {0};
    for (;; at += STEP) {
        at = at < last ? at : last;
        const vector *from = (const vector *)at;
        any |= (from[0] | from[1]) | (from[2] | from[3]);
        if (at == last)
            return !(any[0] | any[1] | any[2] | any[3]);
    }
}

GA_FOR_WIDE static void zero_by_wide(void *p, size_t bytes)
{
    zero(p, bytes);
}

GA_FOR_WIDE static bool is_zero_by_wide(const void *p, size_t bytes)
{
    return is_zero(p, bytes);
}

GA_NOINLINE void zero_long(void *p, size_t bytes)
{
    if (GA_LIKELY(hardened.wide))
        zero_by_wide(p, bytes);
    else
        zero(p, bytes);
}

GA_NOINLINE bool is_zero_long(const void *p, size_t bytes)
{
    return GA_LIKELY(hardened.wide) ? is_zero_by_wide(p, bytes) : is_zero(p, bytes);
}
