// SPDX-License-Identifier: MIT
/* holes.h: memory of free objects among others that are in use; for the files of this folder. One
 * thread at a time, in a step of the scavenger's. */
#ifndef GOALLOC_SCAVENGER_HOLES_H
#define GOALLOC_SCAVENGER_HOLES_H

#include "internal.h"

/* Whether holes_step would do anything; any thread. */
bool holes_is_time(void);
/* A little of what there is to give back, if it is time. When to do the next; 0: nothing is to be
 * expected. */
uint64_t holes_step(enum release_kind kind);
/* The same now, and somewhat more of it. */
void holes_hurry(void);
/* All of it, however long it takes. Bytes that went. */
size_t holes_give_all(void);

#endif
