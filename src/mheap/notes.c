// SPDX-License-Identifier: MIT
/*
 * notes.c: the table of notes.
 *
 * Place: src/hardened switches it on and writes it; grow.c has it grow with the heap. Calls src/os.
 *
 * Invariants: once enabled, every page below the heap's end has its notes mapped; those of pages
 * that aren't in use are 0.
 * Locking: the heap's lock for the mapping; a note belongs to who owns the block. Fork: the child
 * inherits the table as it is.
 */
#include "notes.h"

#include <string.h>

#include "../os/os.h"
#include "internal.h"

/* Mapped by so many bytes: the notes of 512 KB of heap. */
#define NOTES_STEP ((size_t)64 << 10)
#define PAGE_UNITS ((size_t)1 << PAGE_UNITS_SHIFT)
#define PAGE_NOTES (PAGE_UNITS * sizeof(uint16_t))

struct mheap_notes mheap_notes;

bool notes_map(size_t end)
{
    size_t bytes = round_up((end - mheap_view.start) * PAGE_NOTES, NOTES_STEP);
    if (bytes <= mheap_notes.bytes_mapped)
        return true;
    size_t more = bytes - mheap_notes.bytes_mapped;
    if (os_map_at(mheap.meta_start + META_MAX + mheap_notes.bytes_mapped, more) != OS_MAPPED)
        return false;
    GA_STORE_ANY(mheap_notes.bytes_mapped, bytes);
    mheap.stats.meta += more;
    return true;
}

void notes_set_end(size_t end)
{
    __atomic_store_n(&mheap_notes.length, (end - mheap_view.start) * PAGE_UNITS, __ATOMIC_RELAXED);
}

bool mheap_notes_enable(void)
{
    lock_acquire(&mheap.lock);
    bool mapped = notes_map(mheap_end());
    if (mapped) {
        mheap_notes.first = mheap_view.start * PAGE_UNITS;
        mheap_notes.table = (uint16_t *)(mheap.meta_start + META_MAX);
        notes_set_end(mheap_end());
    }
    lock_release(&mheap.lock);
    return mapped;
}

void mheap_clear_notes(size_t page, size_t pages)
{
    memset(mheap_known_note((void *)mheap_page_address(page)), 0, pages * PAGE_NOTES);
}
