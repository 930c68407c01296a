// SPDX-License-Identifier: MIT
/*
 * scavenger.c: giving back everything that can go.
 *
 * Place: malloc_trim and ga_free_os_memory. Calls src/mcache and src/mcentral to return objects to
 * their spans, so that empty spans become free pages, and src/mheap to release those.
 *
 * Locking: none of its own; each part's in turn. Other threads' loaded magazines are theirs.
 */
#include "../mcache/mcache.h"
#include "../mcentral/mcentral.h"
#include "../mheap/mheap.h"
#include "scavenger.h"

void scavenger_drain(void)
{
    mcache_flush_self();
    mcache_flush_idle();
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class++)
        mcentral_trim(class, true);
}

size_t scavenger_release_all(size_t keep)
{
    struct mheap_stats stats;
    scavenger_drain();
    mheap_read_stats(&stats);
    return stats.free_dirty > keep ? mheap_release(stats.free_dirty - keep) : 0;
}
