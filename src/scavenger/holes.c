// SPDX-License-Identifier: MIT
/*
 * holes.c: when memory goes back that lies between objects in use.
 *
 * Place: scavenger.c, for slow paths and the scavenger's own thread. Calls src/mcentral, which
 * knows the holes.
 *
 * A walk goes through all size classes, a step of at most STEP_FOR at a time, so that the thread
 * that comes by isn't kept, and a hundredth of the time at most. Between two walks there is a
 * second, in which shows what is needed.
 *
 * Invariants: none with a collector, which looks at a span's pages while others change it; and none
 * unasked under thp=always, where each would break a huge page.
 * Locking: the scavenger's step. Fork: the child goes on with the walk that the parent was in.
 */
#include "holes.h"

#include "../mcentral/mcentral.h"
#include "../mheap/marks.h"
#include "../options/options.h"
#include "../os/os.h"
#include "pacer.h"

#define WALK_EVERY PACER_SECOND
#define STEP_FOR   (PACER_SECOND / 2000)
#define SHARE      100u /* of the time one part */

static struct {
    uint64_t due;   /* not before this time; read without the step */
    uint64_t began; /* the walk; guarded by the step, as are the following */
    unsigned class; /* where it is; 0: not in one */
    bool inside;    /* the class has more */
    size_t found;   /* bytes that the walk gave back so far */
} holes;

bool holes_is_time(void)
{
    return os_coarse_nanotime() >= GA_LOAD_ANY(holes.due);
}

/* One step further in the walk; false: it has ended. */
static bool go_on(bool all)
{
    if (!holes.inside) {
        holes.class ++;
        if (holes.class >= SIZE_CLASS_FIRST_PAGE_CLASS)
            return false;
        holes.inside = mcentral_begin_holes(holes.class, all);
    }
    if (holes.inside)
        holes.inside = mcentral_give_holes(holes.class, &holes.found);
    return true;
}

static void begin_walk(uint64_t now)
{
    holes.began = now;
    holes.class = 0;
    holes.inside = false;
    holes.found = 0;
}

uint64_t holes_step(enum release_kind kind)
{
    uint64_t began = os_nanotime(), now = began;
    if (mheap_marks_enabled() || options.thp == THP_ALWAYS)
        return 0;
    if (began < holes.due)
        return holes.due;
    if (!holes.class)
        begin_walk(began);
    size_t before = holes.found;
    bool more;
    do
        more = go_on(false);
    while (more && (now = os_nanotime()) - began < STEP_FOR);
    scavenger_trace(kind, holes.found - before);
    uint64_t due = now + (now - began) * SHARE, next_walk = holes.began + WALK_EVERY;
    if (!more)
        holes.class = 0;
    GA_STORE_ANY(holes.due, more || due > next_walk ? due : next_walk);
    return more || holes.found ? holes.due : 0;
}

size_t holes_give_all(void)
{
    if (mheap_marks_enabled())
        return 0;
    begin_walk(os_nanotime());
    while (go_on(true))
        ;
    holes.class = 0;
    return holes.found;
}
