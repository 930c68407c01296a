// SPDX-License-Identifier: MIT
/*
 * neighbour.h: a library that opens another one, which only its own RUNPATH leads to.
 */
#ifndef GOALLOC_PROCESS_NEIGHBOUR_H
#define GOALLOC_PROCESS_NEIGHBOUR_H

/* Whether the constructor could open its neighbour. */
extern int neighbour_opened_early;

/* Opens the neighbour with dlopen's `flags`. NULL where it isn't found. */
void *open_neighbour(int flags);

#endif
