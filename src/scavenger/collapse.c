// SPDX-License-Identifier: MIT
/*
 * collapse.c: huge pages under what is dense (option thp=auto).
 *
 * Place: the scavenger's own thread calls it between its steps. Calls src/mheap, which knows what
 * is dense, and src/os.
 *
 * To mark the heap for huge pages, as thp=always does, has the kernel fill them where one page of
 * 512 is used, and keeps what is given back in part. A heap that is looked at from here needs
 * neither: what goes to a huge page has all its memory, so RSS stays what it is. The kernel copies
 * 2 MB for each, 0.2 to 6 ms, so no thread of the program's does it: without GOALLOC=background
 * there are none.
 *
 * Invariants: of the time at most a hundredth goes into it; none into heaps below 64 MB, nor while
 * the memory limit is near, under hardened, where pages are guarded, or with a collector, which
 * watches what is written by the page.
 * Locking: it is one thread's. Fork: the child's thread begins anew.
 */
#include "collapse.h"

#include "../mheap/mheap.h"
#include "../options/options.h"
#include "../os/os.h"
#include "pacer.h"
#include "scavenger.h"

#define LEAST_HEAP ((size_t)64 << 20)
#define LOOK_EVERY PACER_SECOND
#define SHARE      100u /* of the time one part */
/* After so many refusals in a row the kernel is left alone for a while. */
#define REFUSALS  8
#define LEAVE_FOR (60 * PACER_SECOND)
/* Looks without a find, until the heap has grown by an eighth. */
#define IDLE_LOOKS 4

static struct {
    size_t at;           /* where the look goes on; the thread's, as are the following */
    uint64_t due;        /* not before this time */
    unsigned refusals;   /* in a row */
    unsigned idle_looks; /* the same */
    bool asked;          /* whether huge pages are allowed is known ... */
    bool refused;        /* ... and they aren't */
    bool done;           /* the kernel has done so once */
    size_t level;        /* worth a thread if more is in use; also read by others */
} collapse = {.level = SIZE_MAX};

void scavenger_allow_collapse(void)
{
    GA_STORE_ANY(collapse.level, LEAST_HEAP);
}

bool collapse_is_wanted(size_t in_use)
{
    return in_use > GA_LOAD_ANY(collapse.level);
}

static bool is_allowed(void)
{
    if (!collapse.asked)
        collapse.refused = !os_allows_huge("/sys/kernel/mm/transparent_hugepage/enabled");
    collapse.asked = true;
    if (collapse.refused)
        GA_STORE_ANY(collapse.level, SIZE_MAX);
    return !collapse.refused;
}

/* One part; when to do the next. The kernel may refuse one for what it is: a block in it was moved
 * to a mapping of its own, say. If it has refused all so far it hasn't got it. */
static uint64_t put_on_huge_page(uintptr_t part, uint64_t began)
{
    bool done = os_collapse(part, MHEAP_PART);
    mheap_note_collapse(part, done);
    collapse.refusals = done ? 0 : collapse.refusals + 1;
    collapse.done |= done;
    uint64_t now = os_nanotime();
    if (collapse.refusals < REFUSALS)
        return now + (now - began) * SHARE;
    collapse.refusals = 0;
    collapse.refused = !collapse.done;
    return now + LEAVE_FOR;
}

/* The heap is as it was. 0: nothing is to be expected until it grows. */
static uint64_t end_look(size_t in_use, uint64_t now)
{
    if (++collapse.idle_looks <= IDLE_LOOKS)
        return now + LOOK_EVERY;
    collapse.idle_looks = 0;
    GA_STORE_ANY(collapse.level, in_use + in_use / 8);
    return 0;
}

uint64_t collapse_step(bool may)
{
    struct mheap_levels levels;
    mheap_read_levels(&levels);
    uint64_t now = os_nanotime();
    if (!collapse_is_wanted(levels.in_use) || !is_allowed())
        return 0;
    if (now < collapse.due || !may)
        return now < collapse.due ? collapse.due : now + LOOK_EVERY;
    uintptr_t part = mheap_find_dense(&collapse.at);
    if (!part)
        return collapse.due = end_look(levels.in_use, now);
    collapse.idle_looks = 0;
    return collapse.due = put_on_huge_page(part, now);
}
