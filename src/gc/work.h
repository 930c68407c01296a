// SPDX-License-Identifier: MIT
/*
 * work.h: spans that wait to be looked into, shared among those who mark.
 *
 * Whoever marks has a ring of his own: he alone puts spans at its tail, he and thieves take from
 * its head, first in, first out. The first ring is the collector's thread's; the others are lent
 * to the helpers and to threads that allocate, one at a time.
 *
 *   outside --enter--> marking --leave--> outside
 *                 a ring that is left with spans in it is robbed by the others
 */
#ifndef GOALLOC_GC_WORK_H
#define GOALLOC_GC_WORK_H

#include "../goalloc.h"

#define WORK_RINGS 16
/* Spans that are taken at once, at most. */
#define WORK_BATCH 32

struct marker {
    _Alignas(GA_CACHE_LINE) atomic_size_t head; /* all's; see work.c */
    _Alignas(GA_CACHE_LINE) atomic_size_t tail; /* the owner's; see work.c */
    atomic_uint *spans;                         /* first pages; relaxed: head and tail order them */
    size_t mask;                                /* constant while anybody marks */
    atomic_size_t scanned;                      /* bytes looked at; relaxed, the owner's to write */
    char *copy;                                 /* COPY_STEP bytes; the owner's */
    bool plain;                /* a thread of the program's: it makes no system calls */
    unsigned left_count;       /* the owner's, as the next */
    uint32_t left[WORK_BATCH]; /* what it may not look into; it goes back to the ring */
    atomic_bool lent;          /* acquire and release */
};

#define COPY_STEP ((size_t)64 << 10)

/* Room for so many spans in each ring; nobody marks. false: no memory. */
bool work_prepare(size_t spans);
/* All rings are empty; nobody marks. */
void work_reset(void);
/* The collector's thread's. */
struct marker *work_own(void);
/* Bytes that all looked at since work_reset. */
size_t work_scanned(void);

/* false: no room. */
bool work_put(struct marker *marker, size_t first_page);
/* Up to `most`, at most WORK_BATCH, from the own ring or from another's. 0: there are none. */
unsigned work_take(struct marker *marker, uint32_t *spans, unsigned most);
/* What is likely to come so far behind what was taken last; 0: nothing. */
size_t work_peek(const struct marker *marker, size_t ahead);

/* Whether others than the collector's thread may enter; closed, none is inside. `stopped`: the
 * world is, and none of the program's threads marks. */
void work_open(void);
bool work_is_open(void); /* relaxed: a hint */
void work_close(bool stopped);
/* NULL: it's closed, or as many mark as may. By the program's threads, and by the library's own. */
struct marker *work_enter(void);
void work_leave(struct marker *marker);
struct marker *work_enter_own(void);
void work_leave_own(struct marker *marker);

/* Nobody but the caller, the collector's thread, marks, and all rings are empty. */
bool work_is_done(bool stopped);
/* For a moment in which there's nothing to take. */
void work_wait(void);
void work_reset_in_child(void);

#endif
