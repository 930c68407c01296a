// SPDX-License-Identifier: MIT
/*
 * metrics.c: single figures by name, as Go's package runtime/metrics has them.
 *
 * Place: src/libc's ga_metrics_read and ga_metrics_all; json.c. Calls snapshot.c and histograms.c.
 *
 * A row says where in a snapshot its figure lies. Go's names mean here what they mean there, as far
 * as the two allocators are alike; what Go has no name for begins with /goalloc/.
 *
 * Invariants: rows are sorted by name. They hold no pointers, which the loader would have to adjust
 * at every start: the public table is made of them when it is first asked for.
 * Locking: see snapshot.c; none for the public table, of which threads write the same.
 */
#include <string.h>

#include "../os/os.h"
#include "internal.h"

struct row {
    char name[44];
    char description[64];
    uint8_t kind;       /* enum ga_metric_kind */
    uint8_t cumulative; /* 1: never falls */
    uint16_t at;        /* offset in struct snapshot; of a histogram: enum histogram_id */
};

#define AT(field) offsetof(struct snapshot, field)
/* The one figure that costs system calls is read only when it is asked for. */
#define AT_RESIDENT UINT16_MAX

static const struct row rows[] = {
    {"/gc/cycles/automatic:gc-cycles", "Collections that the pacer started.", GA_METRIC_UINT64, 1,
     AT(gc.cycles_automatic)},
    {"/gc/cycles/forced:gc-cycles", "Collections that the program asked for.", GA_METRIC_UINT64, 1,
     AT(gc.cycles_forced)},
    {"/gc/cycles/total:gc-cycles", "All collections.", GA_METRIC_UINT64, 1, AT(gc_cycles)},
    {"/gc/gogc:percent", "GOGC: how much the heap may grow until the next collection.",
     GA_METRIC_UINT64, 0, AT(gc.gogc)},
    {"/gc/gomemlimit:bytes", "The memory limit; 2^63 - 1: there is none.", GA_METRIC_UINT64, 0,
     AT(memory_limit)},
    {"/gc/heap/allocs-by-size:bytes", "Blocks allocated, by size class.", GA_METRIC_HISTOGRAM, 1,
     HISTOGRAM_ALLOCS},
    {"/gc/heap/allocs:bytes", "Bytes allocated since the start.", GA_METRIC_UINT64, 1,
     AT(alloc_bytes)},
    {"/gc/heap/allocs:objects", "Blocks allocated since the start.", GA_METRIC_UINT64, 1,
     AT(allocs)},
    {"/gc/heap/frees-by-size:bytes", "Blocks freed, by size class.", GA_METRIC_HISTOGRAM, 1,
     HISTOGRAM_FREES},
    {"/gc/heap/frees:bytes", "Bytes freed since the start, by the program or the collector.",
     GA_METRIC_UINT64, 1, AT(free_bytes)},
    {"/gc/heap/frees:objects", "Blocks freed since the start, by the program or the collector.",
     GA_METRIC_UINT64, 1, AT(frees)},
    {"/gc/heap/goal:bytes", "Heap size at which the collector aims to end its cycle.",
     GA_METRIC_UINT64, 0, AT(gc.goal)},
    {"/gc/heap/live:bytes", "Bytes that the last collection found in use.", GA_METRIC_UINT64, 0,
     AT(gc.live)},
    {"/gc/heap/objects:objects", "Blocks that the program holds.", GA_METRIC_UINT64, 0,
     AT(objects)},
    {"/gc/pauses:seconds", "As /sched/pauses/total/gc:seconds.", GA_METRIC_HISTOGRAM, 1,
     HISTOGRAM_PAUSES},
    {"/gc/scan/globals:bytes", "Bytes of other memory that the last collection looked through.",
     GA_METRIC_UINT64, 0, AT(gc.scan_globals)},
    {"/gc/scan/heap:bytes", "Bytes of the heap that the last collection looked through.",
     GA_METRIC_UINT64, 0, AT(gc.scan_heap)},
    {"/gc/scan/stack:bytes", "Bytes of stacks that the last collection looked through.",
     GA_METRIC_UINT64, 0, AT(gc.scan_stack)},
    {"/gc/scan/total:bytes", "Sum of all in /gc/scan.", GA_METRIC_UINT64, 0, AT(scan_total)},
    {"/goalloc/blocks/collapsed:bytes", "Bytes of the heap that were put on huge pages, ever.",
     GA_METRIC_UINT64, 1, AT(collapsed)},
    {"/goalloc/blocks/large:bytes", "Of the blocks that the program holds: those above 1 MB.",
     GA_METRIC_UINT64, 0, AT(large)},
    {"/goalloc/blocks/moved:blocks", "Large blocks that realloc moved without copying.",
     GA_METRIC_UINT64, 1, AT(moves)},
    {"/goalloc/heap/cached:bytes", "Of heap/unused: free blocks in threads' caches and depots.",
     GA_METRIC_UINT64, 0, AT(cached)},
    {"/goalloc/heap/depots:bytes", "Of heap/cached: free blocks in depots.", GA_METRIC_UINT64, 0,
     AT(depot)},
    {"/goalloc/heap/fragmentation:ratio", "The part of the held pages that isn't live blocks.",
     GA_METRIC_FLOAT64, 0, AT(fragmentation)},
    {"/goalloc/heap/span-free:bytes", "Of heap/unused: free blocks in spans.", GA_METRIC_UINT64, 0,
     AT(span_free)},
    {"/goalloc/heap/spans:spans", "Spans in use.", GA_METRIC_UINT64, 0, AT(spans)},
    {"/goalloc/process/resident:bytes", "The process's RSS. Takes three system calls.",
     GA_METRIC_UINT64, 0, AT_RESIDENT},
    {"/goalloc/scavenge/background:bytes", "Given back by the scavenger's own thread.",
     GA_METRIC_UINT64, 1, AT(released_background)},
    {"/goalloc/scavenge/eager:bytes", "Given back by the program's threads.", GA_METRIC_UINT64, 1,
     AT(released_eager)},
    {"/goalloc/system-calls:calls", "System calls that the library made.", GA_METRIC_UINT64, 1,
     AT(system_calls)},
    {"/goalloc/threads:threads", "Threads that have a cache.", GA_METRIC_UINT64, 0, AT(threads)},
    {"/memory/classes/heap/free:bytes", "Free pages that weren't given back: they count in RSS.",
     GA_METRIC_UINT64, 0, AT(heap_free)},
    {"/memory/classes/heap/objects:bytes", "Blocks that the program holds, with their rounding.",
     GA_METRIC_UINT64, 0, AT(heap_objects)},
    {"/memory/classes/heap/released:bytes",
     "Free memory given back to the kernel or never touched.", GA_METRIC_UINT64, 0,
     AT(heap_released)},
    {"/memory/classes/heap/stacks:bytes", "Coroutines' stacks, in use or pooled.", GA_METRIC_UINT64,
     0, AT(heap_stacks)},
    {"/memory/classes/heap/unused:bytes", "Of pages in use, what holds no block of the program's.",
     GA_METRIC_UINT64, 0, AT(heap_unused)},
    {"/memory/classes/metadata/mcache/free:bytes", "Caches that no thread has.", GA_METRIC_UINT64,
     0, AT(mcache_free)},
    {"/memory/classes/metadata/mcache/inuse:bytes", "Threads' caches, and all magazines.",
     GA_METRIC_UINT64, 0, AT(mcache_inuse)},
    {"/memory/classes/metadata/mspan/free:bytes", "Span structures not in use; mostly untouched.",
     GA_METRIC_UINT64, 0, AT(mspan_free)},
    {"/memory/classes/metadata/mspan/inuse:bytes", "Span structures in use.", GA_METRIC_UINT64, 0,
     AT(mspan_inuse)},
    {"/memory/classes/metadata/other:bytes",
     "Page tables and the collector's own; mostly untouched.", GA_METRIC_UINT64, 0,
     AT(metadata_other)},
    {"/memory/classes/os-stacks:bytes", "Stacks of threads that the library mapped itself.",
     GA_METRIC_UINT64, 0, AT(os_stacks)},
    {"/memory/classes/other:bytes", "What belongs to none of the others.", GA_METRIC_UINT64, 0,
     AT(other)},
    {"/memory/classes/profiling/buckets:bytes", "Tables of a profiler.", GA_METRIC_UINT64, 0,
     AT(profiling)},
    {"/memory/classes/total:bytes", "All that the library has mapped: the sum of these classes.",
     GA_METRIC_UINT64, 0, AT(total)},
    {"/sched/gomaxprocs:threads", "Threads that may run coroutines at once.", GA_METRIC_UINT64, 0,
     AT(coro.procs)},
    {"/sched/goroutines:goroutines", "Coroutines that live.", GA_METRIC_UINT64, 0,
     AT(coro.coroutines)},
    {"/sched/latencies:seconds", "How long coroutines that could run waited to run.",
     GA_METRIC_HISTOGRAM, 1, HISTOGRAM_LATENCIES},
    {"/sched/pauses/total/gc:seconds", "How long collections stopped the program.",
     GA_METRIC_HISTOGRAM, 1, HISTOGRAM_PAUSES},
};
#define ROWS (sizeof(rows) / sizeof(*rows))

