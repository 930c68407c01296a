// SPDX-License-Identifier: MIT
/*
 * resident.c: how much of the heap and its tables has memory, by the kernel's own account.
 *
 * Place: src/observe's summary. Calls src/os.
 * Locking: the heap's lock and metadata's, for a moment each, to learn what is mapped. The kernel
 * is asked without them; nothing is ever unmapped. Fork and signals: nothing to do.
 */
#include "../os/os.h"
#include "internal.h"
#include "notes.h"

void mheap_read_resident(struct mheap_resident *out)
{
    *out = (struct mheap_resident){0};
    if (!atomic_load_explicit(&mheap.ready, memory_order_acquire))
        return;
    lock_acquire(&mheap.lock);
    size_t class_bytes = mheap.class_bytes_mapped;
    size_t records = mheap.arenas_mapped * ARENA_RECORD_SIZE;
    size_t notes = mheap_notes.bytes_mapped;
    lock_release(&mheap.lock);
    lock_acquire(&mheap.meta_lock);
    size_t meta = mheap.meta_end - mheap.meta_start;
    lock_release(&mheap.meta_lock);
    uintptr_t start = mheap_page_address(mheap_view.start);
    out->heap = os_resident_in(start, mheap_page_address(mheap_end()) - start);
    out->metadata = os_resident_in(mheap.tables, class_bytes) +
                    os_resident_in(mheap_view.records, records) +
                    os_resident_in(mheap.meta_start, meta) +
                    os_resident_in((uintptr_t)mheap_notes.table, notes);
}
