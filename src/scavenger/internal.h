// SPDX-License-Identifier: MIT
/* internal.h: what scavenger.c and thread.c share. */
#ifndef GOALLOC_SCAVENGER_INTERNAL_H
#define GOALLOC_SCAVENGER_INTERNAL_H

#include "scavenger.h"

/* Looks at the heap and releases what the pacer says. Returns when to look again; 0: no need. */
uint64_t scavenger_step(bool in_background);

/* Whether as much is held as lets memory go sooner. */
bool scavenger_is_limit_near(void);

/* In a forked child, whose parent may have been in a step. */
void scavenger_forget_step(void);

/* trace.c: counts and traces a release. */
enum release_kind {
    RELEASE_BACKGROUND, /* by the scavenger's own thread */
    RELEASE_EAGER,      /* by a thread of the program's, unasked */
    RELEASE_FORCED,     /* the program asked for it */
};
void scavenger_trace(enum release_kind kind, size_t bytes);
void scavenger_forget_trace(void);

/* thread.c: has the thread running, if there may be one. */
void scavenger_want_thread(void);
/* It was wanted, and whoever comes by next is to start it. */
bool scavenger_owes_thread(void);

#endif
