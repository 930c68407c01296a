// SPDX-License-Identifier: MIT
/*
 * snapshot.c: all figures of one moment, computed when they are asked for.
 *
 * Place: the other files of this folder. Calls every folder's *_read_stats.
 *
 * Nothing counts on malloc's or free's path. Blocks allocated and freed are what magazines, spans
 * and large blocks saw pass (struct mcache_stats); what the program holds is the difference.
 *
 * Invariants:
 *   - the memory classes sum to `total`, whatever other threads do meanwhile: the heap's figures
 * are read under one lock, and what is made of several parts' figures is the remainder of a sum;
 *   - allocs and frees never fall from one snapshot to the next (never_falling), and their
 *     difference is what is live.
 * Locking: `lock` guards the snapshot, which is too large for a small thread's stack, and what is
 * kept from one to the next. It comes before all others; each part's own are taken inside it, one
 * after the other. Fork: it is frozen with the rest.
 */
#include <string.h>

#include "../hardened/hardened.h"
#include "../mcache/mcache.h"
#include "../mcentral/mcentral.h"
#include "../mheap/mheap.h"
#include "../options/options.h"
#include "../os/lock.h"
#include "../os/os.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

struct counts {
    uint64_t allocs, frees;
    uint64_t undone; /* blocks seen allocated and freed that no magazine has counted */
};

static struct lock lock;
static struct snapshot snapshot;             /* guarded by lock */
static struct mcache_stats caches;           /* what it is made of; guarded by lock */
static struct counts last[SIZE_CLASS_COUNT]; /* of the snapshot before; guarded by lock */

/* --- Blocks --- */

/*
 * What a loaded magazine has served so far the next calls may undo: it is then as if neither had
 * been. Where this was seen, it stays counted.
 */
static void never_falling(struct counts *before, struct class_figures *now)
{
    uint64_t allocs = minus(before->allocs, now->allocs + before->undone);
    uint64_t frees = minus(before->frees, now->frees + before->undone);
    before->undone += allocs > frees ? allocs : frees;
    now->allocs += before->undone;
    now->frees += before->undone;
    before->allocs = now->allocs;
    before->frees = now->frees;
}

/* Returns how many of the cached objects lie in the depot. */
static uint64_t read_class(unsigned class, struct class_figures *out, struct snapshot *sums)
{
    struct mcentral_stats central;
    mcentral_read_stats(class, &central);
    out->spans = central.spans;
    out->allocs = caches.allocs[class] + central.allocs;
    out->frees = caches.frees[class] + central.frees;
    /* More was freed than allocated: the counts are of two moments. */
    out->allocs += minus(out->frees, out->allocs);
    out->live = out->allocs - out->frees;
    out->cached = minus(central.objects_out, out->live);
    sums->mcache_inuse += central.magazines * magazine_footprint(class);
    return central.objects_in_depot;
}

static void read_classes(struct snapshot *out)
{
    mcache_read_stats(&caches);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        uint64_t in_depot = read_class(class, &out->classes[class], out);
        out->depot += in_depot * size_classes[class].size;
    }
    out->threads = caches.caches - caches.idle;
    out->mcache_inuse += out->threads * mcache_footprint();
    out->mcache_free = caches.idle * mcache_footprint();
}

/* Class 0 are the large blocks, whose sizes differ: their bytes are counted apart. */
static void add_up_classes(struct snapshot *out)
{
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++) {
        const struct class_figures *figures = &out->classes[class];
        uint64_t size = class ? size_classes[class].size : 0;
        out->heap_objects += figures->live * size;
        out->cached += figures->cached * size;
        out->alloc_bytes += figures->allocs * size;
        out->free_bytes += figures->frees * size;
        out->objects += figures->live;
        out->allocs += figures->allocs;
        out->frees += figures->frees;
        out->spans += figures->spans;
    }
}

static void raise_counts(struct snapshot *out)
{
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++)
        never_falling(&last[class], &out->classes[class]);
}

/* --- Memory --- */

static void set_large(const struct mheap_stats *heap, struct snapshot *out)
{
    struct class_figures *figures = &out->classes[0];
    figures->spans = figures->live = heap->large_blocks;
    figures->allocs = heap->large_allocs;
    figures->frees = heap->large_allocs - heap->large_blocks;
    out->large = out->heap_objects = heap->large;
    out->alloc_bytes = heap->large_alloc_bytes;
    out->free_bytes = heap->large_alloc_bytes - heap->large;
}

