// SPDX-License-Identifier: MIT
/*
 * gc.c: the calls of goalloc/gc.h.
 *
 * Place: beside malloc.c, whose blocks these are. Calls src/gc.
 *
 * Locking: none of its own.
 */
#include <goalloc/gc.h>
#include <string.h>

#include "../coro/coro.h"
#include "../gc/barrier.h"
#include "../gc/gc.h"
#include "../gc/pacer.h"
#include "../gc/phases.h"
#include "../gc/special.h"
#include "../gc/types.h"
#include "internal.h"
#include "stand_in.h"

/* --- On and off --- */

static int percent_when_on = 100; /* GOGC while the collector is disabled */
static atomic_bool disabled;      /* relaxed: a switch of the program's */

/* NULL, or the word that ga_gc_write reads. */
unsigned *told_by_option(void)
{
    return options.gc_track == GC_TRACK_BARRIER ? &ga_gc_marking : NULL;
}

static int refuse(int reason)
{
    errno = reason;
    return -1;
}

static int enable(unsigned *told)
{
    if (stand_in())
        return refuse(ENOTSUP); /* a sanitizer or valgrind has the heap */
    if (options.gc == GC_AUDIT || options.gc == GC_LEAKS)
        return refuse(EBUSY);
    if (!gc_enable(GC_COLLECT, told))
        return refuse(ENOMEM);
    if (atomic_exchange_explicit(&disabled, false, memory_order_relaxed))
        gc_set_percent(percent_when_on);
    return 0;
}

GA_EXPORT int ga_gc_enable(void)
{
    return enable(told_by_option());
}

GA_EXPORT int ga_gc_enable_barriers(void)
{
    if (gc_on && !gc_barriers)
        return refuse(EBUSY); /* blocks that are written untold are there */
    return enable(&ga_gc_marking);
}

GA_EXPORT void ga_gc_disable(void)
{
    if (gc_on && !atomic_exchange_explicit(&disabled, true, memory_order_relaxed))
        percent_when_on = gc_set_percent(GC_PERCENT_OFF);
}

GA_EXPORT int ga_set_gc_percent(int percent)
{
    if (!atomic_load_explicit(&disabled, memory_order_relaxed))
        return gc_set_percent(percent);
    int before = percent_when_on;
    percent_when_on = percent;
    return before;
}

GA_EXPORT int ga_gc_collect(void)
{
    return gc_collect() ? 0 : -1;
}

/* --- Memory --- */

/* Up to here a few stores take less than a call of memset. */
#define ZERO_INLINE_MAX ((size_t)128)

/* Of a block whose class has room for it, in steps of 16. */
GA_INLINE void *zero_small(void *p, size_t size)
{
    typedef uint64_t pair __attribute__((vector_size(MIN_ALIGN), may_alias));
    if (GA_UNLIKELY(!p || size > ZERO_INLINE_MAX))
        return p ? memset(p, 0, size) : NULL;
    for (size_t i = 0; i < size; i += MIN_ALIGN) {
        *(pair *)((char *)p + i) = (pair){0};
        GA_FORGET(i); /* or the compiler makes it a call of memset */
    }
    return p;
}

static void *first_block(size_t size)
{
    if (!gc_on || size > SMALL_BYTE_MAX)
        return calloc(1, size);
    GA_STORE_ANY(gc_tight, true);
    return ga_gc_malloc(size);
}

/* Without the byte that malloc's blocks have behind them under a collector: one that points behind
 * such a block keeps it only from outside of the heap. */
GA_EXPORT void *ga_gc_malloc(size_t size)
{
    if (GA_UNLIKELY(gc_barriers))
        return typed_malloc(size, 0);
    if (GA_UNLIKELY(!GA_LOAD_ANY(gc_tight) || size > SMALL_BYTE_MAX))
        return first_block(size);
    unsigned class = size_class_of(size ? size - size_class_padding : 0);
    void *p;
    if (GA_UNLIKELY(!mcache_pop(mcache_self(), class, &p)))
        p = malloc_of_class(class);
    return zero_small(p, size);
}

GA_EXPORT void *ga_gc_malloc_atomic(size_t size)
{
    return gc_on ? noscan_malloc(size) : malloc_inline(size);
}

GA_EXPORT ga_gc_type ga_gc_type_new(size_t size, const uint64_t *pointers)
{
    return types_number(size, pointers);
}

