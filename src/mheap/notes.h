// SPDX-License-Identifier: MIT
/*
 * notes.h: two bytes for each 16 of the heap, where src/hardened says what begins there.
 *
 * A table of its own, mapped only once it is asked for: who needs no notes pays for none. It begins
 * with the heap's first page, so that a note's address is a pointer's, shifted, and a constant.
 *
 *   behind the metadata     notes, by unit of MIN_ALIGN
 *
 * (The collector's marks would lie there, which never runs beside src/hardened.)
 */
#ifndef GOALLOC_MHEAP_NOTES_H
#define GOALLOC_MHEAP_NOTES_H

#include "mheap.h"

struct mheap_notes {
    uint16_t *table;     /* NULL: there's none; constant once set, as `first` */
    size_t first;        /* the heap's first unit */
    size_t length;       /* units up to the heap's end; relaxed; grows after the table did */
    size_t bytes_mapped; /* guarded by the heap's lock */
};
extern GA_HIDDEN struct mheap_notes mheap_notes;

/* Maps the table for the heap as it is, all zero; from then on it grows with the heap. false: no
 * memory. Once, before other threads run. */
bool mheap_notes_enable(void);

/* How far into the heap an address lies, in units; more than mheap_noted_units of what isn't the
 * heap's and of what isn't aligned: by rotation, as mheap_class_offset_of. */
GA_INLINE size_t mheap_unit_of(const void *p)
{
    return ((uintptr_t)p >> 4 | (uintptr_t)p << 60) - mheap_notes.first;
}

GA_INLINE size_t mheap_noted_units(void)
{
    return __atomic_load_n(&mheap_notes.length, __ATOMIC_RELAXED);
}

GA_INLINE uint16_t *mheap_note_at(size_t unit)
{
    return &mheap_notes.table[unit];
}

/* Of the unit that an address of the heap's lies in, aligned or not. */
GA_INLINE uint16_t *mheap_known_note(const void *p)
{
    return mheap_note_at(((uintptr_t)p >> 4) - mheap_notes.first);
}

/* Clears those of whole pages. */
void mheap_clear_notes(size_t page, size_t pages);

#endif
