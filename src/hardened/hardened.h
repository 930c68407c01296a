// SPDX-License-Identifier: MIT
/*
 * hardened.h: the modes that find a program's mistakes with memory.
 *
 * GOALLOC=hardened serves every request here. No thread has magazines then, and no page of the heap
 * has a class entry, so that every malloc and every free leaves the fast path by a compare that it
 * makes anyway; the slow paths ask hardened_modes once. With the mode off nothing of it is paid
 * for.
 *
 *   malloc --magazine empty--> malloc_declined --hardened_modes--> hardened_malloc
 *   free   --class entry 0----> free_declined   --hardened_modes--> hardened_free_any
 *
 * (Sizes above 1 KB come by malloc_slow; frees that say more than the address, by the span's
 * state.)
 *
 * GOALLOC=sample leaves all as it is but for one block in so many: where a malloc comes to the slow
 * path by itself, it may get a page of its own that traps before, behind and after.
 */
#ifndef GOALLOC_HARDENED_H
#define GOALLOC_HARDENED_H

#include "../goalloc.h"
#include "../mheap/mheap.h"

#define HARDENED_ALL    1u /* every block is ours */
#define HARDENED_SAMPLE 2u /* some blocks are */
/* Beside either: src/libc has yet to look for the unwinder. */
#define HARDENED_UNWINDER 4u

/* Which modes are on. Constant after the library's constructor, but for HARDENED_UNWINDER. */
extern GA_HIDDEN unsigned hardened_modes;

/* Reads the options and switches the modes on, and one more. Once, from the constructor. */
void hardened_start(unsigned more);
/* At the process's end: what this thread holds back is checked. */
void hardened_finish(void);

/* --- All blocks --- */

/* NULL: out of memory, all that was held back given up, and errno set. align is a power of two. */
void *hardened_malloc(size_t size);
void *hardened_calloc(size_t size);
void *hardened_aligned(size_t align, size_t size);

/* --- A block in a span whose state is SPAN_HARDENED or SPAN_GUARDED. Each ends the process when p
 * isn't such a block's start, or its block was freed or written past its end. `function` is what
 * the program called. --- */

#define SIZE_UNKNOWN SIZE_MAX

/* `size`: what the program believes that it asked for, or SIZE_UNKNOWN. */
void hardened_free(struct span *span, void *p, size_t size, const char *function);
/* free of whatever it may be. */
void hardened_free_any(void *p);
/* Frees what isn't of ours. Set once, before hardened_start. */
extern void (*hardened_free_other)(void *p);
/* What the program asked for. */
size_t hardened_usable_size(struct span *span, void *p, const char *function);
/* Makes the block's size `size` where it lies, if that fits. */
bool hardened_resize(struct span *span, void *p, size_t size);
/* The same for one of `old` bytes that gets no longer, whatever would fit elsewhere. */
void hardened_shrink(struct span *span, void *p, size_t old, size_t size);
/* What a block that grows to `size` should have room for, so that it needn't move each time. */
void *hardened_malloc_growing(size_t old, size_t size);

/* --- Sampled blocks --- */

/* A guarded block instead of one of a class whose refill brings `weight` objects, if it is this
 * one's turn; else NULL. */
void *hardened_sample(size_t size, unsigned weight);

/* --- Life and figures --- */

void hardened_lock_for_fork(void);
void hardened_unlock_after_fork(void);
void hardened_reset_in_child(void);

struct hardened_stats {
    size_t spans, blocks, live, cached;
};
void hardened_read_stats(struct hardened_stats *out);

#endif
