// SPDX-License-Identifier: MIT
/*
 * barrier.h: pointers that the program says it writes, as src/libc hands them on.
 */
#ifndef GOALLOC_GC_BARRIER_H
#define GOALLOC_GC_BARRIER_H

#include "../goalloc.h"

/* What the program may write to is told by barriers; constant once gc_on is set. */
extern GA_HIDDEN bool gc_barriers;

/* `marking` is the program's to read: not 0 while it has to tell. Before the collector is on.
 * false: no memory. */
bool barrier_enable(unsigned *marking);

/* One was overwritten by the other, or stored. */
void barrier_shade(uintptr_t old, uintptr_t new);
/* memmove, and what it overwrites and brings is told; also while no marking is under way. */
void barrier_copy(void *to, const void *from, size_t size);
/* Around a call that may move a large block; then what it has brought there is told. */
void barrier_resize_begin(void);
void barrier_resize_end(const void *block, size_t size);

#endif
