// SPDX-License-Identifier: MIT
/*
 * scavenger.h: when memory goes back to the kernel.
 */
#ifndef GOALLOC_SCAVENGER_H
#define GOALLOC_SCAVENGER_H

#include "../goalloc.h"

/* Drains this thread's cache, idle threads' caches and all depots, so that what was free in one size
 * class can serve another. To be done before a request is refused. */
void scavenger_drain(void);

/* The same, then releases every free page
 * but `keep` bytes of them. How many bytes went. */
size_t scavenger_release_all(size_t keep);

#endif
