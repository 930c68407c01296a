// SPDX-License-Identifier: MIT
/* The collector's pacer: a table of scenarios, with no clock and no heap. */
#include "support/test.h"

#include "gc/pacer.h"

#define MB ((size_t)1 << 20)

/* What a cycle found, and what the next one's goal and trigger must be then. */
struct step {
    size_t marked, roots, scanned, allocated, overhead;
    size_t goal, trigger;
};

struct scenario {
    const char *name;
    int percent;
    size_t limit;
    bool stops;
    struct step steps[6]; /* up to one that is all 0 */
};

static const struct scenario scenarios[] = {
    {"steady state",
     100,
     GC_NO_LIMIT,
     true,
     {{.marked = 100 * MB, .goal = 200 * MB, .trigger = 200 * MB},
      {.marked = 100 * MB, .goal = 200 * MB, .trigger = 200 * MB}}},
    {"a small heap waits for 4 MB",
     100,
     GC_NO_LIMIT,
     true,
     {{.marked = MB, .goal = 4 * MB, .trigger = 4 * MB},
      {.marked = 0, .goal = 4 * MB, .trigger = 4 * MB}}},
    {"and for half of that at 50%",
     50,
     GC_NO_LIMIT,
     true,
     {{.marked = MB, .goal = 2 * MB, .trigger = 2 * MB}}},
    {"growth",
     100,
     GC_NO_LIMIT,
     true,
     {{.marked = 10 * MB, .goal = 20 * MB, .trigger = 20 * MB},
      {.marked = 20 * MB, .goal = 40 * MB, .trigger = 40 * MB},
      {.marked = 40 * MB, .goal = 80 * MB, .trigger = 80 * MB}}},
    {"roots count as heap does",
     100,
     GC_NO_LIMIT,
     true,
     {{.marked = 10 * MB, .roots = 90 * MB, .goal = 110 * MB, .trigger = 110 * MB}}},
    {"200%", 200, GC_NO_LIMIT, true, {{.marked = 10 * MB, .goal = 30 * MB, .trigger = 30 * MB}}},
    {"a slow program triggers at 95% of the way",
     100,
     GC_NO_LIMIT,
     false,
     {{.marked = 100 * MB,
       .scanned = 100 * MB,
       .allocated = MB,
       .goal = 200 * MB,
       .trigger = 195 * MB}}},
    {"one that allocates fast, earlier",
     100,
     GC_NO_LIMIT,
     false,
     {{.marked = 100 * MB,
       .scanned = 100 * MB,
       .allocated = 20 * MB,
       .goal = 200 * MB,
       .trigger = 180 * MB}}},
    {"a burst, at 70% at the earliest, and it is remembered",
     100,
     GC_NO_LIMIT,
     false,
     {{.marked = 100 * MB,
       .scanned = 100 * MB,
       .allocated = 300 * MB,
       .goal = 200 * MB,
       .trigger = 170 * MB},
      {.marked = 100 * MB, .scanned = 100 * MB, .goal = 200 * MB, .trigger = 170 * MB},
      {.marked = 100 * MB, .scanned = 100 * MB, .goal = 200 * MB, .trigger = 170 * MB},
      {.marked = 100 * MB, .scanned = 100 * MB, .goal = 200 * MB, .trigger = 170 * MB},
      {.marked = 100 * MB, .scanned = 100 * MB, .goal = 200 * MB, .trigger = 195 * MB}}},
    {"the limit is nearer than the percentage",
     100,
     150 * MB,
     true,
     {{.marked = 100 * MB, .overhead = 10 * MB, .goal = 140 * MB, .trigger = 140 * MB}}},
    {"the limit can't be kept",
     100,
     50 * MB,
     true,
     {{.marked = 100 * MB, .goal = 105 * MB + 65536, .trigger = 105 * MB + 65536}}},
    {"only the limit counts",
     GC_PERCENT_OFF,
     150 * MB,
     true,
     {{.marked = MB, .goal = 150 * MB, .trigger = 150 * MB}}},
    {"nothing counts",
     GC_PERCENT_OFF,
     GC_NO_LIMIT,
     true,
     {{.marked = 100 * MB, .goal = SIZE_MAX, .trigger = SIZE_MAX}}},
};

/* Rounding of a percentage may be a byte off. */
static void assert_near(size_t is, size_t should, const char *what, const char *name)
{
    size_t off = is > should ? is - should : should - is;
    if (off > 64)
        fail_msg("%s: the %s is %zu, not %zu", name, what, is, should);
}

