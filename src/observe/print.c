// SPDX-License-Identifier: MIT
/*
 * print.c: the summary for people.
 *
 * Place: GOALLOC=stats at exit, malloc_stats at any time. Calls observe.c and the reporter.
 */
#include "../mcache/mcache.h"
#include "../os/os.h"
#include "../os/report.h"
#include "observe.h"

static void print_size(const char *what, size_t bytes, const char *means)
{
    report_line("  %-14s %9zu.%zu MiB  %s", what, bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024,
                means);
}

static void print_classes(void)
{
    report_line("  size class    spans         live       cached");
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct class_stats stats;
        observe_class(class, &stats);
        if (stats.spans)
            report_line("  %10zu %8zu %12zu %12zu", (size_t)size_classes[class].size, stats.spans,
                        stats.live, stats.cached);
    }
}

void observe_print(void)
{
    struct ga_stats stats;
    observe_all(&stats);
    stats.resident = os_resident_bytes();
    size_t held = stats.in_use + stats.free_dirty;
    report_line("memory:");
    print_size("live", stats.live, "blocks the program holds");
    print_size("  of it large", stats.large, "without a size class");
    print_size("cached", stats.cached, "free blocks in caches and depots");
    print_size("free in spans", stats.span_free, "free blocks in spans");
    print_size("free dirty", stats.free_dirty, "free pages that count in RSS");
    print_size("free released", stats.free_released, "free pages given back, or never used");
    print_size("mapped", stats.mapped, "all of the above");
    print_size("resident", stats.resident, "the process's RSS");
    report_line("  fragmentation  %9zu %%        of what is held isn't live",
                held ? (held - (stats.live < held ? stats.live : held)) * 100 / held : 0);
    report_line("  %zu live blocks, %zu spans, %zu threads, %zu system calls, %zu moved blocks",
                stats.live_blocks, stats.spans, stats.threads, stats.system_calls,
                stats.moved_blocks);
    print_classes();
}
