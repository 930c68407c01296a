// SPDX-License-Identifier: MIT
/*
 * start.c: which modes are on, and their life.
 *
 * Place: src/libc's constructor, destructor and fork handlers.
 *
 * What was allocated before the constructor runs, by the dynamic linker as a rule, stays what it
 * is: its pages lose their class entries, so that its frees come to the slow path too, and go from
 * there to the spans' bits.
 *
 * Invariants: hardened_modes and the settings are constant afterwards.
 * Locking: the order of the locks is stated in src/os/lock.h.
 */
#include "../mcentral/mcentral.h"
#include "../options/options.h"
#include "../os/os.h"
#include "../os/report.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

unsigned hardened_modes;
struct hardened_settings hardened;

/* So many first bytes of a freed block are zeroed. */
#define ZERO_MAX ((size_t)1024)
/* Where hardened is on and no rate is given. */
#define HARDENED_RATE ((size_t)50000)
#define RATE_MAX      ((size_t)1 << 30)

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

void random_seed(struct random *random, const void *salt)
{
    random->state = mix(hardened.key ^ (uintptr_t)salt ^ os_nanotime()) | 1;
}

static void read_settings(void)
{
    uint64_t seed = os_random_seed();
    hardened.key = mix(seed);
    hardened.multiplier = mix(seed + 1) | 1;
    hardened.canary = options.canaries ? CANARY_BYTES : 0;
    hardened.zero_max = options.zero_on_free ? ZERO_MAX : 0;
    hardened.guard_pages = options.guard_pages;
    hardened.quarantine = options.quarantine;
    hardened.wide = ga_has_wide();
    hardened.sample = options.sample;
    if (options.sample == SAMPLE_UNSAID)
        hardened.sample = options.hardened ? HARDENED_RATE : 0;
    if (hardened.sample > RATE_MAX)
        hardened.sample = RATE_MAX;
}

static void trim(bool all)
{
    if (all)
        cache_flush(mcache_self());
    trays_flush();
    large_flush();
    slab_trim();
}

/* From here on no thread has a magazine with anything in it, and no page a class. */
static bool start_all(void)
{
    if (!mheap_notes_enable())
        return false;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        mcentral_trim(class, 0);
    mheap_hide_classes();
    mcache_flush_too = cache_flush;
    scavenger_trim_too = trim;
    return true;
}

void hardened_start(unsigned more)
{
    read_settings();
    if (!mheap_init())
        return;
    mcache_flush_self(); /* what comes next comes to the slow path */
    if (options.hardened && !start_all()) {
        report_line("hardened: no memory for its table; nothing is watched");
        return;
    }
    fault_start();
    hardened_modes =
        (options.hardened ? HARDENED_ALL : 0) | (hardened.sample ? HARDENED_SAMPLE : 0) | more;
}

void hardened_finish(void)
{
    struct mcache *owner = mcache_self();
    if (hardened_modes & HARDENED_ALL && owner->hardened)
        cache_check(owner->hardened);
}

void hardened_lock_for_fork(void)
{
    large_lock();
    trays_lock_all();
    slab_lock_all();
    sample_lock();
}

void hardened_unlock_after_fork(void)
{
    sample_unlock();
    slab_unlock_all();
    trays_unlock_all();
    large_unlock();
}

void hardened_reset_in_child(void)
{
    sample_reset();
    slab_reset_all();
    trays_reset_all();
    large_reset();
    if (mcache_self() != &mcache_none)
        mcache_self()->thread = 0;
}

void hardened_read_stats(struct hardened_stats *out)
{
    *out = (struct hardened_stats){0};
    if (!hardened_modes)
        return;
    sample_read_stats(out);
    slab_read_stats(out);
    large_read_stats(out);
}
