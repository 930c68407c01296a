// SPDX-License-Identifier: MIT
/*
 * magazine.h: an array of pointers to free objects of one class.
 *
 *   NULL | NULL | slot 0 | slot 1 | ... | slot n-1 | unused ... | struct magazine
 *     ^                                            ^            ^
 *     floor: reads as "empty"                      top          end, the magazine's address
 *
 * A thread keeps `top` of its loaded magazine, and the topmost object, in its cache. malloc
 * compares that object with the slot below it: they are equal when the magazine is empty, thanks to
 * the floor, and when a block was freed twice in a row. One compare finds both.
 *
 * The capacity that a class's magazines have at first leaves unused slots at the array's front.
 * They were never written, so that there is a floor wherever slot 0 is.
 *
 * Out of line: nothing is ever written into a free object, so a program's overflow or write after
 * free can't corrupt the allocator.
 */
#ifndef GOALLOC_MAGAZINE_H
#define GOALLOC_MAGAZINE_H

#include "../goalloc.h"
#include "../size_classes/size_classes.h"

#define MAGAZINE_FLOOR 2

struct magazine {
    struct magazine *next; /* on a list; guarded by that list's lock */
    struct magazine *all;  /* the class's next older one; constant once listed */
    uint32_t count;        /* objects in it; while it is loaded, when it was; its holder */
    uint32_t capacity; /* grows once, while it is empty and nobody has loaded it; central lock */
    const void *giver; /* the cache it came to the depot from; whoever gives it */
    uint64_t given_at; /* when, by that cache's traffic; the same */
    uint32_t seen;     /* the collector's round that found it; every lock held */
};

GA_INLINE void **magazine_slots(struct magazine *magazine)
{
    return (void **)magazine - magazine->capacity;
}

#endif
