// SPDX-License-Identifier: MIT
/*
 * goalloc/goalloc.h: what goalloc offers beyond malloc and its family.
 *
 * A program needs none of this to use the allocator: linking with -lgoalloc or preloading the
 * library is enough. Every function may be called from any thread at any time.
 */
#ifndef GOALLOC_GOALLOC_H
#define GOALLOC_GOALLOC_H

#include <stddef.h>

#include "stats.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GA_VERSION "0.1.0"

/* The version of the library that is loaded, which may differ from GA_VERSION. */
const char *ga_version(void);

/* Returns all free memory to the kernel, now. How many bytes went. */
size_t ga_free_os_memory(void);

#ifdef __cplusplus
}
#endif

#endif
