// SPDX-License-Identifier: MIT
/*
 * thread.c: the collector's thread, what it is asked for, and the life of the process around it.
 *
 *   THREAD_NONE --first request--> THREAD_RUNNING
 *
 * Place: src/libc's slow paths and its calls come here. Calls cycle.c.
 *
 * Requests are tickets: whoever wants a cycle draws one and, if it has to wait, waits until it is
 * served. A cycle serves all tickets that were drawn before it began. The thread sleeps in between,
 * or until two minutes have passed. All signals are blocked in it but libc's own two.
 *
 * Invariants: served <= drawn. A forked child has no such thread until it wants one.
 * Locking: gc_lock is held by the thread while it marks and while it sweeps, and over a fork; it is
 * outermost of all the library's. It is not held while the program's code is called (phases.c), so
 * that who forks meanwhile need not wait. `settings` guards the pacer and the statistics.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../mcache/mcache.h"
#include "../mcentral/mcentral.h"
#include "../os/lock.h"
#include "../os/os.h"
#include "../os/report.h"
#include "../observe/provider.h"
#include "assist.h"
#include "barrier.h"
#include "helpers.h"
#include "internal.h"

bool gc_on, gc_tight;

#define PAUSES_KEPT 256

enum thread_state {
    THREAD_NONE,
    THREAD_RUNNING,
    THREAD_REFUSED, /* there can't be one: no cycle will ever be */
};

static struct {
    struct lock gc_lock;
    struct lock settings;
    enum gc_mode mode;         /* constant once gc_on */
    bool trace;                /* constant once gc_on */
    struct gc_pacer pacer;     /* guarded by settings */
    struct gc_stats stats;     /* guarded by settings */
    atomic_uint state;         /* enum thread_state; relaxed, decided by one compare and exchange */
    atomic_uint drawn;         /* tickets; release when drawn, acquire by the thread */
    atomic_bool wanted;        /* the program asks for a cycle; relaxed, for statistics */
    atomic_uint served;        /* release when served, acquire by who waited */
    atomic_uint failed;        /* cycles that were abandoned; ordered by served */
    atomic_size_t trigger;     /* the pacer's; relaxed */
    atomic_size_t goal;        /* the same */
    atomic_uint ticks;         /* slow paths; relaxed */
    atomic_bool outrun;        /* the heap is far above its goal, until the cycle ends; relaxed */
    atomic_size_t seen;        /* what who waits saw of the collector's progress; relaxed */
    _Atomic(uint64_t) seen_at; /* when that was new, or the waiting began; relaxed */
    uint64_t pause_buckets[TIME_BUCKETS]; /* for statistics, as the rest; guarded by settings */
    uint64_t pauses[PAUSES_KEPT], pause_ends[PAUSES_KEPT];
    uint64_t last_end;
    size_t scanned, asked;
    atomic_uint pausing;   /* nothing ever wakes who waits here: a sleep */
    atomic_bool yield;     /* a thread waits for gc_lock to fork; relaxed, gc_lock decides */
    atomic_uintptr_t self; /* its thread pointer; relaxed: only its own answer matters */
    int percent;           /* GOGC as it was given */
} collector = {.percent = 100};

/* --- The thread --- */

#define STACK_SIZE ((size_t)256 << 10)

static void set_pacer(void)
{
    atomic_store_explicit(&collector.trigger, collector.pacer.trigger, memory_order_relaxed);
    atomic_store_explicit(&collector.goal, collector.pacer.goal, memory_order_relaxed);
    collector.stats.goal = collector.pacer.goal;
}

/* What the process holds beside blocks: tables, caches, pages that are free. */
static size_t overhead(void)
{
    struct mheap_stats heap;
    mheap_read_stats(&heap);
    size_t held = heap.in_use - heap.holes + heap.free_dirty + heap.meta, blocks = heap_bytes();
    return held > blocks ? held - blocks : 0;
}

static void account_pause(uint64_t pause)
{
    size_t at = (collector.stats.cycles + PAUSES_KEPT - 1) % PAUSES_KEPT;
    collector.last_end = os_wall_time();
    collector.pauses[at] = pause;
    collector.pause_ends[at] = collector.last_end;
    collector.pause_buckets[time_bucket(pause)]++;
}

/* What is freed now will be needed before the next cycle: it isn't given back for as long as that
 * may take, as far as the last two tell. */
#define EXPECT_MOST (2 * GC_SECOND)

