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
#include "../mheap/marks.h"
#include "../options/options.h"
#include "../os/os.h"
#include "collapse.h"
#include "holes.h"
#include "internal.h"
#include "limit.h"
#include "pacer.h"

/* A step is worth its while when this much, or a quarter of all, was freed since the last. */
#define STEP_BYTES ((size_t)1 << 20)

/* Depots stay lean for this long after the last release. */
#define LEAN_FOR PACER_SECOND

/* Depots are looked at this often, while they hold something. */
#define DEPOTS_AFTER (PACER_SECOND / 4)

/* A thread that hasn't come by a slow path for this long is taken to sleep. */
#define SLEEPER_AFTER (2 * PACER_SECOND)

/* The slow paths read the first five without a lock; a stale value costs a step more or less. */
static struct {
    size_t next_free;     /* look again when this much is free */
    size_t regret_level;  /* or this much in use */
    uint64_t due;         /* or at this time; 0: not for that */
    uint64_t depots_due;  /* look at the depots at this time; 0: they hold little */
    size_t limit_level;   /* look at the limit when this much is held */
    atomic_bool stepping; /* a thread is in a step; acquire and release */
    struct pacer pacer;   /* guarded by stepping */
    struct limit limit;   /* guarded by stepping; its counts are read without */
    uint64_t sleepers_at; /* when to look for sleeping threads; guarded by stepping */
    size_t steps;         /* that released something; guarded by stepping, read without */
    bool started;         /* the pacer is set up; guarded by stepping */
} scavenger = {.next_free = STEP_BYTES,
               .regret_level = SIZE_MAX,
               .limit_level = SIZE_MAX,
               .limit = {.bytes = SIZE_MAX}};

static size_t minus(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/* --- The limit --- */

static size_t held_bytes(void)
{
    struct mheap_levels levels;
    mheap_read_levels(&levels);
    return minus(levels.in_use + levels.free_dirty, levels.holes) + mheap_own_bytes();
}

bool scavenger_is_limit_near(void)
{
    size_t level = GA_LOAD_ANY(scavenger.limit_level);
    return GA_UNLIKELY(level != SIZE_MAX) && held_bytes() > level;
}

static void take_limit_sample(struct limit_sample *sample)
{
    struct mheap_levels levels;
    mheap_read_levels(&levels);
    sample->now = os_nanotime();
    sample->free = levels.free_dirty;
    sample->held = held_bytes();
}

static void release_for_limit(struct limit_sample *sample)
{
    take_limit_sample(sample);
    size_t bytes = limit_release(&scavenger.limit, sample);
    if (!bytes)
        return;
    scavenger_trace(RELEASE_EAGER, mheap_release(bytes));
    take_limit_sample(sample);
}

/* Released first, then drained: a release is soon regretted where objects would have served, but a
 * drain costs every thread its cache. */
static void keep_limit(void)
{
    struct limit_sample sample;
    release_for_limit(&sample);
    if (limit_drain_due(&scavenger.limit, &sample)) {
        uint64_t began = sample.now;
        if (options.scavenge) { /* whose steps end it again */
            mcentral_set_lean(true);
            GA_STORE_ANY(scavenger.due, began + LEAN_FOR);
        }
        mcache_take_from_sleepers(true);
        scavenger_drain();
        holes_hurry();
        release_for_limit(&sample);
        limit_drained(&scavenger.limit, began, os_nanotime());
    }
    limit_watch(&scavenger.limit, &sample);
    GA_STORE_ANY(scavenger.limit_level, limit_level(&scavenger.limit));
}

void scavenger_set_limit(uint64_t bytes)
{
    scavenger.limit.bytes = bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
    GA_STORE_ANY(scavenger.limit_level, limit_level(&scavenger.limit));
}

/* --- Steps --- */

void (*scavenger_trim_too)(bool all);

static void trim_depots(bool all)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        mcentral_trim(class, 0);
    if (scavenger_trim_too)
        scavenger_trim_too(all);
}