static void goals_and_triggers_are_as_the_table_has_them(void **state)
{
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        const struct scenario *scenario = &scenarios[i];
        struct gc_pacer pacer;
        gc_pacer_init(&pacer, scenario->percent, scenario->limit, scenario->stops, 0);
        for (const struct step *step = scenario->steps; step->goal; step++) {
            struct gc_result result = {.marked = step->marked,
                                       .roots = step->roots,
                                       .scanned = step->scanned,
                                       .allocated = step->allocated,
                                       .overhead = step->overhead};
            gc_pacer_ended(&pacer, &result);
            assert_near(pacer.goal, step->goal, "goal", scenario->name);
            assert_near(pacer.trigger, step->trigger, "trigger", scenario->name);
            assert_true(pacer.trigger <= pacer.goal);
        }
    }
}

static void a_cycle_is_due_at_the_trigger(void **state)
{
    struct gc_pacer pacer;
    gc_pacer_init(&pacer, 100, GC_NO_LIMIT, true, 0);
    assert_int_equal(gc_pacer_due(&pacer, 4 * MB - 1, 0), GC_NO_REASON);
    assert_int_equal(gc_pacer_due(&pacer, 4 * MB, 0), GC_REASON_HEAP);
}

static void a_cycle_is_due_after_two_minutes(void **state)
{
    struct gc_pacer pacer;
    gc_pacer_init(&pacer, 100, GC_NO_LIMIT, true, 5 * GC_SECOND);
    assert_int_equal(gc_pacer_due(&pacer, 0, 124 * GC_SECOND), GC_NO_REASON);
    assert_int_equal(gc_pacer_due(&pacer, 0, 125 * GC_SECOND), GC_REASON_TIME);
    gc_pacer_set(&pacer, GC_PERCENT_OFF, GC_NO_LIMIT);
    assert_int_equal(gc_pacer_due(&pacer, 0, 1000 * GC_SECOND), GC_NO_REASON);
}

static void a_new_percentage_counts_at_once(void **state)
{
    struct gc_pacer pacer;
    struct gc_result result = {.marked = 100 * MB};
    gc_pacer_init(&pacer, 100, GC_NO_LIMIT, true, 0);
    gc_pacer_ended(&pacer, &result);
    gc_pacer_set(&pacer, 50, GC_NO_LIMIT);
    assert_int_equal(pacer.goal, 150 * MB);
}

static void huge_figures_do_not_wrap(void **state)
{
    struct gc_pacer pacer;
    struct gc_result result = {.marked = SIZE_MAX / 2, .roots = SIZE_MAX / 2, .overhead = SIZE_MAX};
    gc_pacer_init(&pacer, 1000, SIZE_MAX - 1, true, 0);
    gc_pacer_ended(&pacer, &result);
    assert_true(pacer.goal >= result.marked);
}

/* --- While a cycle is under way --- */

static const struct {
    const char *name;
    struct gc_progress progress; /* of a heap with 100 MB alive, of which 80 MB were looked at */
    size_t limit;
    double asked; /* for a byte */
} paces[] = {
    {"at the trigger, all of it is left", {170 * MB, 170 * MB, 0, 0}, GC_NO_LIMIT, 80.0 / 30},
    {"half way in both", {170 * MB, 185 * MB, 40 * MB, 0}, GC_NO_LIMIT, 40.0 / 15},
    {"the collector is ahead", {170 * MB, 175 * MB, 70 * MB, 0}, GC_NO_LIMIT, 10.0 / 25},
    {"the program is", {170 * MB, 199 * MB, 10 * MB, 0}, GC_NO_LIMIT, 70},
    {"it has come to the goal", {170 * MB, 200 * MB, 10 * MB, 0}, GC_NO_LIMIT, 128},
    {"and beyond", {170 * MB, 900 * MB, 10 * MB, 0}, GC_NO_LIMIT, 128},
    {"more lives than before", {170 * MB, 190 * MB, 90 * MB, 0}, GC_NO_LIMIT, 80.0 / 30},
    {"all was looked at", {170 * MB, 190 * MB, 200 * MB, 0}, GC_NO_LIMIT, 1.0 / 16 / 30},
    {"only what was written is left", {170 * MB, 190 * MB, 0, 1}, GC_NO_LIMIT, 20.0 / 30},
    {"the same, and nothing grew", {170 * MB, 170 * MB, 0, 1}, GC_NO_LIMIT, 1.0 / 16 / 50},
    {"the same, for the third time", {170 * MB, 190 * MB, 0, 3}, GC_NO_LIMIT, 80.0 / 30},
    {"the same, at the hard goal", {170 * MB, 220 * MB, 0, 1}, GC_NO_LIMIT, 128},
    {"the limit has set the goal", {120 * MB, 130 * MB, 0, 0}, 150 * MB, 80.0 / 20},
};

