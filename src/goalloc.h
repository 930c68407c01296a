// SPDX-License-Identifier: MIT
/*
 * goalloc.h: the glossary, and the few numbers that every part shares.
 *
 * One word has one meaning in this tree:
 *
 *   page        8 KB of heap (HEAP_PAGE), whatever the kernel's own page is ("OS page").
 *   page number an address divided by 8 KB. 0, NULL's page, means "none".
 *   window      4 TB of address space, chosen at start, in which the heap lives. It isn't reserved:
 *               what the heap needs is mapped when it is needed, bottom up.
 *   arena       64 MB of the window (8,192 pages); the unit for which page tables are mapped.
 *   chunk       4 MB; the heap grows by whole chunks where address space allows.
 *   run         consecutive free pages, as long as possible (neighbours are always merged).
 *   span        consecutive pages in use: objects of one size class, or one large block.
 *   size class  one of the sizes that small requests are rounded up to; 0 means "no class".
 *   object      one slot of a size-class span.
 *   block       what malloc returned: an object, or a large span's memory.
 *   magazine    an array of pointers to free objects of one class, out of line.
 *   depot       a class's magazines that no thread holds.
 *   cache       a thread's magazines (struct mcache).
 *   central     a class's depot and its spans that have free objects (struct mcentral).
 *   dirty       a page that may hold bytes other than zero and counts in RSS.
 *   release     give a page's memory back to the kernel and keep its address.
 */
#ifndef GOALLOC_INTERNAL_H
#define GOALLOC_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform.h"

#define HEAP_PAGE_SHIFT 13
#define HEAP_PAGE       ((size_t)1 << HEAP_PAGE_SHIFT)
#define ARENA_SHIFT     26
#define ARENA_SIZE      ((size_t)1 << ARENA_SHIFT)
#define ARENA_PAGES     (ARENA_SIZE >> HEAP_PAGE_SHIFT)
#define CHUNK_SIZE      ((size_t)4 << 20)
#define CHUNK_PAGES     (CHUNK_SIZE >> HEAP_PAGE_SHIFT)
#define WINDOW_SHIFT    42
#define WINDOW_SIZE     ((size_t)1 << WINDOW_SHIFT)
#define WINDOW_PAGES    (WINDOW_SIZE >> HEAP_PAGE_SHIFT)

/* Every block is aligned to this, as glibc's are. */
#define MIN_ALIGN ((size_t)16)

GA_INLINE size_t round_up(size_t n, size_t power_of_two)
{
    return (n + power_of_two - 1) & ~(power_of_two - 1);
}

GA_INLINE size_t round_down(size_t n, size_t power_of_two)
{
    return n & ~(power_of_two - 1);
}

/* Without -mpopcnt, which not every x86-64 has, gcc's builtin is a call. */
GA_INLINE unsigned count_bits(uint64_t word)
{
    word -= word >> 1 & UINT64_C(0x5555555555555555);
    word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
    word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(word * UINT64_C(0x0101010101010101) >> 56);
}

GA_INLINE size_t pages_for(size_t bytes)
{
    return (bytes + HEAP_PAGE - 1) >> HEAP_PAGE_SHIFT;
}

#endif
