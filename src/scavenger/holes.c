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
 * mcentral_may_have_holes says whether a walk could find anything: set by who returns objects to
 * spans, and here while there is more to do; taken back when a walk begins.
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
#define HURRY_FOR  (PACER_SECOND / 500)
#define SHARE      100u /* of the time one part */

static struct {
    uint64_t due;   /* not before this time; read without the step */
    uint64_t began; /* the walk; guarded by the step, as are the following */
    unsigned class; /* where it is; 0: not in one */
    bool inside;    /* the class has more */
    bool later;     /* a class may have some later */
    size_t found;   /* bytes that the walk gave back so far */
} holes;

static bool are_allowed(void)
{
    return !mheap_marks_enabled() && options.thp != THP_ALWAYS;
}

bool holes_is_time(void)
{
    return atomic_load_explicit(&mcentral_may_have_holes, memory_order_relaxed) && are_allowed() &&
           os_coarse_nanotime() >= GA_LOAD_ANY(holes.due);
}

static void set_hope(bool hope)
{
    atomic_store_explicit(&mcentral_may_have_holes, hope, memory_order_relaxed);
}

/* One step further in the walk; false: it has ended. */
static bool go_on(bool all)
{
    if (!holes.inside) {
        holes.class ++;
        if (holes.class >= SIZE_CLASS_FIRST_PAGE_CLASS)
            return false;
        enum mcentral_look look = mcentral_begin_holes(holes.class, all);
        holes.inside = look == LOOK_WALK;
        holes.later |= look == LOOK_LATER;
    }
    if (holes.inside)
        holes.inside = mcentral_give_holes(holes.class, &holes.found);
    return true;
}

static void begin_walk(uint64_t now)
{
    set_hope(false);
    holes.began = now;
    holes.class = 0;
    holes.inside = holes.later = false;
    holes.found = 0;
}

/* Until `length` is over. false: the walk has ended. */
static bool walk_for(uint64_t length, uint64_t began, enum release_kind kind)
{
    if (!holes.class)
        begin_walk(began);
    size_t before = holes.found;
    bool more;
    do
        more = go_on(false);
    while (more && os_nanotime() - began < length);
    if (!more)
        holes.class = 0;
    scavenger_trace(kind, holes.found - before);
    return more;
}

uint64_t holes_step(enum release_kind kind)
{
    uint64_t began = os_nanotime(), next_walk;
    if (!are_allowed())
        return 0;
    if (began < holes.due)
        return holes.due;
    bool more = walk_for(STEP_FOR, began, kind);
    uint64_t now = os_nanotime(), due = now + (now - began) * SHARE;
    next_walk = holes.began + WALK_EVERY;
    GA_STORE_ANY(holes.due, more || due > next_walk ? due : next_walk);
    if (!more && !holes.found && !holes.later)
        return 0;
    set_hope(true);
    return holes.due;
}

void holes_hurry(void)
{
    if (are_allowed())
        walk_for(HURRY_FOR, os_nanotime(), RELEASE_EAGER);
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
