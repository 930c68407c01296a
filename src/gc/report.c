// SPDX-License-Identifier: MIT
/*
 * report.c: what the collector says: a line for each cycle, the leaks, the audit's verdict.
 *
 * Place: thread.c and cycle.c call it, with no lock held but the collector's. Calls src/os.
 * Locking: the counts of leaks are the collector's thread's, and read once it has served.
 */
#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

/* --- Go's gctrace --- */

static void add_milliseconds(struct text *text, uint64_t nanoseconds)
{
    size_t micro = (size_t)(nanoseconds / 1000);
    if (micro >= 100000)
        text_add(text, "%zu", micro / 1000);
    else
        text_add(text, "%zu.%c%c", micro / 1000, (int)('0' + micro / 100 % 10),
                 (int)('0' + micro / 10 % 10));
}

static size_t megabytes(size_t bytes)
{
    return bytes >> 20;
}

static uint64_t collecting; /* nanoseconds since the start; the collector's thread */

/*
 * As Go has it: number, seconds since the start, percent of the time that a cycle was under way;
 * three spans of clock time: setting up, marking beside the program, the stop; the heap at the
 * start, at the end of marking, and alive; the goal, and the roots.
 */
void report_cycle(const struct cycle *cycle, const struct gc_pacer *pacer, unsigned number)
{
    static uint64_t start;
    char buffer[256];
    struct text text;
    if (!start)
        start = cycle->began;
    collecting += cycle->swept - cycle->began;
    uint64_t since = cycle->swept - start;
    text_init(&text, buffer, sizeof(buffer));
    text_add(&text, "gc %u @%zu.%c%c%cs %u%%: ", number, (size_t)(since / GC_SECOND),
             (int)('0' + since / (GC_SECOND / 10) % 10),
             (int)('0' + since / (GC_SECOND / 100) % 10),
             (int)('0' + since / (GC_SECOND / 1000) % 10),
             since ? (unsigned)(collecting * 100 / since) : 0);
    add_milliseconds(&text, cycle->beside - cycle->began);
    text_add(&text, "+");
    add_milliseconds(&text, cycle->stopping - cycle->beside);
    text_add(&text, "+");
    add_milliseconds(&text, cycle->resumed - cycle->stopping);
    text_add(&text, " ms clock, %zu->%zu->%zu MB, %zu MB goal, %zu MB roots\n",
             megabytes(cycle->heap_before), megabytes(cycle->heap_marked),
             megabytes(cycle->live_bytes), megabytes(pacer->goal), megabytes(cycle->root_bytes));
    os_write(2, buffer, (size_t)(text.at - buffer));
}

/* --- Leaks --- */

static struct {
    size_t objects, bytes;
} leaks[SIZE_CLASS_COUNT]; /* class 0: large blocks */

void report_count_leak(size_t class, size_t objects, size_t bytes)
{
    leaks[class].objects += objects;
    leaks[class].bytes += bytes;
}

void report_leaks(void)
{
    size_t objects = 0, bytes = 0;
    for (size_t class = 0; class < SIZE_CLASS_COUNT; class ++) {
        objects += leaks[class].objects;
        bytes += leaks[class].bytes;
    }
    report_finding("leaks: %zu blocks of %zu bytes are out of reach", objects, bytes);
    for (size_t class = 1; class < SIZE_CLASS_COUNT; class ++)
        if (leaks[class].objects)
            report_finding("leaks: %8zu blocks of %zu bytes", leaks[class].objects,
                           (size_t)size_classes[class].size);
    if (leaks[0].objects)
        report_finding("leaks: %8zu large blocks, %zu bytes", leaks[0].objects, leaks[0].bytes);
}

/* --- Audit --- */

void report_audit(const struct gc_stats *stats)
{
    report_finding(
        "audit: %zu cycles, %zu blocks of %zu bytes out of reach, %zu of them freed by the "
        "program later",
        stats->cycles, stats->freed_objects, stats->freed_bytes, stats->false_frees);
}
