// SPDX-License-Identifier: MIT
/*
 * fault.h: makes chosen system calls for memory fail, in debug builds only.
 *
 * A test sets os_fault_kinds to the calls it means (0: all of them) and os_fault_at to n: the n-th
 * of those from then on fails, and with os_fault_forever set all later ones do too. A release build
 * has no such fields and no such branch.
 */
#ifndef GOALLOC_FAULT_H
#define GOALLOC_FAULT_H

#include "../goalloc.h"

enum os_fault_kind {
    OS_FAULT_MMAP = 1,
    OS_FAULT_MADVISE = 2,
    OS_FAULT_MREMAP = 4,
    OS_FAULT_MPROTECT = 8,
    OS_FAULT_FETCH = 16, /* madvise as well, but nothing depends on it */
};

#ifdef GOALLOC_DEBUG
extern atomic_long os_fault_at;      /* calls left before the failing one; 0: none fails */
extern atomic_bool os_fault_forever; /* whether those after it fail as well */
extern atomic_uint os_fault_kinds;   /* bits: the calls that count and fail; 0: all */
bool os_fault_now(enum os_fault_kind kind);
#else
GA_INLINE bool os_fault_now(enum os_fault_kind kind)
{
    (void)kind;
    return false;
}
#endif

#endif