static void expect_growth(const struct cycle *cycle)
{
    static uint64_t last; /* the collector's thread */
    size_t goal = collector.pacer.goal;
    uint64_t until = cycle->swept + 4 * (cycle->swept - last);
    bool soon = last && until - cycle->swept < EXPECT_MOST && goal < SIZE_MAX / 2;
    last = cycle->swept;
    atomic_store_explicit(&mheap_marks.expected, soon ? goal + goal / 8 : 0, memory_order_relaxed);
    atomic_store_explicit(&mheap_marks.expected_until, until, memory_order_relaxed);
}

/* `settings` is held. */
static void account(const struct cycle *cycle)
{
    struct gc_stats *stats = &collector.stats;
    uint64_t pause = cycle->resumed - cycle->stopping;
    struct gc_result result = {
        .now = cycle->swept,
        /* Where nothing is freed what is dead stays: it must not bring one cycle after another. */
        .marked = collector.mode == GC_COLLECT ? cycle->live_bytes : cycle->heap_after,
        .scanned = cycle->scanned,
        .overhead = overhead(),
        .roots = cycle->root_bytes,
        .allocated =
            cycle->heap_marked > cycle->heap_before ? cycle->heap_marked - cycle->heap_before : 0,
    };
    stats->cycles++;
    stats->ways[cycle->way]++;
    account_pause(pause);
    collector.scanned = cycle->scanned;
    collector.asked += cycle->asked;
    stats->live_bytes = cycle->live_bytes;
    stats->live_objects = cycle->live_objects;
    stats->freed_bytes += cycle->freed_bytes;
    stats->freed_objects += cycle->freed_objects;
    stats->root_bytes = cycle->root_bytes;
    stats->stop_total += pause;
    stats->stop_longest = pause > stats->stop_longest ? pause : stats->stop_longest;
    stats->mark_total += cycle->resumed - cycle->beside;
    gc_pacer_ended(&collector.pacer, &result);
    set_pacer();
    expect_growth(cycle);
}

/* `settings` is held. A cycle that couldn't be had is tried again when the heap is twice as large:
 * nobody shall wait for it before. */
static void put_off(void)
{
    size_t heap = heap_bytes();
    size_t later = heap < SIZE_MAX / 2 ? heap * 2 : SIZE_MAX;
    collector.stats.abandoned++;
    atomic_store_explicit(&collector.trigger, later, memory_order_relaxed);
    atomic_store_explicit(&collector.goal, later, memory_order_relaxed);
}

/* Until it isn't given up for a fork. */
static enum cycle_end mark_cycle(struct cycle *cycle)
{
    lock_acquire(&collector.settings);
    struct gc_pacer pacer = collector.pacer;
    lock_release(&collector.settings);
    for (;;) {
        /* Who waits to fork goes first. */
        while (atomic_load_explicit(&collector.yield, memory_order_relaxed))
            os_futex_wait_for(&collector.pausing, 0, GC_SECOND / 10000);
        lock_acquire(&collector.gc_lock);
        *cycle = (struct cycle){.pacer = pacer};
        enum cycle_end end = cycle_mark(cycle, collector.mode, &collector.yield);
        lock_release(&collector.gc_lock);
        if (end != CYCLE_YIELDED)
            return end;
    }
}

static bool run_cycle(struct cycle *cycle)
{
    phases_tell(GA_GC_MARK_BEGIN);
    if (mark_cycle(cycle) != CYCLE_DONE)
        return false;
    phases_tell(GA_GC_MARK_END);
    lock_acquire(&collector.gc_lock);
    cycle_sweep(cycle, collector.mode);
    lock_release(&collector.gc_lock);
    return true;
}

static void serve(void)
{
    struct cycle cycle;
    struct gc_pacer paced;
    helpers_start();
    unsigned tickets = atomic_load_explicit(&collector.drawn, memory_order_acquire);
    bool asked = atomic_exchange_explicit(&collector.wanted, false, memory_order_relaxed);
    bool done = run_cycle(&cycle);
    cycle.asked = asked;
    lock_acquire(&collector.settings);
    paced = collector.pacer;
    if (done)
        account(&cycle);
    else
        put_off();
    size_t number = collector.stats.cycles;
    lock_release(&collector.settings);
    special_run();
    phases_tell(done ? GA_GC_SWEEP_END : GA_GC_ABANDONED);
    if (done && godebug.gctrace > 0)
        report_cycle(&cycle, &paced, (unsigned)number);
    if (!done)
        atomic_fetch_add_explicit(&collector.failed, 1, memory_order_relaxed);
    atomic_store_explicit(&collector.outrun, false, memory_order_relaxed);
    atomic_store_explicit(&collector.served, tickets, memory_order_release);
    os_futex_wake(&collector.served, INT32_MAX);
}