GA_EXPORT void *ga_gc_malloc_typed(size_t size, ga_gc_type number)
{
    const struct gc_type *type = types_find(number);
    if (!type || size == 0 || size % (type->words * sizeof(void *)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    return gc_on ? typed_malloc(size, number) : calloc(1, size);
}

GA_EXPORT void *ga_gc_realloc(void *block, size_t size)
{
    return !block && gc_barriers ? ga_gc_malloc(size) : realloc(block, size);
}

GA_EXPORT void ga_gc_free(void *block)
{
    special_detach_all(block);
    free_inline(block);
}

/* --- Roots --- */

GA_EXPORT int ga_gc_add_root(const void *start, size_t size)
{
    return gc_add_root((uintptr_t)start, (uintptr_t)start + size) ? 0 : -1;
}

GA_EXPORT void ga_gc_remove_root(const void *start, size_t size)
{
    gc_remove_root((uintptr_t)start, (uintptr_t)start + size);
}

GA_EXPORT int ga_gc_pin(const void *block)
{
    return gc_pin(block) ? 0 : -1;
}

GA_EXPORT void ga_gc_unpin(const void *block)
{
    gc_unpin(block);
}

/* --- When a block is out of reach --- */

static int attach(const void *block, struct special_action action)
{
    if (gc_on && special_attach(block, action))
        return 0;
    errno = gc_on ? ENOMEM : ENOTSUP;
    return -1;
}

GA_EXPORT int ga_gc_set_finalizer(void *block, void (*finalize)(void *, void *), void *data)
{
    special_detach(block, SPECIAL_FINALIZER);
    if (!finalize)
        return 0;
    return attach(block, (struct special_action){
                             .kind = SPECIAL_FINALIZER, .finalize = finalize, .argument = data});
}

GA_EXPORT int ga_gc_add_cleanup(void *block, void (*clean)(void *), void *argument)
{
    return attach(block, (struct special_action){
                             .kind = SPECIAL_CLEANUP, .clean = clean, .argument = argument});
}

GA_EXPORT ga_gc_weak *ga_gc_weak_new(void *block)
{
    struct special_action action = {.kind = SPECIAL_WEAK};
    struct special *weak = gc_on ? special_attach(block, action) : NULL;
    if (!weak)
        errno = gc_on ? ENOMEM : ENOTSUP;
    return (ga_gc_weak *)weak;
}

GA_EXPORT void *ga_gc_weak_get(const ga_gc_weak *weak)
{
    return special_weak_get((struct special *)(uintptr_t)weak);
}

GA_EXPORT void ga_gc_weak_free(ga_gc_weak *weak)
{
    if (weak)
        special_weak_drop((struct special *)weak);
}

GA_EXPORT int ga_gc_link(void **word, const void *block)
{
    return attach(block, (struct special_action){.kind = SPECIAL_LINK, .argument = word});
}

/* --- Waiting --- */

/* A coroutine may go on on another thread. */
GA_EXPORT void *ga_gc_blocking(void *(*call)(void *), void *argument)
{
    return gc_on && !ga_self() ? gc_blocking(call, argument) : call(argument);
}

/* --- Where a cycle is --- */

GA_EXPORT int ga_gc_on_phase(void (*call)(enum ga_gc_phase, void *), void *argument)
{
    if (call && gc_on && phases_add(call, argument))
        return 0;
    errno = !call ? EINVAL : gc_on ? ENOMEM : ENOTSUP;
    return -1;
}

GA_EXPORT void ga_gc_off_phase(void (*call)(enum ga_gc_phase, void *), void *argument)
{
    if (call)
        phases_remove(call, argument);
}

/* --- Figures --- */

GA_EXPORT void ga_gc_stats(struct ga_gc_stats *out, size_t size)
{
    struct gc_stats stats;
    gc_read_stats(&stats);
    struct ga_gc_stats now = {
        .cycles = stats.cycles,
        .abandoned = stats.abandoned,
        .live_bytes = stats.live_bytes,
        .live_blocks = stats.live_objects,
        .freed_bytes = stats.freed_bytes,
        .freed_blocks = stats.freed_objects,
        .goal = stats.goal,
        .root_bytes = stats.root_bytes,
        .stopped_ns = stats.stop_total,
        .longest_stop_ns = stats.stop_longest,
        .false_frees = stats.false_frees,
        .tracked = stats.ways[WAY_TRACKED],
        .snapshots = stats.ways[WAY_SNAPSHOT],
        .by_barriers = stats.ways[WAY_BARRIERS],
        .in_stops = stats.ways[WAY_STOPPED],
    };
    memset(out, 0, size);
    memcpy(out, &now, size < sizeof(now) ? size : sizeof(now));
}
