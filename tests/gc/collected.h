// SPDX-License-Identifier: MIT
/*
 * collected.h: what the programs under tests/gc share.
 *
 * Each runs under the preload with GOALLOC=gc=collect, and is otherwise as those of tests/process.
 * They ask whether a block is alive by what lies in it after a cycle: blocks that were freed are
 * allocated again and overwritten.
 */
#ifndef GOALLOC_GC_COLLECTED_H
#define GOALLOC_GC_COLLECTED_H

#include <goalloc/gc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../process/promise.h"

/* The library's calls, which the programs aren't linked with. */
static int (*collect)(void);
static void (*read_gc_stats)(struct ga_gc_stats *, size_t);

static inline void find_call(const char *name, void *into)
{
    void *symbol = library_symbol(name);
    memcpy(into, &symbol, sizeof(symbol));
}

static inline struct ga_gc_stats gc_stats_now(void)
{
    struct ga_gc_stats stats;
    read_gc_stats(&stats, sizeof(stats));
    return stats;
}

/* A pointer that the collector can't see. */
typedef uintptr_t hidden;
#define HIDE ((uintptr_t)0x5555555555555555)
static inline hidden hide(const void *p)
{
    return (uintptr_t)p ^ HIDE;
}
static inline void *unhide(hidden h)
{
    return (void *)(h ^ HIDE);
}

/* Overwrites what calls have left on the stack below this frame, and in registers. */
__attribute__((noinline)) static void clear_stack(void)
{
    volatile char waste[32768];
    for (size_t i = 0; i < sizeof(waste); i++)
        waste[i] = 0;
    __asm__ volatile("" ::: "memory");
}

static inline void full_cycle(void)
{
    clear_stack();
    expect(collect() == 0, "expected a cycle to succeed");
}

/* --- While cycles run back to back --- */

static atomic_bool stop_cycles;

__attribute__((unused)) static void *collect_for_ever(void *unused)
{
    while (!atomic_load(&stop_cycles))
        expect(collect() == 0, "expected a cycle to succeed");
    return unused;
}

__attribute__((unused)) static void during_cycles(void (*work)(void))
{
    pthread_t thread;
    atomic_store(&stop_cycles, false);
    pthread_create(&thread, NULL, collect_for_ever, NULL);
    work();
    atomic_store(&stop_cycles, true);
    pthread_join(thread, NULL);
}

#define PATTERN UINT64_C(0x60a110c060a110c0)

/* A block filled with a pattern that nothing else writes. */
__attribute__((noinline, unused)) static void *make_block(size_t size)
{
    uint64_t *words = malloc(size);
    expect(words != NULL, "expected %zu bytes", size);
    for (size_t i = 0; i < size / 8; i++)
        words[i] = PATTERN ^ i;
    return words;
}

__attribute__((noinline, unused)) static bool is_whole(hidden h, size_t size)
{
    const uint64_t *words = unhide(h);
    for (size_t i = 0; i < size / 8; i++)
        if (words[i] != (PATTERN ^ i))
            return false;
    return true;
}

/* Allocates all that is free of a size and more, and overwrites it, so that a block that was freed
 * has other contents afterwards. */
__attribute__((noinline, unused)) static void overwrite_free(size_t size)
{
    enum { MANY = 20000 };
    static void *blocks[MANY];
    size_t count = size > 65536 ? 12 : size > 1024 ? 1000 : MANY;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(size);
        memset(blocks[i], 0x11, size);
    }
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    memset(blocks, 0, sizeof(blocks));
}

/* Every cycle up to here was marked in the way that gc_track= has it; where it says nothing there's
 * a best way, which the kernel may not have. */
__attribute__((unused)) static void expect_forced_way(void)
{
    struct ga_gc_stats stats = gc_stats_now();
    const char *options = getenv("GOALLOC");
    expect(stats.tracked + stats.snapshots + stats.by_barriers + stats.in_stops == stats.cycles,
           "expected each of %zu cycles to have gone one way", stats.cycles);
    /* On a busy machine a copy may have to wait for its processor for too long. */
    if (options && strstr(options, "gc_track=off"))
        expect(stats.tracked == 0 && stats.snapshots >= stats.cycles - stats.cycles / 4,
               "expected %zu cycles in copies, not %zu", stats.cycles, stats.snapshots);
    if (options && strstr(options, "gc_track=stop"))
        expect(stats.in_stops == stats.cycles, "expected %zu cycles in stops, not %zu",
               stats.cycles, stats.in_stops);
    if (options && strstr(options, "gc_track=barrier"))
        expect(stats.by_barriers == stats.cycles, "expected %zu cycles by barriers, not %zu",
               stats.cycles, stats.by_barriers);
}

static inline void gc_promise_begin(unsigned seconds)
{
    promise_begin(seconds);
    find_call("ga_gc_collect", &collect);
    find_call("ga_gc_stats", &read_gc_stats);
}

/* A cycle, then the block must be as it was. */
static inline void expect_alive(hidden h, size_t size, const char *where)
{
    full_cycle();
    overwrite_free(size);
    expect(is_whole(h, size), "expected a block of %zu bytes to live by a pointer in %s", size,
           where);
}

#endif
