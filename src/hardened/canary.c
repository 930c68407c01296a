// SPDX-License-Identifier: MIT
/*
 * canary.c: what lies behind a block, and what a freed block holds.
 *
 * Place: blocks.c and cache.c. Calls misuses.c when something isn't as it was left.
 *
 * A canary is eight bytes right behind what the program asked for, made of its address and a secret
 * of the process: who wants to write over it unnoticed has to know both. None of its bytes is what
 * a string's end would write there by mistake: the first is odd.
 *
 * A freed block's first bytes are zero, as many as settings say, and so are its slot's behind it.
 * (Longer blocks would take longer to wipe than to use: their tails are left.)
 *
 * Invariants: a slot whose note says NOTE_FREED is zero that far, unless the program wrote to it.
 * Locking: none: a block has one owner, a freed slot too.
 */
#include "internal.h"

void canary_write_slow(const struct slab *slab, void *p, size_t size)
{
    char *end = (char *)p + size;
    uint64_t canary = canary_of(end);
    memcpy(end, &canary, slab_canary_bytes(slab, size));
}

void canary_check_slow(const struct slab *slab, const void *p, size_t size)
{
    const char *end = (const char *)p + size;
    uint64_t canary = canary_of(end);
    size_t bytes = slab_canary_bytes(slab, size);
    for (size_t i = 0; i < bytes; i++)
        if (end[i] != ((const char *)&canary)[i])
            misuse_block("write past the end of a block", slab, end + i, p, size);
}

GA_COLD void wipe_broken(const void *p)
{
    const struct slab *slab = slab_of(p);
    const char *at = p;
    while (!*at)
        at++;
    misuse_block("write after free", slab, at, p, slab->room);
}
