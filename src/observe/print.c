// SPDX-License-Identifier: MIT
/*
 * print.c: the summary for people: where each megabyte is.
 *
 * Place: GOALLOC=stats at exit, malloc_stats at any time. Calls snapshot.c, src/mheap for what of
 * it is resident, and the reporter.
 *
 * The first part divides the heap's address space, the second the process's RSS. The kernel is
 * asked about each page for that (mincore, some 20 us for 100 MB), which the other figures don't
 * need. Locking: none. Each line is written by itself; other threads' output may lie between.
 */
#include "../mheap/mheap.h"
#include "../options/options.h"
#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

static void print_size(const char *what, uint64_t bytes, const char *means)
{
    report_line("  %-14s %9zu.%zu MiB  %s", what, (size_t)(bytes >> 20),
                (size_t)((bytes >> 10) % 1024 * 10 / 1024), means);
}

static void print_heap(const struct snapshot *now)
{
    report_line("memory:");
    print_size("live", now->heap_objects, "blocks the program holds");
    print_size("  of it large", now->large, "without a size class");
    print_size("cached", now->cached, "free blocks in threads' caches and depots");
    print_size("  of it depots", now->depot, "shared by all threads");
    print_size("free in spans", now->span_free, "free blocks in spans");
    print_size("free dirty", now->heap_free, "free pages kept, which count in RSS");
    print_size("free released", now->heap_released, "given back, or never used");
    print_size("mapped", now->mapped, "all of the above: address space");
    print_size("metadata", minus(now->total, now->mapped),
               "address space for tables; most is never touched");
}

static void print_resident(void)
{
    struct mheap_resident resident;
    mheap_read_resident(&resident);
    size_t whole = os_resident_bytes();
    report_line("of it resident:");
    print_size("heap", resident.heap, "pages of the above that have memory");
    print_size("metadata", resident.metadata, "the same of the tables");
    print_size("the rest", minus(whole, resident.heap + resident.metadata),
               "code, data, stacks, other mappings: not the heap's");
    print_size("resident", whole, "all of the process: its RSS");
}

static void print_counts(const struct snapshot *now)
{
    uint64_t held = now->in_use + now->heap_free;
    report_line("  fragmentation  %9zu %%        of what is held isn't live",
                (size_t)(held ? (held - now->heap_objects) * 100 / held : 0));
    report_line("  %zu live blocks, %zu spans, %zu threads, %zu system calls, %zu moved blocks",
                (size_t)now->objects, (size_t)now->spans, (size_t)now->threads,
                (size_t)now->system_calls, (size_t)now->moves);
    report_line("  %s%zu blocks of %zu MiB allocated, %zu blocks freed; %zu MiB given back",
                options.count ? "" : "at least ", (size_t)now->allocs,
                (size_t)(now->alloc_bytes >> 20), (size_t)now->frees,
                (size_t)((now->released_background + now->released_eager) >> 20));
}

static void print_classes(const struct snapshot *now)
{
    report_line("  size class    spans         live       cached");
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        const struct class_figures *figures = &now->classes[class];
        if (figures->spans)
            report_line("  %10zu %8zu %12zu %12zu", (size_t)size_classes[class].size,
                        (size_t)figures->spans, (size_t)figures->live, (size_t)figures->cached);
    }
}

void observe_print(void)
{
    struct snapshot now;
    observe_snapshot(&now);
    print_heap(&now);
    print_resident();
    print_counts(&now);
    print_classes(&now);
}
