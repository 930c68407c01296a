// SPDX-License-Identifier: MIT
/* collapse.h: huge pages under what is dense, between collapse.c and the scavenger. */
#ifndef GOALLOC_SCAVENGER_COLLAPSE_H
#define GOALLOC_SCAVENGER_COLLAPSE_H

#include "../goalloc.h"

/* Whether a thread should come and look. A load. */
bool collapse_is_wanted(size_t in_use);
/* One part of the heap, or none; with `may` false none. When to come again, 0: no need. */
uint64_t collapse_step(bool may);

#endif
