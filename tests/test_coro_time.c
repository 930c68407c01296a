// SPDX-License-Identifier: MIT
/* Sleeping, timers and tickers. */
#include "support/test.h"

#include <goalloc/coro.h>
#include <stdatomic.h>

#include "coro/internal.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)

static atomic_int count;

/* --- Sleeping --- */

static void a_sleep_lasts_at_least_so_long(void **state)
{
    for (int64_t nap = 100 * US; nap <= 20 * MS; nap *= 3) {
        int64_t start = ga_now();
        ga_sleep(nap);
        assert_true(ga_now() - start >= nap);
    }
    ga_sleep(0);
    ga_sleep(-1);
}

static atomic_int order[50];
static atomic_int woken;
static _Atomic(int64_t) starts; /* 0: not all are there */

static void sleep_and_note(int index)
{
    while (atomic_load(&starts) == 0)
        ga_yield();
    ga_sleep(atomic_load(&starts) + index * MS - ga_now());
    atomic_store(&order[index], atomic_fetch_add(&woken, 1));
}

/* Those that a loaded machine wakes late come in bunches. */
static void sleepers_wake_in_their_order(void **state)
{
    int before = ga_set_procs(1);
    atomic_store(&woken, 0);
    atomic_store(&starts, 0);
    for (int i = 0; i < (int)COUNT(order); i++) {
        int place = i * 7 % (int)COUNT(order);
        ga_go(sleep_and_note, place);
    }
    atomic_store(&starts, ga_now() + 100 * MS); /* all sleep by then, also with a sanitizer */
    ga_wait_all();
    for (int i = 0; i < (int)COUNT(order); i++)
        assert_in_range(atomic_load(&order[i]) + 10, i, i + 20);
    ga_set_procs(before);
}

static void sleep_once(int64_t time)
{
    ga_sleep(time);
    atomic_fetch_add(&count, 1);
}

static void many_may_sleep_at_once(void **state)
{
    atomic_store(&count, 0);
    for (int i = 0; i < 5000; i++)
        ga_go(sleep_once, i % 100 * 100 * US);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), 5000);
}

/* --- Timers --- */

static void count_one(void *counter)
{
    atomic_fetch_add((atomic_int *)counter, 1);
}

static void after_runs_a_function_once(void **state)
{
    atomic_int runs = 0;
    int64_t start = ga_now();
    ga_timer *timer = ga_after(3 * MS, count_one, &runs);
    assert_non_null(timer);
    while (atomic_load(&runs) == 0)
        ga_sleep(MS);
    assert_true(ga_now() - start >= 3 * MS);
    ga_sleep(10 * MS);
    assert_int_equal(atomic_load(&runs), 1);
    assert_false(ga_timer_stop(timer));
    ga_timer_free(timer);
    assert_null(ga_after(MS, NULL, NULL));
    assert_int_equal(errno, EINVAL);
}

static void a_stopped_timer_does_not_run(void **state)
{
    atomic_int runs = 0;
    ga_timer *timer = ga_after(5 * MS, count_one, &runs);
    assert_true(ga_timer_stop(timer));
    assert_false(ga_timer_stop(timer));
    ga_sleep(10 * MS);
    assert_int_equal(atomic_load(&runs), 0);
    ga_timer_free(timer);
}

static void a_reset_timer_runs_at_its_new_time(void **state)
{
    atomic_int runs = 0;
    ga_timer *timer = ga_after(3600 * 1000 * MS, count_one, &runs);
    assert_true(ga_timer_reset(timer, 2 * MS)); /* earlier than anybody expects */
    while (atomic_load(&runs) < 1)
        ga_sleep(MS);
    assert_false(ga_timer_reset(timer, 2 * MS));
    while (atomic_load(&runs) < 2)
        ga_sleep(MS);
    ga_timer_free(timer);
}

static void times_beyond_the_clock_are_held_within_it(void **state)
{
    atomic_int runs = 0;
    ga_timer *never = ga_after(INT64_MAX, count_one, &runs);
    ga_timer *at_once = ga_after(INT64_MIN, count_one, &runs);
    while (atomic_load(&runs) == 0)
        ga_yield();
    assert_int_equal(atomic_load(&runs), 1);
    assert_true(ga_timer_stop(never));
    ga_timer_free(never);
    ga_timer_free(at_once);
}

static void stop_and_reset(int rounds)
{
    atomic_int *runs = malloc(sizeof(*runs));
    atomic_store(runs, 0);
    ga_timer *timer = ga_after(20 * US, count_one, runs);
    int expected = 1;
    for (int i = 0; i < rounds; i++) {
        if (i % 3 == 0)
            ga_sleep(20 * US);
        if (i % 2 == 0)
            expected -= ga_timer_stop(timer);
        else
            expected += !ga_timer_reset(timer, i % 7 * 10 * US);
    }
    expected -= ga_timer_stop(timer);
    ga_timer_free(timer);
    for (int i = 0; i < 1000 && atomic_load(runs) < expected; i++)
        ga_sleep(MS);
    atomic_fetch_add(&count, atomic_load(runs) == expected);
    free(runs);
}