static struct gc_pacer pacer_of(size_t limit)
{
    struct gc_pacer pacer;
    struct gc_result result = {.marked = 100 * MB, .scanned = 80 * MB};
    gc_pacer_init(&pacer, 100, limit, false, 0);
    gc_pacer_ended(&pacer, &result);
    return pacer;
}

static void threads_pay_as_the_table_has_it(void **state)
{
    for (size_t i = 0; i < COUNT(paces); i++) {
        struct gc_pacer pacer = pacer_of(paces[i].limit);
        size_t asked = gc_pacer_assist(&pacer, &paces[i].progress);
        double off = (double)asked - paces[i].asked * GC_ASSIST_UNIT;
        if (off > 1 || off < -1)
            fail_msg("%s: %zu are asked for", paces[i].name, asked);
    }
}

static void without_a_goal_nobody_pays(void **state)
{
    struct gc_pacer pacer;
    struct gc_progress progress = {MB, MB, 0, 0};
    gc_pacer_init(&pacer, GC_PERCENT_OFF, GC_NO_LIMIT, false, 0);
    assert_int_equal(gc_pacer_assist(&pacer, &progress), 0);
}

static void only_the_limit_s_goal_is_limited(void **state)
{
    struct gc_pacer free = pacer_of(GC_NO_LIMIT), limited = pacer_of(150 * MB);
    assert_false(gc_pacer_is_limited(&free));
    assert_true(gc_pacer_is_limited(&limited));
}

/* Two processors; so long the threads assist in each second, and after so many of them they need no
 * more; 0: they always need. */
static const struct {
    const char *name;
    uint64_t assist; /* nanoseconds in a second of two processors */
    bool marking;
    unsigned limited_after;
} efforts[] = {
    {"nobody assists", 0, true, 0},
    {"half of the time is taken", GC_SECOND / 2, true, 0},
    {"three quarters", GC_SECOND, true, 2},
    {"all of it", 3 * GC_SECOND / 2, true, 1},
    {"more than there is", 10 * GC_SECOND, true, 1},
    {"half of it, and no marking", GC_SECOND, false, 0},
};

static void threads_do_no_more_than_half(void **state)
{
    for (size_t i = 0; i < COUNT(efforts); i++) {
        struct gc_limiter limiter;
        gc_limiter_init(&limiter, 2, 0);
        for (unsigned second = 1; second <= 10; second++) {
            bool limited = gc_limiter_update(&limiter, second * GC_SECOND, efforts[i].assist,
                                             efforts[i].marking);
            bool should = efforts[i].limited_after && second >= efforts[i].limited_after;
            if (limited != should)
                fail_msg("%s: after %u s", efforts[i].name, second);
        }
    }
}

static void a_pause_pays_the_limiter_off(void **state)
{
    struct gc_limiter limiter;
    gc_limiter_init(&limiter, 2, 0);
    assert_true(gc_limiter_update(&limiter, GC_SECOND, 3 * GC_SECOND, true));
    assert_false(gc_limiter_update(&limiter, 2 * GC_SECOND, 0, false));
    assert_false(gc_limiter_update(&limiter, 3 * GC_SECOND, 3 * GC_SECOND / 2, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goals_and_triggers_are_as_the_table_has_them),
        cmocka_unit_test(a_cycle_is_due_at_the_trigger),
        cmocka_unit_test(a_cycle_is_due_after_two_minutes),
        cmocka_unit_test(a_new_percentage_counts_at_once),
        cmocka_unit_test(huge_figures_do_not_wrap),
        cmocka_unit_test(threads_pay_as_the_table_has_it),
        cmocka_unit_test(without_a_goal_nobody_pays),
        cmocka_unit_test(only_the_limit_s_goal_is_limited),
        cmocka_unit_test(threads_do_no_more_than_half),
        cmocka_unit_test(a_pause_pays_the_limiter_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
