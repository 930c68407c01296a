// SPDX-License-Identifier: MIT
/* The pacer, which is shown samples with times of the test's own making: nothing here sleeps. And
 * what the scavenger does to a heap when it is told to give back. */
#include "support/test.h"

#include "mcentral/mcentral.h"
#include "mheap/mheap.h"
#include "options/options.h"
#include "scavenger/limit.h"
#include "scavenger/pacer.h"
#include "scavenger/scavenger.h"
#include "support/objects.h"

#define MB         ((size_t)1 << 20)
#define SECONDS(n) ((uint64_t)((n)*1e9))

/* A program with a pacer, as far as the pacer knows it. */
struct program {
    struct pacer pacer;
    uint64_t now;
    size_t in_use, peak, free, kept;
};

static void program_start(struct program *program)
{
    *program = (struct program){.now = SECONDS(1000)};
    pacer_init(&program->pacer, program->now);
}

static void use(struct program *program, size_t in_use, size_t free)
{
    program->in_use = in_use;
    program->peak = in_use > program->peak ? in_use : program->peak;
    program->free = free;
}

static struct pacer_sample sample_of(struct program *program)
{
    struct pacer_sample sample = {program->now, program->in_use, program->peak, program->free,
                                  program->kept};
    program->peak = program->in_use;
    return sample;
}

/* Shows the pacer a sample and releases what it says. */
static size_t look(struct program *program)
{
    struct pacer_sample sample = sample_of(program);
    size_t bytes = pacer_decide(&program->pacer, &sample);
    pacer_released(&program->pacer, &sample, bytes, bytes);
    program->free -= bytes;
    return bytes;
}

/* Uses so much, frees it all, and says how much was released. */
static size_t burst(struct program *program, size_t bytes)
{
    use(program, bytes, 0);
    look(program);
    use(program, 0, bytes);
    return look(program);
}

static void freed_memory_goes_at_once(void **state)
{
    struct program program;
    program_start(&program);
    assert_int_equal(burst(&program, 100 * MB), 100 * MB);
}

static void a_tenth_of_what_is_in_use_is_kept(void **state)
{
    struct program program;
    program_start(&program);
    use(&program, 200 * MB, 0);
    look(&program);
    use(&program, 100 * MB, 100 * MB);
    assert_int_equal(look(&program), 90 * MB);
    assert_int_equal(look(&program), 0);
}

static void what_the_collector_will_need_is_kept(void **state)
{
    struct program program;
    program_start(&program);
    use(&program, 200 * MB, 0);
    look(&program);
    program.kept = 150 * MB;
    use(&program, 100 * MB, 100 * MB);
    assert_int_equal(look(&program), 35 * MB);
    program.kept = 0;
    assert_int_equal(look(&program), 55 * MB);
}

static void little_stays(void **state)
{
    struct program program;
    program_start(&program);
    assert_int_equal(burst(&program, MB / 2 - 1), 0);
    assert_int_equal(burst(&program, MB / 2), MB / 2);
}

/* 5 ns a byte: 100 MB are held for half a second. */
#define HOLD_OF_100_MB ((uint64_t)100 * MB * 5)

static void what_was_released_in_vain_is_held_next_time(void **state)
{
    struct program program;
    program_start(&program);
    assert_int_equal(burst(&program, 100 * MB), 100 * MB);
    program.now += SECONDS(0.4);
    assert_int_equal(burst(&program, 100 * MB), 0);
    assert_int_equal(program.pacer.hold, HOLD_OF_100_MB);
    program.now += HOLD_OF_100_MB - 1;
    assert_int_equal(look(&program), 0);
    program.now += 1;
    assert_int_equal(look(&program), 100 * MB);
}

static void what_stayed_away_long_enough_is_not_regretted(void **state)
{
    struct program program;
    program_start(&program);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(burst(&program, 100 * MB), 100 * MB);
        program.now += HOLD_OF_100_MB + 1;
    }
    assert_int_equal(program.pacer.hold, 0);
}

static void a_sawtooth_keeps_its_memory(void **state)
{
    struct program program;
    size_t released = 0;
    program_start(&program);
    for (int second = 0; second < 30; second++) {
        released += burst(&program, 500 * MB);
        program.now += SECONDS(1);
    }
    assert_int_equal(released, 500 * MB); /* the first tooth */
}