static bool is_forced(void)
{
    lock_acquire(&collector.settings);
    bool forced = gc_pacer_due(&collector.pacer, 0, os_nanotime()) == GC_REASON_TIME;
    lock_release(&collector.settings);
    return forced && collector.mode == GC_COLLECT;
}

static void *run(void *stack)
{
    uintptr_t start = (uintptr_t)stack, end = start + STACK_SIZE;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    pthread_setname_np(pthread_self(), "goalloc-gc");
    atomic_store_explicit(&collector.self, (uintptr_t)__builtin_thread_pointer(),
                          memory_order_relaxed);
    roots_set_own_stack(start, round_down(here, MIN_ALIGN), end);
    roots_learn_stacks((uintptr_t)__builtin_thread_pointer(), start, STACK_SIZE);
    for (;;) {
        unsigned served = atomic_load_explicit(&collector.served, memory_order_relaxed);
        if (atomic_load_explicit(&collector.drawn, memory_order_acquire) != served || is_forced())
            serve();
        else
            os_futex_wait_for(&collector.drawn, served, GC_FORCE_AFTER / 4);
    }
    return NULL;
}

/* The stack is the library's own memory: so it is known where it lies, and it is no root. */
static bool start_on(void *stack)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t before;
    if (!stack || pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstack(&attributes, stack, STACK_SIZE);
    os_block_signals(&before);
    bool started = pthread_create(&thread, &attributes, run, stack) == 0;
    os_restore_signals(&before);
    pthread_attr_destroy(&attributes);
    return started;
}

