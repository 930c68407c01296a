// SPDX-License-Identifier: MIT
/*
 * zero.c: zeroing what isn't zero.
 *
 * Place: src/mheap and src/mcentral, for memory whose last user may have touched little of it.
 *
 * A page that was never touched reads as zero, and costs no memory for being read: it is left so.
 * One that was costs little more for the look, which ends with the first byte that isn't zero.
 *
 * Locking: none: the memory is the caller's. Fork and signals: safe in both.
 */
#include <string.h>

#include "os.h"

#define STEP ((size_t)4096)

bool os_is_zero(const void *p, size_t size)
{
    const char *bytes = p;
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

void os_zero_touched(void *p, size_t size)
{
    char *bytes = p;
    for (size_t at = 0, step; at < size; at += step) {
        step = size - at < STEP ? size - at : STEP;
        if (!os_is_zero(bytes + at, step))
            memset(bytes + at, 0, step);
    }
}