static void every_regret_doubles_the_hold_up_to_a_bound(void **state)
{
    struct program program;
    uint64_t expected = HOLD_OF_100_MB;
    program_start(&program);
    burst(&program, 100 * MB);
    for (int i = 0; i < 6; i++) {
        program.now += SECONDS(0.1);
        use(&program, 100 * MB, 0);
        look(&program); /* regret */
        assert_int_equal(program.pacer.hold, expected);
        expected = expected * 2 < SECONDS(8) ? expected * 2 : SECONDS(8);
        use(&program, 0, 100 * MB);
        look(&program);
        program.now += program.pacer.hold;
        assert_int_equal(look(&program), 100 * MB);
    }
}

/* Twice what was regretted, however large the heap was. */
static void a_small_regret_holds_little_back(void **state)
{
    struct program program;
    program_start(&program);
    assert_int_equal(burst(&program, 10 * MB), 10 * MB);
    use(&program, 1000 * MB, 0);
    look(&program);
    assert_true(program.pacer.hold > 0);
    use(&program, 0, 1000 * MB);
    assert_int_equal(look(&program), 978 * MB); /* and a tenth of those 20 */
}

static void a_release_without_regret_shortens_the_hold(void **state)
{
    struct program program;
    program_start(&program);
    program.pacer.hold = SECONDS(4);
    program.pacer.regretted = 100 * MB;
    use(&program, 100 * MB, 0);
    look(&program);
    use(&program, 0, 100 * MB);
    assert_int_equal(look(&program), 0);
    program.now += SECONDS(4);
    assert_int_equal(look(&program), 100 * MB);
    program.now += SECONDS(4) + HOLD_OF_100_MB + 1;
    look(&program);
    assert_int_equal(program.pacer.hold, SECONDS(2));
}

static void the_regret_level_is_half_of_what_was_released(void **state)
{
    struct program program;
    program_start(&program);
    assert_true(pacer_regret_level(&program.pacer) == SIZE_MAX);
    use(&program, 200 * MB, 0);
    look(&program);
    use(&program, 100 * MB, 100 * MB);
    look(&program);
    assert_int_equal(pacer_regret_level(&program.pacer), 145 * MB);
}

/* 0.1 ms a megabyte: 10 GB cost a second, and a second is to be had in a hundred. */
static void releasing_takes_a_hundredth_of_the_time(void **state)
{
    struct program program;
    size_t released = 0;
    program_start(&program);
    for (int i = 0; i < 6000; i++) { /* ten minutes */
        program.now += SECONDS(0.1);
        use(&program, 0, 1000 * MB);
        released += look(&program);
    }
    uint64_t cost = (uint64_t)(released / MB) * 100000;
    assert_in_range(cost, SECONDS(5.9), SECONDS(6.3));
}

static void it_is_due_while_something_waits(void **state)
{
    struct program program;
    program_start(&program);
    program.pacer.hold = SECONDS(2);
    program.pacer.regretted = 100 * MB;
    use(&program, 100 * MB, 0);
    look(&program);
    use(&program, 0, 100 * MB);
    assert_int_equal(look(&program), 0);
    struct pacer_sample sample = sample_of(&program);
    assert_int_equal(pacer_due(&program.pacer, &sample), program.now + SECONDS(2));
    program.now += SECONDS(2);
    assert_int_equal(look(&program), 100 * MB);
    sample = sample_of(&program);
    assert_int_equal(pacer_due(&program.pacer, &sample), 0);
}

/* Each grows back soon: but the megabytes add up to what one that shrinks for good gives back. */
static void small_releases_in_vain_are_noticed_after_large_ones(void **state)
{
    struct program program;
    program_start(&program);
    assert_int_equal(burst(&program, 500 * MB), 500 * MB);
    for (int i = 0; i < 3 && program.pacer.hold == 0; i++) {
        program.now += SECONDS(0.001);
        burst(&program, 2 * MB);
    }
    assert_true(program.pacer.hold > 0);
}

/* --- The limit --- */

#define LIMIT (200 * MB)

static struct limit_sample held(uint64_t now, size_t bytes, size_t free)
{
    return (struct limit_sample){now, bytes, free};
}

static void without_a_limit_nothing_is_asked(void **state)
{
    struct limit limit = {.bytes = SIZE_MAX};
    assert_true(limit_level(&limit) == SIZE_MAX);
}

