// SPDX-License-Identifier: MIT
/*
 * mem_stats.c: the figures as Go's MemStats, and as ga_stats.
 *
 * Place: src/libc's ga_read_mem_stats and ga_stats. Calls snapshot.c.
 * Locking, fork: see snapshot.c.
 */
#include <string.h>

#include "internal.h"

_Static_assert(SIZE_CLASS_COUNT <= GA_BY_SIZE_MAX, "by_size has room for every class");

static void set_by_size(const struct snapshot *now, struct ga_mem_stats *out)
{
    out->by_size_count = SIZE_CLASS_COUNT;
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++) {
        struct ga_by_size *row = &out->by_size[class];
        row->size = class ? size_classes[class].size : 0;
        row->mallocs = now->classes[class].allocs;
        row->frees = now->classes[class].frees;
    }
}

static void set_heap(const struct snapshot *now, struct ga_mem_stats *out)
{
    out->alloc = out->heap_alloc = now->heap_objects;
    out->total_alloc = now->alloc_bytes;
    out->sys = now->total;
    out->mallocs = now->allocs;
    out->frees = now->frees;
    out->heap_sys = now->mapped;
    out->heap_idle = now->mapped - now->in_use;
    out->heap_inuse = now->in_use;
    out->heap_released = now->heap_released;
    out->heap_objects = now->objects;
}

static void set_others(const struct snapshot *now, struct ga_mem_stats *out)
{
    out->stack_inuse = now->coro.stack_inuse;
    out->stack_sys = now->heap_stacks + now->os_stacks;
    out->mspan_inuse = now->mspan_inuse;
    out->mspan_sys = now->mspan_inuse + now->mspan_free;
    out->mcache_inuse = now->mcache_inuse;
    out->mcache_sys = now->mcache_inuse + now->mcache_free;
    out->buck_hash_sys = now->profiling;
    out->gc_sys = now->gc.memory;
    out->other_sys = now->metadata_other - now->gc.memory + now->other;
}

static void set_gc(const struct snapshot *now, struct ga_mem_stats *out)
{
    out->next_gc = now->gc.goal;
    out->last_gc = now->gc.last_end;
    out->pause_total_ns = now->gc.pause_total;
    out->num_gc = now->gc_cycles;
    out->num_forced_gc = now->gc.cycles_forced;
    out->gc_cpu_fraction = now->gc.cpu_fraction;
    out->enable_gc = now->gc.enabled;
    provider_read_pauses(out->pause_ns, out->pause_end);
}

void observe_mem_stats(struct ga_mem_stats *out)
{
    memset(out, 0, sizeof(*out));
    const struct snapshot *now = snapshot_begin();
    set_heap(now, out);
    set_others(now, out);
    set_gc(now, out);
    set_by_size(now, out);
    snapshot_end();
}

void observe_all(struct ga_stats *out)
{
    const struct snapshot *now = snapshot_begin();
    *out = (struct ga_stats){
        .mapped = now->mapped,
        .in_use = now->in_use,
        .live = now->heap_objects,
        .cached = now->cached,
        .span_free = now->span_free,
        .free_dirty = now->heap_free,
        .free_released = now->heap_released,
        .large = now->large,
        .metadata = now->mcache_inuse + now->mcache_free + now->mspan_inuse + now->mspan_free +
                    now->metadata_other,
        .live_blocks = now->objects,
        .spans = now->spans,
        .threads = now->threads,
        .system_calls = now->system_calls,
        .moved_blocks = now->moves,
    };
    snapshot_end();
}

void observe_free_blocks(struct observe_blocks *out)
{
    const struct snapshot *now = snapshot_begin();
    *out = (struct observe_blocks){.large = now->classes[0].live};
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        const struct class_figures *figures = &now->classes[class];
        out->free += minus(figures->spans * size_classes[class].objects, figures->live);
        out->cached += figures->cached;
    }
    snapshot_end();
}
