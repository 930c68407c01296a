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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goals_and_triggers_are_as_the_table_has_them),
        cmocka_unit_test(a_cycle_is_due_at_the_trigger),
        cmocka_unit_test(a_cycle_is_due_after_two_minutes),
        cmocka_unit_test(a_new_percentage_counts_at_once),
        cmocka_unit_test(huge_figures_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
