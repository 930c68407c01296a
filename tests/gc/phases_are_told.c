// SPDX-License-Identifier: MIT
//
// Each cycle tells its beginning, the end of its marking and the end of its sweep, in this order,
// while all other threads run. What is told may allocate, free, take a lock that a forking thread
// holds, and read figures; it can't collect. Removed functions aren't called any more. A child that
// is forked between marking and sweeping loses nothing.

#include "collected.h"

#include <errno.h>

#define CYCLES 20

typedef void phase_call(enum ga_gc_phase, void *);
static int (*on_phase)(phase_call *, void *);
static void (*off_phase)(phase_call *, void *);

/* --- Order, and what may be done --- */

static enum ga_gc_phase last = GA_GC_SWEEP_END;
static unsigned told[5];
static void *kept;

static void note(enum ga_gc_phase phase, void *argument)
{
    enum ga_gc_phase before[] = {0, GA_GC_SWEEP_END, GA_GC_MARK_BEGIN, GA_GC_MARK_END, 0};
    expect(argument == told, "expected a function to get its argument");
    expect(phase != GA_GC_ABANDONED, "expected no cycle to be abandoned");
    expect(last == before[phase], "expected %d not to be told after %d", phase, last);
    last = phase;
    told[phase]++;
}

static void allocate(enum ga_gc_phase phase, void *unused)
{
    void *blocks[300];
    (void)unused;
    for (unsigned i = 0; i < 300; i++)
        mark(blocks[i] = malloc(i * 100 + 1), i * 100 + 1, (unsigned char)i);
    for (unsigned i = 0; i < 300; i++) {
        expect_mark(blocks[i], i * 100 + 1, (unsigned char)i);
        free(blocks[i]);
    }
    if (kept)
        expect(is_whole(hide(kept), 400), "expected what a function keeps to be kept");
    free(kept);
    kept = make_block(400);
    expect(collect() == -1, "expected no cycle within a cycle");
    expect(phase != GA_GC_SWEEP_END || gc_stats_now().cycles == told[GA_GC_MARK_END],
           "expected the figures to be the cycle's at its end");
}

static void each_is_told_in_order(void)
{
    expect(on_phase(note, told) == 0 && on_phase(allocate, NULL) == 0, "expected to be told");
    for (unsigned i = 0; i < CYCLES; i++) {
        full_cycle();
        for (unsigned phase = GA_GC_MARK_BEGIN; phase <= GA_GC_SWEEP_END; phase++)
            expect(told[phase] == i + 1, "expected %u times %u, got %u", i + 1, phase, told[phase]);
    }
    off_phase(note, told);
    off_phase(allocate, NULL);
    full_cycle();
    expect(told[GA_GC_MARK_BEGIN] == CYCLES, "expected a removed function not to be called");
}

/* --- Others run meanwhile --- */

static atomic_uint beats;
static atomic_bool stop;

static void *beat(void *unused)
{
    while (!atomic_load(&stop)) {
        atomic_fetch_add(&beats, 1);
        free(malloc(100));
    }
    return unused;
}

/* The watchdog ends a wait in vain. */
static void await_beats(enum ga_gc_phase phase, void *unused)
{
    unsigned from = atomic_load(&beats);
    (void)phase;
    (void)unused;
    while (atomic_load(&beats) - from < 100)
        usleep(100);
}

static void the_world_runs(void)
{
    pthread_t thread;
    running = "a function that waits for a thread";
    pthread_create(&thread, NULL, beat, NULL);
    on_phase(await_beats, NULL);
    for (unsigned i = 0; i < CYCLES; i++)
        full_cycle();
    off_phase(await_beats, NULL);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

/* --- Removing waits --- */

static atomic_uint inside;

static void stay(enum ga_gc_phase phase, void *argument)
{
    (void)phase;
    atomic_store(&inside, 1);
    usleep(20000);
    atomic_store(&inside, 2);
    if (argument) /* itself */
        off_phase(stay, argument);
}

static void *collect_once(void *unused)
{
    collect();
    return unused;
}

static void removing_waits_for_the_call(void)
{
    pthread_t thread;
    running = "removing a function";
    on_phase(stay, NULL);
    pthread_create(&thread, NULL, collect_once, NULL);
    while (atomic_load(&inside) != 1)
        usleep(100);
    off_phase(stay, NULL);
    expect(atomic_load(&inside) == 2, "expected no removed function to be running");
    pthread_join(thread, NULL);
    on_phase(stay, &inside);
    full_cycle();
    atomic_store(&inside, 0);
    full_cycle();
    expect(atomic_load(&inside) == 0, "expected a function to be able to remove itself");
}

/* --- A fork amid a cycle --- */

#define LARGE ((size_t)2 << 20) /* new, so that no mark of the parent's keeps it */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint asked, forked;
static void **chain;
static enum ga_gc_phase fork_at;

static void await_fork(enum ga_gc_phase phase, void *unused)
{
    (void)unused;
    if (phase != fork_at)
        return;
    atomic_store(&asked, 1);
    while (atomic_load(&asked) != 2)
        usleep(100);
    pthread_mutex_lock(&mutex);
    expect(atomic_load(&forked) == 1, "expected the fork not to wait for the function");
    pthread_mutex_unlock(&mutex);
}

/* What is linked in the child to a block that was marked in the parent must be found there. */
static void use_in_child(void)
{
    watchdog(20);
    off_phase(await_fork, NULL);
    chain[1] = make_block(LARGE);
    hidden h = hide(chain[1]);
    expect_alive(h, LARGE, "a block that the parent had marked");
    expect_alive(h, LARGE, "the same, a cycle later");
    _exit(0);
}

static void *fork_when_asked(void *unused)
{
    while (atomic_load(&asked) == 0)
        usleep(100);
    pthread_mutex_lock(&mutex);
    atomic_store(&asked, 2);
    usleep(5000);
    pid_t child = fork();
    if (child == 0)
        use_in_child();
    atomic_store(&forked, 1);
    pthread_mutex_unlock(&mutex);
    expect_success(child, "a child that was forked amid a cycle");
    return unused;
}

static void forks_go_on(void)
{
    running = "a fork while a function runs";
    chain = malloc(3000); /* nobody else takes from its span, and so sweeps it */
    for (fork_at = GA_GC_MARK_BEGIN; fork_at <= GA_GC_SWEEP_END; fork_at++) {
        pthread_t thread;
        atomic_store(&asked, 0);
        atomic_store(&forked, 0);
        chain[1] = NULL;
        on_phase(await_fork, NULL);
        pthread_create(&thread, NULL, fork_when_asked, NULL);
        full_cycle();
        off_phase(await_fork, NULL);
        pthread_join(thread, NULL);
    }
}

/* --- Mistakes --- */

static void too_many_are_refused(void)
{
    static char arguments[64];
    expect(on_phase(NULL, NULL) == -1 && errno == EINVAL, "expected a function to be wanted");
    for (unsigned i = 0; i < 64; i++)
        expect(on_phase(stay, &arguments[i]) == 0, "expected to be told, %u", i);
    expect(on_phase(stay, NULL) == -1 && errno == ENOMEM, "expected 64 to be the most");
    off_phase(stay, NULL); /* isn't there */
    for (unsigned i = 0; i < 64; i++)
        off_phase(stay, &arguments[i]);
}

int main(void)
{
    gc_promise_begin(100);
    find_call("ga_gc_on_phase", &on_phase);
    find_call("ga_gc_off_phase", &off_phase);
    each_is_told_in_order();
    the_world_runs();
    removing_waits_for_the_call();
    forks_go_on();
    too_many_are_refused();
    return 0;
}
