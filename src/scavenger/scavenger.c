// SPDX-License-Identifier: MIT
/*
 * scavenger.c: looking at the heap, and giving back what the pacer says.
 *
 * Place: src/libc's slow paths and malloc_trim call it, and thread.c. Calls src/mcache and
 * src/mcentral to return objects to their spans, so that empty spans become free pages, and
 * src/mheap to release those.
 *
 * While memory is let go the depots are kept lean, so that objects return to their spans at once.
 * Loaded magazines are their threads' own.
 *
 * Invariants: one thread at a time is in a step; another that comes meanwhile goes on at once.
 * Locking: the step's lock is only ever tried, so that no slow path waits here; inside it those of
 * the other folders, one at a time. Fork: the child forgets a step that the parent was in.
 */
#include "../mcache/mcache.h"
#include "../mcentral/mcentral.h"
#include "../mheap/mheap.h"
#include "../options/options.h"
#include "../os/os.h"
#include "internal.h"
#include "pacer.h"

/* A step is worth its while when this much, or a quarter of all, was freed since the last. */
#define STEP_BYTES ((size_t)1 << 20)

/* Depots stay lean for this long after the last release. */
#define LEAN_FOR PACER_SECOND

/* The slow paths read the first three without a lock; a stale value costs a step more or less. */
static struct {
    size_t next_free;     /* look again when this much is free */
    size_t regret_level;  /* or this much in use */
    uint64_t due;         /* or at this time; 0: not for that */
    atomic_bool stepping; /* a thread is in a step; acquire and release */
    struct pacer pacer;   /* guarded by stepping */
    bool started;         /* the pacer is set up; guarded by stepping */
} scavenger = {.next_free = STEP_BYTES, .regret_level = SIZE_MAX};

static size_t minus(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/* --- Steps --- */

static void trim_depots(void)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        mcentral_trim(class, LEAN_DEPOT);
}

/* What lies in depots counts as free; of the peak, what lay there all the time. */
static void take_sample(struct pacer_sample *sample)
{
    struct mheap_levels levels;
    size_t depots = mcentral_depot_bytes();
    mheap_read_levels(&levels);
    sample->now = os_nanotime();
    sample->in_use = minus(levels.in_use, depots);
    sample->free = levels.free_dirty + depots;
    sample->peak = minus(mheap_take_peak(), mcentral_take_depot_least());
    sample->peak = sample->peak > sample->in_use ? sample->peak : sample->in_use;
}

static void set_next_look(const struct pacer_sample *sample, uint64_t due)
{
    size_t quarter = sample->free / 4;
    GA_STORE_ANY(scavenger.next_free, sample->free + (quarter > STEP_BYTES ? quarter : STEP_BYTES));
    GA_STORE_ANY(scavenger.regret_level, pacer_regret_level(&scavenger.pacer));
    GA_STORE_ANY(scavenger.due, due);
}

static uint64_t step(void)
{
    struct pacer_sample sample;
    take_sample(&sample);
    if (!scavenger.started) {
        pacer_init(&scavenger.pacer, sample.now);
        scavenger.started = true;
    }
    size_t bytes = pacer_decide(&scavenger.pacer, &sample);
    mcentral_set_lean(bytes > 0);
    if (bytes) {
        trim_depots();
        size_t released = mheap_release(bytes);
        pacer_released(&scavenger.pacer, &sample, bytes, released);
        sample.free = minus(sample.free, released);
        /* Draining depots isn't use: what is seen from here on begins now. */
        mheap_take_peak();
        mcentral_take_depot_least();
    }
    uint64_t due = pacer_due(&scavenger.pacer, &sample);
    if (bytes && !due)
        due = sample.now + LEAN_FOR;
    set_next_look(&sample, due);
    return due;
}

uint64_t scavenger_step(void)
{
    if (atomic_exchange_explicit(&scavenger.stepping, true, memory_order_acquire))
        return os_nanotime() + PACER_SECOND / 20;
    uint64_t due = step();
    atomic_store_explicit(&scavenger.stepping, false, memory_order_release);
    return due;
}

static bool is_time(void)
{
    struct mheap_levels levels;
    size_t depots = mcentral_depot_bytes();
    mheap_read_levels(&levels);
    if (minus(levels.in_use, depots) > GA_LOAD_ANY(scavenger.regret_level) ||
        levels.free_dirty + depots > GA_LOAD_ANY(scavenger.next_free))
        return true;
    uint64_t due = GA_LOAD_ANY(scavenger.due);
    return due && os_nanotime() >= due;
}

void scavenger_tick(void)
{
    if (GA_LIKELY(!is_time()) || !options.scavenge)
        return;
    if (scavenger_step())
        scavenger_want_thread();
}

/* --- Everything, now --- */

void scavenger_drain(void)
{
    mcache_flush_self();
    mcache_flush_idle();
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        mcentral_trim(class, 0);
}

size_t scavenger_release_all(size_t keep)
{
    struct mheap_levels levels;
    scavenger_drain();
    mheap_read_levels(&levels);
    return levels.free_dirty > keep ? mheap_release(levels.free_dirty - keep) : 0;
}

void scavenger_forget_step(void)
{
    atomic_store_explicit(&scavenger.stepping, false, memory_order_relaxed);
}
