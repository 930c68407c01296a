// SPDX-License-Identifier: MIT
/*
 * assist.c: threads that allocate while marking goes on do their part of it.
 *
 * Place: cycle.c begins and ends it, mark.c tells how far it is, thread.c's slow path pays. Calls
 * mark.c to mark, and pacer.c for how much.
 *
 * A thread owes bytes to be looked at for bytes that it gets. What the collector's thread looks at
 * is credit that whoever owes takes first; for the rest the thread marks itself. Where there's
 * nothing to mark just now, or as many mark as may, it waits a little, and owes what is left until
 * next time. So the heap can't grow faster than it is marked, but where the limiter says that
 * threads have done their share of the time.
 *
 * Invariants: a thread's debt is of the cycle that its cache names; older ones are forgiven.
 * Locking: none; a cache's debt is its thread's. Fork: the collector has given up before.
 */
#include "assist.h"

#include "../mcache/mcache.h"
#include "../os/os.h"
#include "internal.h"
#include "work.h"

/* Below this a debt grows; and who pays, pays this much at least. What can't be paid because
 * there's nothing to mark isn't owed for more than this. */
#define DEBT_MIN  ((size_t)16 << 10)
#define PAY_MIN   ((size_t)64 << 10)
#define DEBT_MOST ((size_t)1 << 20)
/* Spans at once: those that a thread has in hand it has to look into, debt or not. */
#define PAY_BATCH 4
/* What the collector's thread looks at between two looks at how large the heap is, which take as
 * long as some kilobytes. */
#define PACE_EVERY ((size_t)32 << 10)
/* So often it waits for something to mark. */
#define WAITS_MOST 10

static struct {
    atomic_size_t ratio;  /* GC_ASSIST_UNIT; 0: nobody has to pay; relaxed, as the rest */
    atomic_size_t credit; /* bytes */
    atomic_bool limiting;
    atomic_uint cycle;      /* a number for each */
    _Atomic(uint64_t) paid; /* nanoseconds that threads have marked, since the limiter was told */
    /* The rest is the collector's thread's. */
    bool begun;
    struct gc_pacer pacer;
    struct gc_progress progress;
    struct gc_limiter limiter;
    size_t told; /* of what it has looked at, what is in `credit` or was */
} assist;

/* --- The collector's thread --- */

static void set_pace(void)
{
    uint64_t paid = atomic_exchange_explicit(&assist.paid, 0, memory_order_relaxed);
    bool limiting = gc_limiter_update(&assist.limiter, os_nanotime(), paid, true) &&
                    gc_pacer_is_limited(&assist.pacer);
    assist.progress.heap = heap_bytes();
    assist.progress.scanned = work_scanned();
    size_t ratio = limiting ? 0 : gc_pacer_assist(&assist.pacer, &assist.progress);
    atomic_store_explicit(&assist.limiting, limiting, memory_order_relaxed);
    atomic_store_explicit(&assist.ratio, ratio, memory_order_relaxed);
}

void assist_begin(const struct gc_pacer *pacer, size_t heap)
{
    uint64_t now = os_nanotime();
    if (!assist.limiter.processors)
        gc_limiter_init(&assist.limiter, os_processors(), now);
    gc_limiter_update(&assist.limiter, now, 0, false);
    assist.pacer = *pacer;
    assist.progress = (struct gc_progress){.began = heap};
    assist.told = 0;
    assist.begun = true;
    atomic_store_explicit(&assist.credit, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&assist.cycle, 1, memory_order_relaxed);
    work_open();
    set_pace();
}

void assist_progress(bool waited)
{
    size_t scanned = atomic_load_explicit(&work_own()->scanned, memory_order_relaxed);
    size_t fresh = scanned - assist.told;
    if (!assist.begun || (!waited && fresh < PACE_EVERY))
        return;
    atomic_fetch_add_explicit(&assist.credit, fresh, memory_order_relaxed);
    assist.told = scanned;
    set_pace();
}

void assist_pass(void)
{
    assist.progress.passes++;
    set_pace();
}

bool assist_is_limited(void)
{
    return atomic_load_explicit(&assist.limiting, memory_order_relaxed);
}

void assist_excuse(void)
{
    atomic_store_explicit(&assist.ratio, 0, memory_order_relaxed);
}

void assist_end(void)
{
    assist.begun = false;
    atomic_store_explicit(&assist.limiting, false, memory_order_relaxed);
    assist_excuse();
    work_close(false);
}

/* --- Threads of the program --- */

/* Of what is owed what was left when the credit was taken. */
static size_t use_credit(size_t owed)
{
    size_t credit = atomic_load_explicit(&assist.credit, memory_order_relaxed), taken;
    do
        taken = credit < owed ? credit : owed;
    while (taken &&
           !atomic_compare_exchange_weak_explicit(&assist.credit, &credit, credit - taken,
                                                  memory_order_relaxed, memory_order_relaxed));
    return owed - taken;
}

/* What it looked at. */
static size_t mark_part(size_t owed)
{
    struct marker *marker = work_enter();
    if (!marker)
        return 0;
    uint64_t began = os_nanotime();
    size_t done = mark_some(marker, owed > PAY_MIN ? owed : PAY_MIN, PAY_BATCH);
    work_leave(marker);
    atomic_fetch_add_explicit(&assist.paid, os_nanotime() - began, memory_order_relaxed);
    return done;
}

/* What is still owed. */
static size_t pay(size_t owed)
{
    owed = use_credit(owed);
    for (unsigned waits = 0; owed && waits < WAITS_MOST;) {
        size_t done = mark_part(owed);
        if (done > owed) { /* what it did too much is somebody's credit */
            atomic_fetch_add_explicit(&assist.credit, done - owed, memory_order_relaxed);
            return 0;
        }
        owed -= done;
        if (done)
            continue;
        if (!atomic_load_explicit(&assist.ratio, memory_order_relaxed))
            return 0; /* it's over */
        work_wait();
        waits++;
        owed = use_credit(owed);
    }
    return owed < DEBT_MOST ? owed : DEBT_MOST;
}

void assist_pay(size_t allocated)
{
    size_t ratio = atomic_load_explicit(&assist.ratio, memory_order_relaxed);
    struct mcache *cache = mcache_self();
    if (!ratio || !allocated)
        return;
    unsigned cycle = atomic_load_explicit(&assist.cycle, memory_order_relaxed);
    size_t owed = allocated * ratio / GC_ASSIST_UNIT;
    if (cache == &mcache_none) {
        pay(owed);
        return;
    }
    if (cache->debt_cycle == cycle)
        owed += cache->debt;
    cache->debt_cycle = cycle;
    cache->debt = owed < DEBT_MIN ? owed : pay(owed);
}

void assist_reset_in_child(void)
{
    assist.begun = false;
    assist_excuse();
    work_reset_in_child();
}
