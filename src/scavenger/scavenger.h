// SPDX-License-Identifier: MIT
/*
 * scavenger.h: when memory goes back to the kernel.
 *
 * Four occasions: a slow path that finds much freed since the last look, or the memory limit near
 * (scavenger_tick), a thread of our own while something is waiting to go, if GOALLOC=background
 * allows it (thread.c), and the program asking for it.
 */
#ifndef GOALLOC_SCAVENGER_H
#define GOALLOC_SCAVENGER_H

#include "../goalloc.h"

/* Called after every slow path, with no lock held. A few loads unless there's something to do. */
void scavenger_tick(void);

/* Once the options are known; UINT64_MAX: no limit. */
void scavenger_set_limit(uint64_t bytes);

/* Once the modes are known: dense parts of the heap may go to huge pages. */
void scavenger_allow_collapse(void);

/* Drains this thread's cache, idle threads' caches and all depots, so that what was free in one
 * size class can serve another, and asks other threads to drain theirs. To be done before a request
 * is refused. */
void scavenger_drain(void);

/* Called wherever depots are drained: src/hardened gives back what it keeps, and with `all` what
 * this thread holds. Set once, at start. */
extern void (*scavenger_trim_too)(bool all);

/* The same, then releases every free page but `keep` bytes of them. How many bytes went. */
size_t scavenger_release_all(size_t keep);

/* --- Statistics --- */

/* Bytes that the scavenger's own thread gave back, ever. */
uint64_t scavenger_released_in_background(void);
/* With GODEBUG=scavtrace=1: a last line, if something went back since the one before. */
void scavenger_trace_rest(void);

/* At the process's end: the thread, if there's one, is gone on return. */
void scavenger_stop(void);
void scavenger_reset_in_child(void);

/* For statistics: approximate while threads run. */
struct scavenger_stats {
    uint64_t limit;    /* bytes; UINT64_MAX: none */
    size_t held;       /* what counts against it */
    size_t times_over; /* how often more was held than that */
    uint64_t nanoseconds_over;
    size_t steps; /* looks at the heap that released something */
};
void scavenger_read_stats(struct scavenger_stats *out);

#endif
