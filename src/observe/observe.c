// SPDX-License-Identifier: MIT
/*
 * observe.c: the figures, computed when they are asked for.
 *
 * Place: src/libc's introspection and the report at exit. Calls every folder's *_read_stats.
 *
 * Nothing counts on malloc's or free's path. What the program holds is what the spans have given
 * out less what lies in magazines.
 *
 * Locking: each part's own, one after the other; figures of different parts may be of different
 * moments, so differences are clamped at zero.
 */
#include "../mcache/mcache.h"
#include "../mcentral/mcentral.h"
#include "../mheap/mheap.h"
#include "../os/os.h"
#include "observe.h"

static size_t minus(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

static void class_from(unsigned class, const struct mcache_stats *caches, struct class_stats *out)
{
    struct mcentral_stats central;
    mcentral_read_stats(class, &central);
    out->spans = central.spans;
    out->cached = central.objects_in_depot + caches->objects[class];
    out->live = minus(central.objects_out, out->cached);
}

void observe_class(unsigned class, struct class_stats *out)
{
    struct mcache_stats caches;
    mcache_read_stats(&caches);
    class_from(class, &caches, out);
}

void observe_all(struct ga_stats *out)
{
    struct mcache_stats caches;
    struct mheap_stats heap;
    *out = (struct ga_stats){0};
    mcache_read_stats(&caches);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct class_stats stats;
        class_from(class, &caches, &stats);
        out->live += stats.live * size_classes[class].size;
        out->cached += stats.cached * size_classes[class].size;
        out->live_blocks += stats.live;
        out->spans += stats.spans;
    }
    mheap_read_stats(&heap);
    out->mapped = heap.mapped;
    out->in_use = heap.in_use;
    out->live += heap.large;
    out->live_blocks += heap.large_blocks;
    out->spans += heap.large_blocks;
    out->span_free = minus(out->in_use, out->live + out->cached);
    out->free_dirty = heap.free_dirty;
    out->free_released = minus(heap.mapped, heap.in_use + heap.free_dirty);
    out->large = heap.large;
    out->metadata = heap.meta;
    out->moved_blocks = heap.moves;
    out->threads = caches.caches - caches.idle;
    out->system_calls = os_system_calls();
}
