// SPDX-License-Identifier: MIT
//
// What the collector is doing, told by itself: a line for each cycle.
//
//   cc gc_phases.c $(pkg-config --cflags --libs goalloc) -o gc_phases && ./gc_phases

#include <goalloc/gc.h>
#include <stdio.h>
#include <time.h>

struct watch {
    struct timespec began;
    unsigned cycles;
};

static double milliseconds_since(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) * 1e3 + (double)(now.tv_nsec - then->tv_nsec) / 1e6;
}

/* On the collector's thread, while the program runs. */
static void tell(enum ga_gc_phase phase, void *argument)
{
    struct watch *watch = argument;
    struct ga_gc_stats stats;
    if (phase == GA_GC_MARK_BEGIN)
        clock_gettime(CLOCK_MONOTONIC, &watch->began);
    else if (phase == GA_GC_MARK_END)
        printf("marked in %.1f ms, ", milliseconds_since(&watch->began));
    else if (phase == GA_GC_SWEEP_END) {
        ga_gc_stats(&stats, sizeof(stats));
        printf("done in %.1f ms: %zu blocks are alive\n", milliseconds_since(&watch->began),
               stats.live_blocks);
        watch->cycles++;
    } else {
        printf("given up\n");
    }
}

int main(void)
{
    static struct watch watch;
    if (ga_gc_enable() != 0 || ga_gc_on_phase(tell, &watch) != 0)
        return 1;
    for (int i = 0; i < 1000000; i++)
        if (ga_gc_malloc(100) == NULL) /* never freed */
            return 1;
    if (ga_gc_collect() != 0)
        return 1;
    ga_gc_off_phase(tell, &watch);
    return watch.cycles == 0;
}
