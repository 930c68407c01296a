// SPDX-License-Identifier: MIT
/*
 * fault.h: makes a chosen system call for memory fail, in debug builds only.
 *
 * A test sets os_fault_at to n: the n-th mapping call from then on fails with ENOMEM, and with
 * os_fault_forever set all later ones do too. A release build has no such field and no such branch.
 */
#ifndef GOALLOC_FAULT_H
#define GOALLOC_FAULT_H

#include "../goalloc.h"

#ifdef GOALLOC_DEBUG
extern atomic_long os_fault_at;      /* calls left before the failing one; 0: none fails */
extern atomic_bool os_fault_forever; /* whether those after it fail as well */
bool os_fault_now(void);
#else
GA_INLINE bool os_fault_now(void)
{
    return false;
}
#endif

#endif
