// SPDX-License-Identifier: MIT
/* internal.h: what depot.c and objects.c share. */
#ifndef GOALLOC_MCENTRAL_INTERNAL_H
#define GOALLOC_MCENTRAL_INTERNAL_H

#include "../mheap/mheap.h"
#include "mcentral.h"

extern struct mcentral mcentrals[SIZE_CLASS_COUNT];

/* objects.c; the central's lock is held. Returns objects to their spans. */
void objects_drain(unsigned class, void *const *objects, unsigned count);

#endif