static void below_its_level_nothing_is_released(void **state)
{
    struct limit limit = {.bytes = LIMIT};
    struct limit_sample sample = held(1, limit_level(&limit), 50 * MB);
    assert_in_range(limit_level(&limit), LIMIT * 9 / 10, LIMIT - 1);
    assert_int_equal(limit_release(&limit, &sample), 0);
    assert_false(limit_drain_due(&limit, &sample));
    sample.held++;
    assert_true(limit_release(&limit, &sample) > 0);
}

static void near_the_limit_as_much_is_released_as_leads_well_below(void **state)
{
    struct limit limit = {.bytes = LIMIT};
    struct limit_sample sample = held(1, LIMIT, 50 * MB);
    size_t bytes = limit_release(&limit, &sample);
    assert_in_range(bytes, 10 * MB, 20 * MB);
    sample.free = bytes - 1;
    assert_int_equal(limit_release(&limit, &sample), bytes - 1);
}

/* A program that holds more than it may, for good, isn't to make a system call for each page. */
static void crumbs_are_not_released(void **state)
{
    struct limit limit = {.bytes = LIMIT};
    struct limit_sample sample = held(1, 2 * LIMIT, 8192);
    assert_int_equal(limit_release(&limit, &sample), 0);
    limit.bytes = 0;
    assert_int_equal(limit_release(&limit, &sample), 0);
}

static void a_drain_waits_for_three_times_what_the_last_took(void **state)
{
    struct limit limit = {.bytes = LIMIT};
    struct limit_sample sample = held(SECONDS(5), 2 * LIMIT, 0);
    assert_true(limit_drain_due(&limit, &sample));
    limit_drained(&limit, SECONDS(5), SECONDS(5.01));
    sample.now = SECONDS(5.04) - 1;
    assert_false(limit_drain_due(&limit, &sample));
    sample.now = SECONDS(5.04);
    assert_true(limit_drain_due(&limit, &sample));
    sample.held = LIMIT / 2;
    assert_false(limit_drain_due(&limit, &sample));
}

static void times_over_the_limit_are_counted_and_timed(void **state)
{
    struct limit limit = {.bytes = LIMIT};
    const struct limit_sample samples[] = {
        held(SECONDS(1), LIMIT, 0),     held(SECONDS(2), LIMIT + 1, 0),
        held(SECONDS(3), LIMIT + 9, 0), held(SECONDS(4), LIMIT, 0),
        held(SECONDS(5), 0, 0),         held(SECONDS(7), 2 * LIMIT, 0),
        held(SECONDS(7.5), LIMIT, 0),
    };
    for (size_t i = 0; i < COUNT(samples); i++) {
        limit_watch(&limit, &samples[i]);
        /* While it is over it wants to see it fall. */
        assert_int_equal(limit_level(&limit) == 0, samples[i].held > LIMIT);
    }
    assert_int_equal(limit.times_over, 2);
    assert_int_equal(limit.time_over, SECONDS(2.5));
}

/* --- What becomes of the heap --- */

static void release_all_leaves_nothing_dirty_but_what_it_is_told(void **state)
{
    struct mheap_levels levels;
    assert_true(mheap_init());
    struct span *span = mheap_alloc_large(1024, HEAP_PAGE, CONTENTS_ANY);
    memset((void *)span_address(span), 1, 1024 * HEAP_PAGE);
    mheap_free_large(span);
    mheap_read_levels(&levels);
    assert_int_equal(levels.free_dirty, 1024 * HEAP_PAGE);
    assert_int_equal(scavenger_release_all(MB), 7 * MB);
    mheap_read_levels(&levels);
    assert_int_equal(levels.free_dirty, MB);
    assert_int_equal(scavenger_release_all(0), MB);
    assert_int_equal(scavenger_release_all(0), 0);
    mheap_check();
}

static size_t held_now(void)
{
    struct scavenger_stats stats;
    scavenger_read_stats(&stats);
    return stats.held;
}

