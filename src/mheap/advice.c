// SPDX-License-Identifier: MIT
/*
 * advice.c: what the kernel is told about huge pages under the heap (option thp).
 *
 * Place: grow.c and large.c come here with new mappings, src/libc's constructor once for those that
 * came before the options. Calls src/os.
 *
 * Invariants: all of the heap has the same advice, so that it stays one mapping; by default none is
 * given, and no call is made.
 * Locking: none for new mappings, which are nobody's yet; the heap's lock for what is there.
 */
#include "../options/options.h"
#include "../os/os.h"
#include "internal.h"

void advise_mapping(uintptr_t address, size_t size)
{
    if (options.thp != THP_AUTO)
        os_advise_huge(address, size, options.thp == THP_ALWAYS);
}

bool map_over(uintptr_t address, size_t size)
{
    if (!os_map_over(address, size))
        return false;
    advise_mapping(address, size);
    return true;
}

/* Lock held. All that is mapped, span by span and run by run: there are few before main, and what
 * lies between them isn't ours. */
static void advise_all(void)
{
    for (size_t page = mheap_view.start, end = mheap_end(); page < end;) {
        const struct span *span = mheap_span_at(page);
        bool ours = span_state_load(span) != SPAN_NONE;
        if (ours)
            advise_mapping(mheap_page_address(page), (size_t)span->pages << HEAP_PAGE_SHIFT);
        page += ours ? span->pages : 1;
    }
}

void mheap_advise(void)
{
    lock_acquire(&mheap.lock);
    if (options.thp != THP_AUTO && atomic_load_explicit(&mheap.ready, memory_order_relaxed))
        advise_all();
    lock_release(&mheap.lock);
}
