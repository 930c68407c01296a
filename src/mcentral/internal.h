// SPDX-License-Identifier: MIT
/* internal.h: what depot.c, objects.c and sweep.c share. */
#ifndef GOALLOC_MCENTRAL_INTERNAL_H
#define GOALLOC_MCENTRAL_INTERNAL_H

#include "../mheap/mheap.h"
#include "mcentral.h"

extern struct mcentral mcentrals[MCENTRAL_COUNT];
/* Ever; each guarded by its central's lock. */
extern uint32_t magazines_made[SIZE_CLASS_COUNT];

/* objects.c; the central's lock is held. Returns objects to their spans. */
void objects_drain(unsigned class, void *const *objects, unsigned count);

/* The central that a span's objects belong to; what is read without its lock may be stale. */
GA_INLINE unsigned span_central(const struct span *span)
{
    unsigned class = __atomic_load_n(&span->class, __ATOMIC_RELAXED);
    if (GA_UNLIKELY(__atomic_load_n(&span->noscan, __ATOMIC_RELAXED)))
        return mcentral_noscan(class);
    return GA_UNLIKELY(__atomic_load_n(&span->typed, __ATOMIC_RELAXED)) ? mcentral_typed(class)
                                                                        : class;
}

/* The list of spans that have both free and used objects; the central's lock is held. */
void spans_add(struct mcentral *central, struct span *span);
void spans_remove(struct mcentral *central, struct span *span);

/* After objects of the span were freed: it is listed, or goes back to the heap when it has none. */
void span_relist(struct mcentral *central, struct span *span);

/* sweep.c; the central's lock is held. Before an object is taken from the span: frees what nothing
 * reached, unless that was done. The span stays. */
void sweep_before_taking(struct mcentral *central, struct span *span);

/* sweep.c; the central's lock is held. The program frees an object: has an audit doomed it? */
void audit_free(const struct span *span, size_t index);

#endif
