// SPDX-License-Identifier: MIT
/*
 * scavenger.h: when memory goes back to the kernel.
 *
 * Three occasions: a slow path that finds much freed since the last look (scavenger_tick), a thread
 * of our own while something is waiting to go, if GOALLOC=background allows it (thread.c), and the
 * program asking for it.
 */
#ifndef GOALLOC_SCAVENGER_H
#define GOALLOC_SCAVENGER_H

#include "../goalloc.h"

/* Called after every slow path, with no lock held. A few loads unless there's something to do. */
void scavenger_tick(void);

/* Drains this thread's cache, idle threads' caches and all depots, so that what was free in one
 * size class can serve another. To be done before a request is refused. */
void scavenger_drain(void);

/* The same, then releases every free page but `keep` bytes of them. How many bytes went. */
size_t scavenger_release_all(size_t keep);

/* At the process's end: the thread, if there's one, is gone on return. */
void scavenger_stop(void);
void scavenger_reset_in_child(void);

#endif
