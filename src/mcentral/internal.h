// SPDX-License-Identifier: MIT
/* internal.h: what depot.c, objects.c, lines.c, holes.c and sweep.c share. */
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

/* The objects of its spans that are neither with users nor in magazines; the lock is held. */
GA_INLINE uint32_t central_free(const struct mcentral *central, unsigned class)
{
    size_t all = (size_t)central->span_count * size_classes[class % SIZE_CLASS_COUNT].objects;
    return all > central->objects_out ? (uint32_t)(all - central->objects_out) : 0;
}

/* holes.c; the central's lock is held. Objects were taken from the span. */
void holes_fill(struct span *span);
GA_INLINE void holes_note_taken(struct span *span)
{
    if (GA_UNLIKELY(span->holes != 0))
        holes_fill(span);
}
/* The span has no object in use and goes back as a whole. */
void holes_forget(struct span *span);
/* Whether no object in use lies in what went back; for checks. */
bool holes_are_empty(const struct span *span);

/* lines.c; the central's lock is held. How many objects of a class lie between two that begin with
 * a pair of cache lines. */
unsigned lines_period(unsigned class);
/* How many of the `part` objects that are to be taken one should take, so that what is left begins
 * with such a pair; `part` where that can't be. */
unsigned lines_whole(const struct span *span, unsigned part, unsigned period);
/* Whether what is taken now is to be parted. */
bool lines_near(unsigned class);
/* Parts objects that are in order of address, the lowest last; no more than a magazine full. */
void lines_part(void **objects, unsigned count, size_t size);

/* sweep.c; the central's lock is held. Before an object is taken from the span: frees what nothing
 * reached, unless that was done. The span stays. */
void sweep_before_taking(struct mcentral *central, struct span *span);
/* Whether what can be taken from the span has to be zero, for a collector. */
bool is_emptied(const struct span *span);

/* sweep.c; the central's lock is held. The program frees an object: has an audit doomed it? */
void audit_free(const struct span *span, size_t index);

#endif
