// SPDX-License-Identifier: MIT
/*
 * observe.h: where the memory is. Reads every part, writes none.
 */
#ifndef GOALLOC_OBSERVE_H
#define GOALLOC_OBSERVE_H

#include "../../include/goalloc/stats.h"
#include "../goalloc.h"

/* All but the resident size, which takes system calls that a sandboxed program may not make. */
void observe_all(struct ga_stats *out);
void observe_mem_stats(struct ga_mem_stats *out);
void observe_metrics_read(struct ga_metric *samples, size_t n);
const struct ga_metric_description *observe_metrics_all(size_t *count);

/* Numbers of blocks, for mallinfo. */
struct observe_blocks {
    size_t large;  /* that the program holds, without a size class */
    size_t free;   /* of a size class, in spans and caches */
    size_t cached; /* of these, in caches */
};
void observe_free_blocks(struct observe_blocks *out);

/* The summary of GOALLOC=stats and malloc_stats, on stderr. */
void observe_print(void);
/* The same figures and all metrics as one JSON object, on one line of stderr. */
void observe_print_json(void);
/* The same as XML, piece by piece; no lock is held while `put` runs. */
void observe_write_xml(void (*put)(void *to, const char *text), void *to);

void observe_lock_for_fork(void);
void observe_unlock_after_fork(void);
void observe_reset_in_child(void);

#endif