/* The scavenger itself is off: what happens is the limit's doing. */
static void a_limit_has_free_pages_released_at_once(void **state)
{
    struct mheap_levels levels;
    assert_true(mheap_init());
    options.scavenge = false;
    struct span *span = mheap_alloc_large(4096, HEAP_PAGE, CONTENTS_ANY);
    memset((void *)span_address(span), 1, 4096 * HEAP_PAGE);
    mheap_free_large(span);
    scavenger_tick();
    mheap_read_levels(&levels);
    assert_true(levels.free_dirty >= 4096 * HEAP_PAGE);
    scavenger_set_limit(held_now() - 8 * MB);
    scavenger_tick();
    mheap_read_levels(&levels);
    assert_in_range(levels.free_dirty, 16 * MB, 24 * MB);
    scavenger_set_limit(UINT64_MAX);
    scavenger_release_all(0);
    options.scavenge = true;
}

/* Objects in this thread's cache and in a depot keep their spans; the limit has them go. */
static void over_a_limit_the_caches_are_drained(void **state)
{
    enum { CLASS = 20, COUNT_OF_OBJECTS = 4000 };
    static void *objects[COUNT_OF_OBJECTS];
    struct mheap_levels levels;
    struct scavenger_stats stats;
    options.scavenge = false;
    scavenger_release_all(0);
    mheap_read_levels(&levels);
    size_t before = levels.in_use;
    for (size_t i = 0; i < COUNT_OF_OBJECTS; i++)
        objects[i] = object_alloc(CLASS);
    for (size_t i = 0; i < COUNT_OF_OBJECTS; i++)
        object_free(objects[i]);
    mheap_read_levels(&levels);
    assert_true(levels.in_use > before + MB);
    scavenger_set_limit(MB / 4); /* less than the tables */
    scavenger_tick();
    mheap_read_levels(&levels);
    assert_int_equal(levels.in_use, before);
    scavenger_read_stats(&stats);
    assert_int_equal(stats.limit, MB / 4);
    assert_int_equal(stats.times_over, 1);
    scavenger_set_limit(UINT64_MAX);
    options.scavenge = true;
}

static size_t dirty_after_burst(size_t pages)
{
    struct mheap_levels levels;
    struct span *span = mheap_alloc_large(pages, HEAP_PAGE, CONTENTS_ANY);
    assert_non_null(span);
    mheap_free_large(span);
    scavenger_tick();
    mheap_read_levels(&levels);
    return levels.free_dirty;
}

/* The heap grew back, but has shrunk again by the time that the scavenger looks: no cache did that.
 * Untouched, and so much that it may take more than a second to come back.
 */
static void what_came_back_between_two_looks_is_regretted(void **state)
{
    enum { PAGES = 32768 };
    assert_true(mheap_init());
    scavenger_release_all(0);
    assert_true(dirty_after_burst(PAGES) < PAGES * HEAP_PAGE / 8);
    assert_true(dirty_after_burst(PAGES) >= PAGES * HEAP_PAGE * 7 / 8);
    scavenger_release_all(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_memory_goes_at_once),
        cmocka_unit_test(small_releases_in_vain_are_noticed_after_large_ones),
        cmocka_unit_test(without_a_limit_nothing_is_asked),
        cmocka_unit_test(below_its_level_nothing_is_released),
        cmocka_unit_test(near_the_limit_as_much_is_released_as_leads_well_below),
        cmocka_unit_test(crumbs_are_not_released),
        cmocka_unit_test(a_drain_waits_for_three_times_what_the_last_took),
        cmocka_unit_test(times_over_the_limit_are_counted_and_timed),
        cmocka_unit_test(a_limit_has_free_pages_released_at_once),
        cmocka_unit_test(over_a_limit_the_caches_are_drained),
        cmocka_unit_test(what_came_back_between_two_looks_is_regretted),
        cmocka_unit_test(a_tenth_of_what_is_in_use_is_kept),
        cmocka_unit_test(what_the_collector_will_need_is_kept),
        cmocka_unit_test(little_stays),
        cmocka_unit_test(what_was_released_in_vain_is_held_next_time),
        cmocka_unit_test(what_stayed_away_long_enough_is_not_regretted),
        cmocka_unit_test(a_sawtooth_keeps_its_memory),
        cmocka_unit_test(every_regret_doubles_the_hold_up_to_a_bound),
        cmocka_unit_test(a_small_regret_holds_little_back),
        cmocka_unit_test(a_release_without_regret_shortens_the_hold),
        cmocka_unit_test(the_regret_level_is_half_of_what_was_released),
        cmocka_unit_test(releasing_takes_a_hundredth_of_the_time),
        cmocka_unit_test(it_is_due_while_something_waits),
        cmocka_unit_test(release_all_leaves_nothing_dirty_but_what_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