/* --- Reading --- */

/* A program reads mostly in the table's order: `from` is tried first. */
static const struct row *find(const char *name, size_t from)
{
    for (size_t i = 0; name && i < ROWS; i++) {
        const struct row *row = &rows[(from + i) % ROWS];
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

static void read_row(const struct row *row, const struct snapshot *now, struct ga_metric *sample)
{
    const char *at = (const char *)now + row->at;
    sample->kind = (enum ga_metric_kind)row->kind;
    if (row->kind == GA_METRIC_HISTOGRAM)
        histogram_read((enum histogram_id)row->at, now, sample->histogram);
    else if (row->kind == GA_METRIC_FLOAT64)
        memcpy(&sample->value.f64, at, sizeof(sample->value.f64));
    else if (row->at == AT_RESIDENT)
        sample->value.u64 = os_resident_bytes();
    else
        memcpy(&sample->value.u64, at, sizeof(sample->value.u64));
}

void observe_metrics_read(struct ga_metric *samples, size_t n)
{
    size_t next = 0;
    if (n == 0)
        return;
    const struct snapshot *now = snapshot_begin();
    for (size_t i = 0; i < n; i++) {
        const struct row *row = find(samples[i].name, next);
        samples[i].kind = GA_METRIC_BAD;
        samples[i].value.u64 = 0;
        if (!row)
            continue;
        next = (size_t)(row - rows) + 1;
        read_row(row, now, &samples[i]);
    }
    snapshot_end();
}

/* --- The public table --- */

static struct ga_metric_description published[ROWS];

/* Relaxed: whoever gets the table has written all of it, or writes it now. */
static void publish(struct ga_metric_description *out, const struct row *row)
{
    __atomic_store_n(&out->name, row->name, __ATOMIC_RELAXED);
    __atomic_store_n(&out->description, row->description, __ATOMIC_RELAXED);
    __atomic_store_n(&out->kind, (enum ga_metric_kind)row->kind, __ATOMIC_RELAXED);
    __atomic_store_n(&out->cumulative, row->cumulative, __ATOMIC_RELAXED);
}

const struct ga_metric_description *observe_metrics_all(size_t *count)
{
    for (size_t i = 0; i < ROWS; i++)
        publish(&published[i], &rows[i]);
    if (count)
        *count = ROWS;
    return published;
}
