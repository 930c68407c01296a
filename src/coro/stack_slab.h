// SPDX-License-Identifier: MIT
/*
 * stack_slab.h: stacks that nobody has used yet, or whose memory was given back. Between files of
 * src/coro; stack.c's lock is held unless said otherwise.
 */
#ifndef GOALLOC_CORO_STACK_SLAB_H
#define GOALLOC_CORO_STACK_SLAB_H

#include "internal.h"

#define STACK_SHIFT 14 /* 16 KB, the smallest: pool 0's */
#define STACK_POOLS 17 /* up to 1 GB */

/* A cold one of the pool, or a fresh one; NULL: out of memory. */
struct waiter *stack_slab_take(unsigned pool);

/* What a trim does with one that is free: its memory is to be given back, is, was. The stack is
 * nobody's until the last. */
void stack_slab_chill(struct waiter *waiter);
void stack_slab_release_chilled(unsigned pool); /* no lock held; one thread at a time */
void stack_slab_make_cold(unsigned pool);

#endif
