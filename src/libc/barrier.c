// SPDX-License-Identifier: MIT
/*
 * barrier.c: the calls of goalloc/gc.h by which a program tells which pointers it writes.
 *
 * Place: beside gc.c. Calls src/gc.
 *
 * ga_gc_write reads ga_gc_marking in the program's own code, and comes here while it is set. In a
 * program that isn't position-independent the word lies in the program's data, where the linker has
 * put a copy: so whoever wants its address asks for it in another file, by the table that says
 * where it is.
 *
 * Locking: none here.
 */
#include <goalloc/gc.h>

#include "../gc/barrier.h"

/* Not in gc.c, which has its address: see above. */
GA_EXPORT unsigned ga_gc_marking;

GA_EXPORT void ga_gc_shade(const void *old, const void *pointer)
{
    if (gc_barriers)
        barrier_shade((uintptr_t)old, (uintptr_t)pointer);
}

GA_EXPORT void ga_gc_write_range(void *to, const void *from, size_t size)
{
    barrier_copy(to, from, size);
}
