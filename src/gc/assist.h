// SPDX-License-Identifier: MIT
/* assist.h: threads that allocate while marking goes on do their part of it. */
#ifndef GOALLOC_GC_ASSIST_H
#define GOALLOC_GC_ASSIST_H

#include "pacer.h"

/* By the collector's thread: from here on until assist_end threads help; what it marks itself in
 * between it tells by assist_progress, often, and whether it had to wait for something to mark;
 * which does nothing where nobody helps. */
void assist_begin(const struct gc_pacer *pacer, size_t heap);
void assist_progress(bool waited);
/* What was written meanwhile is looked at, once more. */
void assist_pass(void);
/* Returns when none is at it any more. */
void assist_end(void);

/* Whether threads have marked for their share of the time, and the heap may grow as it will. */
bool assist_is_limited(void);

/* By a thread that got so many bytes, with no lock held. */
void assist_pay(size_t allocated);
/* Nobody owes anything, unless the collector's thread says so anew. */
void assist_excuse(void);
void assist_reset_in_child(void);

#endif
