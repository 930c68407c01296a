// SPDX-License-Identifier: MIT
/*
 * stand_in.h: who serves malloc instead of the thread caches, where a tool that looks at memory
 * has come with the process.
 *
 *   deciding --first slow path--> NULL       nobody: the usual case
 *                             --> sanitizer  AddressSanitizer and its kin: their malloc serves
 *                             --> memcheck   valgrind's: the heap serves, and tells of each block
 *                             --> replaced   valgrind has put its own malloc in place of ours
 *
 * While there is a stand-in no thread gets a cache, so that every call comes by the slow paths,
 * which are where it is looked for: the fast ones don't know of it.
 */
#ifndef GOALLOC_STAND_IN_H
#define GOALLOC_STAND_IN_H

#include "../goalloc.h"

struct stand_in {
    bool has_heap; /* it uses this library's */
    void *(*malloc)(size_t size);
    void *(*aligned)(size_t align, size_t size);
    void *(*realloc)(void *p, size_t size); /* neither is NULL or 0 */
    void (*free)(void *p, unsigned class);
    size_t (*usable_size)(void *p);
};

extern GA_HIDDEN const struct stand_in *stand_in_chosen;
extern GA_HIDDEN const struct stand_in stand_in_memcheck; /* memcheck.c */

/* NULL: none. Relaxed, as its fields are constant and every thread would choose the same. */
GA_INLINE const struct stand_in *stand_in(void)
{
    return __atomic_load_n(&stand_in_chosen, __ATOMIC_RELAXED);
}

/* Whether the heap may be started. */
bool stand_in_leaves_heap(void);
/* Says at start who it is, if it is a sanitizer. */
void stand_in_announce(void);

#endif