/* With no lock held: libc allocates for the thread. */
static void want_thread(void)
{
    static void *stack; /* a forked child takes it over */
    unsigned none = THREAD_NONE;
    if (!atomic_compare_exchange_strong_explicit(&collector.state, &none, THREAD_RUNNING,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    int saved = errno; /* free keeps it */
    if (!stack)
        stack = mheap_meta_alloc(STACK_SIZE);
    if (!start_on(stack)) {
        atomic_store_explicit(&collector.state, THREAD_REFUSED, memory_order_relaxed);
        report_line("gc: no thread can be started; nothing will be collected");
    }
    errno = saved;
}

/* --- Requests --- */

static unsigned draw(void)
{
    unsigned ticket = atomic_fetch_add_explicit(&collector.drawn, 1, memory_order_release) + 1;
    want_thread();
    os_futex_wake(&collector.drawn, 1);
    return ticket;
}

static bool is_refused(void)
{
    return atomic_load_explicit(&collector.state, memory_order_relaxed) == THREAD_REFUSED;
}

/* Tickets wrap round. */
static bool is_served(unsigned ticket)
{
    unsigned served = atomic_load_explicit(&collector.served, memory_order_acquire);
    return (int)(served - ticket) >= 0;
}

bool gc_is_own_thread(void)
{
    return atomic_load_explicit(&collector.self, memory_order_relaxed) ==
           (uintptr_t)__builtin_thread_pointer();
}

bool gc_collect(void)
{
    if (!GA_LOAD_ANY(gc_on) || gc_is_own_thread())
        return false;
    mcache_flush_self(); /* what this thread has cached is given to the sweep's neighbours */
    unsigned failed = atomic_load_explicit(&collector.failed, memory_order_relaxed);
    atomic_store_explicit(&collector.wanted, true, memory_order_relaxed);
    unsigned ticket = draw();
    while (!is_served(ticket) && !is_refused()) {
        unsigned served = atomic_load_explicit(&collector.served, memory_order_acquire);
        if ((int)(served - ticket) < 0)
            os_futex_wait(&collector.served, served);
    }
    return !is_refused() && atomic_load_explicit(&collector.failed, memory_order_relaxed) == failed;
}

/* One in so many slow paths looks at the heap. Each takes 64 KB at most, or is a large block. */
#define LOOK_EVERY 16

/*
 * While the heap is far above its goal whoever comes by waits for the collector, so that it isn't
 * outrun: where a copy marks, or the world is stopped for all of a cycle; else threads assist, and
 * come here only if the limiter has them do so no more, or there's nothing that they could mark.
 * Not without end: the thread may be the one that forks, for which the collector waits in turn.
 */
#define WAIT_AT_MOST (GC_SECOND / 50)

/* So long without any progress means that the collector isn't there: a child made without fork's
 * handlers has none. */
#define VAIN_MOST (5 * GC_SECOND)

static void wait_for_collector(unsigned served)
{
    os_futex_wait_for(&collector.served, served, WAIT_AT_MOST);
    size_t seen = mark_scanned() + snapshot_progress() +
                  atomic_load_explicit(&collector.served, memory_order_relaxed);
    uint64_t since = atomic_load_explicit(&collector.seen_at, memory_order_relaxed);
    uint64_t now = os_nanotime(); /* later than what was read before it */
    if (atomic_exchange_explicit(&collector.seen, seen, memory_order_relaxed) != seen) {
        atomic_store_explicit(&collector.seen_at, now, memory_order_relaxed);
    } else if (now > since && now - since > VAIN_MOST) {
        atomic_store_explicit(&collector.outrun, false, memory_order_relaxed);
        atomic_store_explicit(&collector.goal, SIZE_MAX, memory_order_relaxed);
        assist_excuse();
    }
}

/* Whoever comes by waits from now on. */
static void begin_to_wait(void)
{
    if (atomic_load_explicit(&collector.outrun, memory_order_relaxed))
        return;
    atomic_store_explicit(&collector.seen_at, os_nanotime(), memory_order_relaxed);
    atomic_store_explicit(&collector.outrun, true, memory_order_relaxed);
}

static void look(unsigned served)
{
    size_t heap = heap_bytes();
    if (heap < atomic_load_explicit(&collector.trigger, memory_order_relaxed))
        return;
    if (atomic_load_explicit(&collector.drawn, memory_order_relaxed) == served)
        draw();
    size_t goal = atomic_load_explicit(&collector.goal, memory_order_relaxed);
    size_t far = collector.pacer.stops ? goal / 8 : goal / 4;
    if (heap > goal && heap - goal > far && !assist_is_limited())
        begin_to_wait();
}

GA_NOINLINE void gc_tick_slow(size_t allocated)
{
    unsigned tick = atomic_fetch_add_explicit(&collector.ticks, 1, memory_order_relaxed);
    if (collector.mode == GC_LEAKS || is_refused() || os_serves_loader())
        return;
    unsigned served = atomic_load_explicit(&collector.served, memory_order_acquire);
    if (tick % LOOK_EVERY == 0)
        look(served);
    if (gc_is_own_thread())
        return;
    assist_pay(allocated);
    if (atomic_load_explicit(&collector.outrun, memory_order_relaxed))
        wait_for_collector(served);
}

/* --- Settings --- */

static void read_figures(struct gc_figures *out)
{
    lock_acquire(&collector.settings);
    const struct gc_stats *stats = &collector.stats;
    out->goal = stats->goal;
    out->live = stats->live_bytes;
    out->gogc = collector.pacer.percent < 0 ? 0 : (uint64_t)collector.pacer.percent;
    out->cycles_forced = collector.asked;
    out->cycles_automatic = stats->cycles - collector.asked;
    out->scan_globals = stats->root_bytes;
    out->scan_heap =
        collector.scanned > stats->root_bytes ? collector.scanned - stats->root_bytes : 0;
    out->last_end = collector.last_end;
    out->pause_total = stats->stop_total;
    memcpy(out->pauses, collector.pause_buckets, sizeof(out->pauses));
    out->enabled = collector.mode == GC_COLLECT && collector.pacer.percent >= 0;
    lock_release(&collector.settings);
}

static void read_pauses(uint64_t pauses[PAUSES_KEPT], uint64_t ends[PAUSES_KEPT])
{
    lock_acquire(&collector.settings);
    memcpy(pauses, collector.pauses, sizeof(collector.pauses));
    memcpy(ends, collector.pause_ends, sizeof(collector.pause_ends));
    lock_release(&collector.settings);
}

static const struct gc_provider provider = {read_figures, read_pauses};

bool gc_enable(enum gc_mode mode, unsigned *told)
{
    if (GA_LOAD_ANY(gc_on) || mode == GC_OFF)
        return GA_LOAD_ANY(gc_on) && mode == collector.mode;
    if (!mheap_marks_enable(mode == GC_AUDIT))
        return false;
    if (mode == GC_COLLECT && told && !barrier_enable(told))
        return false;
    if (mode == GC_AUDIT)
        mcache_give_up();
    size_classes_pad();
    GA_STORE_ANY(gc_tight, heap_bytes() > 0); /* those from before */
    collector.mode = mode;
    bool stops = mode != GC_COLLECT || options.gc_track == GC_TRACK_STOP;
    gc_pacer_init(&collector.pacer, collector.percent, options.memory_limit, stops, os_nanotime());
    observe_provide_gc(&provider);
    set_pacer();
    GA_STORE_ANY(gc_on, true);
    return true;
}

/* As Go has it: "off", or a number. */
static int parse_percent(const char *text)
{
    int n = 0;
    if (text[0] == 'o' && text[1] == 'f' && text[2] == 'f' && !text[3])
        return GC_PERCENT_OFF;
    for (; *text >= '0' && *text <= '9' && n < 100000000; text++)
        n = n * 10 + (*text - '0');
    return *text ? 100 : n;
}

void gc_configure(const char *gogc)
{
    if (gogc && *gogc)
        collector.percent = parse_percent(gogc);
}

int gc_set_percent(int percent)
{
    lock_acquire(&collector.settings);
    int before = collector.pacer.percent;
    collector.percent = percent < 0 ? GC_PERCENT_OFF : percent;
    gc_pacer_set(&collector.pacer, collector.percent, collector.pacer.limit);
    set_pacer();
    lock_release(&collector.settings);
    return before;
}

size_t gc_set_limit(size_t limit)
{
    lock_acquire(&collector.settings);
    size_t before = collector.pacer.limit;
    gc_pacer_set(&collector.pacer, collector.pacer.percent, limit);
    set_pacer();
    lock_release(&collector.settings);
    return before;
}

void gc_read_stats(struct gc_stats *out)
{
    lock_acquire(&collector.settings);
    *out = collector.stats;
    lock_release(&collector.settings);
    out->false_frees = atomic_load_explicit(&mheap_marks.false_frees, memory_order_relaxed);
}

/* --- The process's end, and fork --- */

void gc_finish(void)
{
    struct gc_stats stats;
    if (!GA_LOAD_ANY(gc_on) || collector.mode == GC_COLLECT)
        return;
    bool done = gc_collect();
    gc_read_stats(&stats);
    if (collector.mode == GC_AUDIT)
        report_audit(&stats);
    else if (done)
        report_leaks();
}

/* A cycle beside the program may be long: it is given up, and begun again after the fork. */
void gc_lock_for_fork(void)
{
    atomic_store_explicit(&collector.yield, true, memory_order_relaxed);
    lock_freeze(&collector.gc_lock);
    atomic_store_explicit(&collector.yield, false, memory_order_relaxed);
    lock_freeze(&collector.settings);
    lock_freeze(&roots_lock);
    lock_freeze(&special_lock);
    barrier_lock_for_fork();
    lock_freeze(&phases_lock);
    lock_freeze(&types_lock);
    lock_freeze(&pins_lock);
    lock_freeze(&blocking_lock);
}

void gc_unlock_after_fork(void)
{
    lock_thaw(&blocking_lock);
    lock_thaw(&pins_lock);
    lock_thaw(&types_lock);
    lock_thaw(&phases_lock);
    barrier_unlock_after_fork();
    lock_thaw(&special_lock);
    lock_thaw(&roots_lock);
    lock_thaw(&collector.settings);
    lock_thaw(&collector.gc_lock);
}

void gc_reset_in_child(void)
{
    blocking_reset_in_child();
    helpers_reset_in_child();
    assist_reset_in_child();
    phases_reset_in_child();
    lock_reset(&pins_lock);
    lock_reset(&types_lock);
    barrier_reset_in_child();
    special_reset_in_child();
    lock_reset(&roots_lock);
    lock_reset(&collector.settings);
    lock_reset(&collector.gc_lock);
    atomic_store_explicit(&collector.state, THREAD_NONE, memory_order_relaxed);
    atomic_store_explicit(&collector.self, 0, memory_order_relaxed);
    unsigned drawn = atomic_load_explicit(&collector.drawn, memory_order_relaxed);
    atomic_store_explicit(&collector.served, drawn, memory_order_relaxed);
    atomic_store_explicit(&collector.outrun, false, memory_order_relaxed);
}
