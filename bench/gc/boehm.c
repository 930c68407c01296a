// SPDX-License-Identifier: MIT
// boehm.c: what collector.h says, of libgc, which calls back before it stops the world and after.

#include "collector.h"

static double stopped_at, longest; /* the callbacks hold libgc's lock */

static void on_event(GC_EventType event)
{
    if (event == GC_EVENT_PRE_STOP_WORLD) {
        stopped_at = seconds_now();
    } else if (event == GC_EVENT_POST_START_WORLD) {
        double stop = seconds_now() - stopped_at;
        longest = stop > longest ? stop : longest;
    }
}

void collector_begin(void)
{
    GC_INIT();
    GC_set_on_collection_event(on_event);
}

double collector_longest_stop(void)
{
    return longest;
}
