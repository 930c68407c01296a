// SPDX-License-Identifier: MIT
/*
 * observe.h: where the memory is. Reads every part, writes none.
 */
#ifndef GOALLOC_OBSERVE_H
#define GOALLOC_OBSERVE_H

#include "../../include/goalloc/goalloc.h"
#include "../goalloc.h"
#include "../size_classes/size_classes.h"

struct class_stats {
    size_t spans, live, cached; /* blocks */
};

void observe_class(unsigned class, struct class_stats *out);
/* All but the resident size, which takes system calls that a sandboxed program may not make. */
void observe_all(struct ga_stats *out);
/* The summary of GOALLOC=stats and malloc_stats, on stderr. */
void observe_print(void);

#endif