/* What stop and reset say, and what ran, must add up. */
static void stop_and_reset_tell_the_truth(void **state)
{
    atomic_store(&count, 0);
    for (int i = 0; i < 20; i++)
        ga_go(stop_and_reset, 300);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), 20);
}

static void every_runs_again_and_again(void **state)
{
    atomic_int runs = 0;
    ga_timer *timer = ga_every(MS, count_one, &runs);
    while (atomic_load(&runs) < 5)
        ga_sleep(MS);
    ga_timer_free(timer);
    ga_sleep(5 * MS);
    int seen = atomic_load(&runs);
    ga_sleep(10 * MS);
    assert_int_equal(atomic_load(&runs), seen);
}

/* --- Tickers --- */

static void a_ticker_ticks_until_it_is_stopped(void **state)
{
    ga_ticker *ticker = ga_ticker_new(2 * MS);
    int64_t start = ga_now();
    for (int i = 0; i < 5; i++)
        assert_true(ga_ticker_wait(ticker));
    assert_true(ga_now() - start >= 8 * MS);
    ga_ticker_stop(ticker);
    assert_false(ga_ticker_wait(ticker));
    ga_ticker_free(ticker);
    assert_null(ga_ticker_new(0));
    assert_int_equal(errno, EINVAL);
}

static void wait_for_tick(ga_ticker *ticker)
{
    atomic_store(&count, ga_ticker_wait(ticker) ? 1 : 2);
}

static void stopping_a_ticker_wakes_who_waits(void **state)
{
    ga_ticker *ticker = ga_ticker_new(3600 * 1000 * MS);
    atomic_store(&count, 0);
    ga_go(wait_for_tick, ticker);
    ga_sleep(2 * MS);
    ga_ticker_stop(ticker);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), 2);
    ga_ticker_free(ticker);
}

static void slow_waiters_miss_ticks_rather_than_hoard_them(void **state)
{
    ga_ticker *ticker = ga_ticker_new(MS);
    ga_sleep(20 * MS);
    assert_true(ga_ticker_wait(ticker));
    int64_t start = ga_now();
    assert_true(ga_ticker_wait(ticker));
    assert_true(ga_ticker_wait(ticker));
    assert_true(ga_now() - start >= MS / 2);
    ga_ticker_free(ticker);
}

/* --- The heap --- */

static int64_t fired[1000];
static int fired_count;

static void note_time(void *timer)
{
    fired[fired_count++] = ((struct timer *)timer)->when;
}

static void the_heap_gives_the_earliest_first(void **state)
{
    enum { TIMERS = 1000 };
    static struct timer timers[TIMERS];
    int64_t far = ga_now() + 3600 * 1000 * MS;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < TIMERS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        timers[i] = (struct timer){
            .when = far + (int64_t)(random % 500), .fire = note_time, .argument = &timers[i]};
        timer_start(&timers[i]);
    }
    int stopped = 0;
    for (int i = 0; i < TIMERS; i += 3)
        stopped += timer_stop(&timers[i]);
    assert_int_equal(stopped, (TIMERS + 2) / 3);
    fired_count = 0;
    for (unsigned i = 0; i < procs_made(); i++)
        timers_run(sched.procs[i]->timers, far + 1000);
    assert_int_equal(fired_count, TIMERS - stopped);
    for (int i = 1; i < fired_count; i++)
        assert_true(fired[i - 1] <= fired[i]);
    assert_false(timer_stop(&timers[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sleep_lasts_at_least_so_long),
        cmocka_unit_test(sleepers_wake_in_their_order),
        cmocka_unit_test(many_may_sleep_at_once),
        cmocka_unit_test(after_runs_a_function_once),
        cmocka_unit_test(a_stopped_timer_does_not_run),
        cmocka_unit_test(a_reset_timer_runs_at_its_new_time),
        cmocka_unit_test(times_beyond_the_clock_are_held_within_it),
        cmocka_unit_test(stop_and_reset_tell_the_truth),
        cmocka_unit_test(every_runs_again_and_again),
        cmocka_unit_test(a_ticker_ticks_until_it_is_stopped),
        cmocka_unit_test(stopping_a_ticker_wakes_who_waits),
        cmocka_unit_test(slow_waiters_miss_ticks_rather_than_hoard_them),
        cmocka_unit_test(the_heap_gives_the_earliest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
