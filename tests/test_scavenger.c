// SPDX-License-Identifier: MIT
/* The pacer, which is shown samples with times of the test's own making: nothing here sleeps. And
 * what the scavenger does to a heap when it is told to give back. */
#include "support/test.h"

#include "mheap/mheap.h"
#include "scavenger/pacer.h"
#include "scavenger/scavenger.h"

#define MB         ((size_t)1 << 20)
#define SECONDS(n) ((uint64_t)((n)*1e9))

/* A program with a pacer, as far as the pacer knows it. */
struct program {
    struct pacer pacer;
    uint64_t now;
    size_t in_use, peak, free;
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
    struct pacer_sample sample = {program->now, program->in_use, program->peak, program->free};
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

static void a_release_without_regret_shortens_the_hold(void **state)
{
    struct program program;
    program_start(&program);
    program.pacer.hold = SECONDS(4);
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

static void release_all_leaves_nothing_dirty_but_what_it_is_told(void **state)
{
    struct mheap_levels levels;
    assert_true(mheap_init());
    struct span *span = mheap_alloc_large(1024, HEAP_PAGE);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_memory_goes_at_once),
        cmocka_unit_test(a_tenth_of_what_is_in_use_is_kept),
        cmocka_unit_test(little_stays),
        cmocka_unit_test(what_was_released_in_vain_is_held_next_time),
        cmocka_unit_test(what_stayed_away_long_enough_is_not_regretted),
        cmocka_unit_test(a_sawtooth_keeps_its_memory),
        cmocka_unit_test(every_regret_doubles_the_hold_up_to_a_bound),
        cmocka_unit_test(a_release_without_regret_shortens_the_hold),
        cmocka_unit_test(the_regret_level_is_half_of_what_was_released),
        cmocka_unit_test(releasing_takes_a_hundredth_of_the_time),
        cmocka_unit_test(it_is_due_while_something_waits),
        cmocka_unit_test(release_all_leaves_nothing_dirty_but_what_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
