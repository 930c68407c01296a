// SPDX-License-Identifier: MIT
/*
 * first_and_last.h: a library whose constructor runs before a preloaded library's, and whose
 * destructor runs after it.
 *
 * ld.so initialises what was loaded last first, dependencies aside, and finishes in the opposite
 * order; a preloaded library is loaded before those that the program names.
 */
#ifndef GOALLOC_PROCESS_FIRST_AND_LAST_H
#define GOALLOC_PROCESS_FIRST_AND_LAST_H

/* A block of 100 bytes, all 'f', allocated by the constructor. */
extern char *first_block;
/* What the constructor found; 0 before it ran. */
extern int first_ran;
/* Where the destructor notes that it ran; NULL: nowhere. */
extern volatile int *last_ran;

#endif
