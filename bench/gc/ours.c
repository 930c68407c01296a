// SPDX-License-Identifier: MIT
// ours.c: what collector.h says, of goalloc.

#include "collector.h"

void collector_begin(void)
{
}

double collector_longest_stop(void)
{
    struct ga_gc_stats stats;
    ga_gc_stats(&stats, sizeof(stats));
    return (double)stats.longest_stop_ns / 1e9;
}