/* The heap's figures are of one moment; what is live and cached may be of another one. */
static void divide_heap(const struct mheap_stats *heap, struct snapshot *out)
{
    out->mapped = heap->mapped;
    out->in_use = heap->in_use - heap->holes;
    out->heap_free = heap->free_dirty;
    out->heap_released = heap->mapped - out->in_use - heap->free_dirty;
    if (out->heap_objects > out->in_use)
        out->heap_objects = out->in_use;
    out->heap_unused = out->in_use - out->heap_objects;
    if (out->cached > out->heap_unused)
        out->cached = out->heap_unused;
    out->depot = out->depot < out->cached ? out->depot : out->cached;
    out->span_free = out->heap_unused - out->cached;
    out->moves = heap->moves;
    out->collapsed = heap->collapsed;
}

static void divide_metadata(const struct mheap_stats *heap, struct snapshot *out)
{
    out->mspan_inuse = out->spans * sizeof(struct span);
    if (out->mspan_inuse > heap->span_bytes)
        out->mspan_inuse = heap->span_bytes;
    out->mspan_free = heap->span_bytes - out->mspan_inuse;
    uint64_t of_caches = out->mcache_inuse + out->mcache_free;
    out->metadata_other = minus(heap->meta, heap->span_bytes + of_caches) + out->gc.memory;
    out->heap_stacks = out->coro.stack_sys;
    out->os_stacks = out->coro.os_stacks;
    out->other = out->coro.memory;
}

static uint64_t sum_of_classes(const struct snapshot *out)
{
    return out->heap_objects + out->heap_unused + out->heap_free + out->heap_released +
           out->heap_stacks + out->mcache_inuse + out->mcache_free + out->mspan_inuse +
           out->mspan_free + out->metadata_other + out->os_stacks + out->other + out->profiling;
}

static void read_scavenger(const struct mheap_stats *heap, struct snapshot *out)
{
    uint64_t background = scavenger_released_in_background();
    out->released_background = background < heap->released ? background : heap->released;
    out->released_eager = heap->released - out->released_background;
}

/* GOALLOC=hardened has blocks of its own; what came and went of them isn't counted. */
static void add_hardened(struct snapshot *out)
{
    struct hardened_stats stats;
    hardened_read_stats(&stats);
    out->heap_objects += stats.live;
    out->cached += stats.cached;
    out->alloc_bytes += stats.live;
    out->objects += stats.blocks;
    out->allocs += stats.blocks;
    out->spans += stats.spans;
}

static void take(struct snapshot *out)
{
    struct mheap_stats heap;
    memset(out, 0, sizeof(*out));
    read_classes(out);
    mheap_read_stats(&heap);
    set_large(&heap, out);
    raise_counts(out);
    add_up_classes(out);
    add_hardened(out);
    provider_read(&out->gc, &out->coro);
    divide_heap(&heap, out);
    divide_metadata(&heap, out);
    out->total = sum_of_classes(out);
    if (out->in_use + out->heap_free)
        out->fragmentation = 1 - (double)out->heap_objects / (double)(out->in_use + out->heap_free);
    read_scavenger(&heap, out);
    out->system_calls = os_system_calls();
    out->memory_limit = options.memory_limit < INT64_MAX ? options.memory_limit : INT64_MAX;
    out->gc_cycles = out->gc.cycles_automatic + out->gc.cycles_forced;
    out->scan_total = out->gc.scan_globals + out->gc.scan_heap + out->gc.scan_stack;
}

const struct snapshot *snapshot_begin(void)
{
    lock_acquire(&lock);
    take(&snapshot);
    return &snapshot;
}

void snapshot_end(void)
{
    lock_release(&lock);
}

void observe_snapshot(struct snapshot *out)
{
    memcpy(out, snapshot_begin(), sizeof(*out));
    snapshot_end();
}

/* --- Fork --- */

void observe_lock_for_fork(void)
{
    lock_freeze(&lock);
}

void observe_unlock_after_fork(void)
{
    lock_thaw(&lock);
}

void observe_reset_in_child(void)
{
    lock_reset(&lock);
}