static void take_from_sleepers(uint64_t now)
{
    if (now < scavenger.sleepers_at)
        return;
    mcache_take_from_sleepers(false);
    scavenger.sleepers_at = now + SLEEPER_AFTER;
}

/* One object in a magazine keeps its span's pages: when memory goes, caches go first. */
static void drain_for_release(uint64_t now)
{
    take_from_sleepers(now);
    mcache_flush_self();
    trim_depots(false);
}

static size_t kept_for_collector(uint64_t now)
{
    uint64_t until = atomic_load_explicit(&mheap_marks.expected_until, memory_order_relaxed);
    return now < until ? atomic_load_explicit(&mheap_marks.expected, memory_order_relaxed) : 0;
}

/* What lies in depots counts as free; of the peak, what lay there all the time. */
static void take_sample(struct pacer_sample *sample)
{
    struct mheap_levels levels;
    size_t depots = mcentral_depot_bytes();
    mheap_read_levels(&levels);
    sample->now = os_nanotime();
    sample->kept = kept_for_collector(sample->now);
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

/* After the last look, or now that the depots hold something. */
static void set_depots_due(uint64_t now)
{
    bool much = mcentral_depot_bytes() > STEP_BYTES;
    GA_STORE_ANY(scavenger.depots_due, much ? now + DEPOTS_AFTER : 0);
}

/* Below this, a regret is taken as it comes. */
#define DOUBT_BYTES ((size_t)8 << 20)

/* Where much was released and the heap seems to have grown back, it may be caches alone that grew,
 * and what they keep: what goes when they are emptied is taken off the peak. */
static void doubt_regret(struct pacer_sample *sample)
{
    bool regrets = sample->peak > pacer_regret_level(&scavenger.pacer);
    if (!regrets || scavenger.pacer.released < DOUBT_BYTES)
        return;
    struct pacer_sample before = *sample;
    drain_for_release(sample->now);
    mheap_take_peak();
    mcentral_take_depot_least();
    take_sample(sample);
    size_t peak = minus(before.peak, minus(before.in_use, sample->in_use));
    sample->peak = peak > sample->peak ? peak : sample->peak;
}

static uint64_t step(bool in_background)
{
    struct pacer_sample sample;
    take_sample(&sample);
    doubt_regret(&sample);
    if (!scavenger.started) {
        pacer_init(&scavenger.pacer, sample.now);
        scavenger.started = true;
    }
    size_t bytes = pacer_decide(&scavenger.pacer, &sample);
    mcentral_set_lean(bytes > 0 || scavenger_is_limit_near());
    if (bytes) {
        drain_for_release(sample.now);
        GA_STORE_ANY(scavenger.steps, scavenger.steps + 1);
        size_t released = mheap_release(bytes);
        scavenger_trace(in_background ? RELEASE_BACKGROUND : RELEASE_EAGER, released);
        pacer_released(&scavenger.pacer, &sample, bytes, released);
        sample.free = minus(sample.free, released);
        /* Draining depots isn't use: what is seen from here on begins now. */
        mheap_take_peak();
        mcentral_take_depot_least();
    }
    if (!scavenger.depots_due)
        set_depots_due(sample.now);
    uint64_t due = pacer_due(&scavenger.pacer, &sample);
    if (bytes && !due)
        due = sample.now + LEAN_FOR;
    set_next_look(&sample, due);
    return due;
}

static bool begin_step(void)
{
    return !atomic_exchange_explicit(&scavenger.stepping, true, memory_order_acquire);
}

/* After the step that another thread is in; they are short. */
static bool begin_step_soon(void)
{
    for (unsigned tries = 0; tries < 100; tries++) {
        if (begin_step())
            return true;
        os_pause(PACER_SECOND / 10000);
    }
    return false;
}

static void end_step(void)
{
    atomic_store_explicit(&scavenger.stepping, false, memory_order_release);
}

uint64_t scavenger_step(bool in_background)
{
    if (!begin_step())
        return os_nanotime() + PACER_SECOND / 20;
    if (scavenger_is_limit_near())
        keep_limit();
    uint64_t due = step(in_background);
    uint64_t holes_due = holes_step(in_background ? RELEASE_BACKGROUND : RELEASE_EAGER);
    end_step();
    return !due || (holes_due && holes_due < due) ? holes_due : due;
}

static bool is_time(const struct mheap_levels *levels)
{
    size_t depots = mcentral_depot_bytes();
    if (minus(levels->in_use, depots) > GA_LOAD_ANY(scavenger.regret_level) ||
        levels->free_dirty + depots > GA_LOAD_ANY(scavenger.next_free))
        return true;
    uint64_t due = GA_LOAD_ANY(scavenger.due);
    return due && os_coarse_nanotime() >= due;
}

static bool is_depot_time(void)
{
    uint64_t due = GA_LOAD_ANY(scavenger.depots_due);
    return due && os_coarse_nanotime() >= due;
}

/*
 * Has what lay in depots and caches all the time since the last look go back to the spans. An
 * object that lies there keeps its whole span: where sizes come and go in turn, what each leaves
 * behind would add up to many times what is in use. Time in which nobody came by says nothing of
 * what is needed.
 */
GA_COLD static void trim_unneeded(void)
{
    if (!begin_step())
        return;
    uint64_t now = os_nanotime();
    if (now < scavenger.depots_due + DEPOTS_AFTER) {
        for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
            mcentral_trim_unneeded(class);
        mcache_request(MCACHE_FLUSH_UNUSED);
    }
    set_depots_due(now);
    end_step();
}

GA_COLD static void tick_at_limit(void)
{
    if (!begin_step())
        return;
    keep_limit();
    end_step();
}

/* Whether more is to come. */
GA_COLD static bool tick_holes(void)
{
    if (!begin_step())
        return false;
    uint64_t due = holes_step(RELEASE_EAGER);
    end_step();
    return due != 0;
}

void scavenger_tick(void)
{
    if (GA_UNLIKELY(is_depot_time()))
        trim_unneeded();
    if (GA_UNLIKELY(mcache_is_asked()))
        mcache_meet_requests();
    if (GA_UNLIKELY(scavenger_is_limit_near()))
        tick_at_limit();
    if (!options.scavenge)
        return;
    struct mheap_levels levels;
    mheap_read_levels(&levels);
    if ((GA_UNLIKELY(is_time(&levels)) && scavenger_step(false)) ||
        (GA_UNLIKELY(holes_is_time()) && tick_holes()) ||
        GA_UNLIKELY(collapse_is_wanted(levels.in_use)) || GA_UNLIKELY(scavenger_owes_thread()))
        scavenger_want_thread();
}

/* --- Everything, now --- */

void scavenger_drain(void)
{
    mcache_request(MCACHE_FLUSH_ALL);
    mcache_flush_self();
    mcache_flush_idle();
    trim_depots(true);
}

size_t scavenger_release_all(size_t keep)
{
    struct mheap_levels levels;
    scavenger_drain();
    mheap_read_levels(&levels);
    size_t released = levels.free_dirty > keep ? mheap_release(levels.free_dirty - keep) : 0;
    if (begin_step_soon()) {
        released += holes_give_all();
        end_step();
    }
    scavenger_trace(RELEASE_FORCED, released);
    return released;
}

void scavenger_forget_step(void)
{
    atomic_store_explicit(&scavenger.stepping, false, memory_order_relaxed);
}

void scavenger_read_stats(struct scavenger_stats *out)
{
    size_t bytes = GA_LOAD_ANY(scavenger.limit.bytes);
    out->limit = bytes == SIZE_MAX ? UINT64_MAX : bytes;
    out->held = held_bytes();
    out->times_over = GA_LOAD_ANY(scavenger.limit.times_over);
    out->nanoseconds_over = GA_LOAD_ANY(scavenger.limit.time_over);
    out->steps = GA_LOAD_ANY(scavenger.steps);
}
