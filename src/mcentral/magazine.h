// SPDX-License-Identifier: MIT
/*
 * magazine.h: an array of pointers to free objects of one class.
 *
 *   NULL | slot 0 | slot 1 | ... | slot n-1 | unused ... | struct magazine
 *     ^                                     ^            ^
 *     floor: reads as "empty"               top          end, which is the magazine's address
 *
 * A thread keeps `top` of its loaded magazine in its cache. The floor lets malloc find the empty
 * magazine by reading the slot it would read anyway, and lets it compare that slot with the one
 * below, where a block freed twice in a row shows.
 *
 * Out of line: nothing is ever written into a free object, so a program's overflow or write after
 * free can't corrupt the allocator.
 */
#ifndef GOALLOC_MAGAZINE_H
#define GOALLOC_MAGAZINE_H

#include "../goalloc.h"
#include "../size_classes/size_classes.h"

struct magazine {
    struct magazine *next; /* on a list; guarded by that list's lock */
    uint32_t count;        /* objects in it, while it isn't loaded; its holder */
    uint32_t capacity;     /* constant */
};

GA_INLINE void **magazine_slots(struct magazine *magazine)
{
    return (void **)magazine - magazine->capacity;
}

#endif
