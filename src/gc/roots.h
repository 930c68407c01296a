// SPDX-License-Identifier: MIT
/*
 * roots.h: how another part of the library, or the program, adds to the roots.
 */
#ifndef GOALLOC_GC_ROOTS_H
#define GOALLOC_GC_ROOTS_H

#include "../goalloc.h"

/*
 * Coroutine stacks: they lie in private mappings, which are roots as a whole; what is dead of them
 * need not be. While the world is stopped the function is called with a visitor, and calls it with
 * each stretch that holds nothing alive: from a parked coroutine's stack's low end to its saved
 * stack pointer.
 */
typedef void gc_dead_stretch(uintptr_t start, uintptr_t end, void *context);
typedef void gc_stacks(gc_dead_stretch *visit, void *context);
extern GA_HIDDEN gc_stacks *gc_coroutine_stacks; /* NULL: there are no coroutines */

#endif
