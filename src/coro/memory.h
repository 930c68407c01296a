// SPDX-License-Identifier: MIT
/*
 * memory.h: the memory that the coroutine runtime is made of.
 *
 * Blocks of the heap like malloc's, which free() would take too; reached without the entry points,
 * so that a program that brings another malloc can use the runtime. A sanitizer's, where one is.
 */
#ifndef GOALLOC_CORO_MEMORY_H
#define GOALLOC_CORO_MEMORY_H

#include "../goalloc.h"

/* Zeroed, aligned to 16. pointers = false: the collector need not look into it. NULL: out of
 * memory; errno is ENOMEM then, and kept otherwise. */
void *coro_alloc(size_t size, bool pointers);
/* The same, without pointers, and not zeroed: memory that nobody has touched stays so. */
void *coro_alloc_unset(size_t size);
void coro_free(void *p);

#endif
