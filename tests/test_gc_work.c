// SPDX-License-Identifier: MIT
/* The rings of those who mark: numbers stand for spans, each brings two more until there are
 * enough. */
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "gc/work.h"
#include "mheap/mheap.h"

#define NUMBERS 1000000
#define THREADS 3

static atomic_uchar seen[NUMBERS + 1];
static atomic_bool finished;
static atomic_bool begun; /* one that isn't the owner has the first number */

static void deal_with(struct marker *marker, uint32_t number)
{
    atomic_fetch_add(&seen[number], 1);
    for (uint32_t next = 2 * number; next <= 2 * number + 1 && next <= NUMBERS; next++)
        if (!work_put(marker, next))
            abort();
}

static unsigned deal_with_some(struct marker *marker, unsigned most)
{
    uint32_t numbers[WORK_BATCH];
    unsigned count = work_take(marker, numbers, most);
    if (count && numbers[0] == 1) { /* all there is, for a while, is in its hands */
        atomic_store(&begun, true);
        usleep(2000);
    }
    for (unsigned i = 0; i < count; i++)
        deal_with(marker, numbers[i]);
    return count;
}

/* Comes and goes, and leaves what it has put in its ring. */
static void *help(void *unused)
{
    while (!atomic_load(&finished)) {
        struct marker *marker = work_enter();
        if (!marker)
            continue;
        deal_with_some(marker, 2);
        work_leave(marker);
    }
    return unused;
}

static void prepare(size_t spans)
{
    assert_true(mheap_init());
    assert_true(work_prepare(spans));
    work_reset();
}

static void each_is_taken_once(void **state)
{
    pthread_t threads[THREADS];
    prepare(NUMBERS * 2);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, help, NULL), 0);
    assert_true(work_put(work_own(), 1));
    work_open();
    while (!atomic_load(&begun))
        continue;
    while (!work_is_done(false))
        deal_with_some(work_own(), 2);
    for (unsigned i = 1; i <= NUMBERS; i++)
        assert_int_equal(atomic_load(&seen[i]), 1);
    work_close(false);
    atomic_store(&finished, true);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void what_came_first_goes_first(void **state)
{
    uint32_t out[WORK_BATCH];
    prepare(64);
    for (uint32_t i = 1; i <= 10; i++)
        assert_true(work_put(work_own(), i));
    assert_int_equal(work_peek(work_own(), 2), 3);
    assert_int_equal(work_peek(work_own(), 10), 0);
    assert_int_equal(work_take(work_own(), out, 4), 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(out[i], i + 1);
    assert_false(work_is_done(false));
    assert_int_equal(work_take(work_own(), out, WORK_BATCH), 6);
    assert_int_equal(out[5], 10);
    assert_true(work_is_done(false));
}

static void a_thief_takes_half(void **state)
{
    uint32_t out[WORK_BATCH];
    prepare(64);
    work_open();
    struct marker *thief = work_enter();
    assert_non_null(thief);
    for (uint32_t i = 1; i <= 9; i++)
        assert_true(work_put(work_own(), i));
    assert_int_equal(work_take(thief, out, WORK_BATCH), 5);
    assert_false(work_is_done(false)); /* it is inside */
    work_leave(thief);
    work_close(false);
}

static void a_full_ring_refuses(void **state)
{
    uint32_t out[WORK_BATCH];
    size_t room = 0;
    prepare(64);
    while (room < NUMBERS * 10 && work_put(work_own(), 7))
        room++;
    assert_in_range(room, 64, NUMBERS * 10 - 1);
    assert_int_equal(work_take(work_own(), out, 1), 1);
    assert_true(work_put(work_own(), 8));
    assert_false(work_put(work_own(), 9));
}

static void nobody_enters_what_is_closed(void **state)
{
    prepare(64);
    assert_null(work_enter());
    work_open();
    struct marker *marker = work_enter();
    assert_non_null(marker);
    work_leave(marker);
    work_close(false);
    assert_null(work_enter());
}

/* A thread that was stopped on its way in, as it found it closed. */
static void a_stopped_thread_is_not_waited_for(void **state)
{
    prepare(64);
    work_open();
    struct marker *theirs = work_enter();
    assert_non_null(theirs);
    assert_false(work_is_done(false));
    assert_true(work_is_done(true));
    work_close(true);
    work_leave(theirs);
    work_open();
    struct marker *ours = work_enter_own();
    assert_non_null(ours);
    assert_false(work_is_done(true));
    work_leave_own(ours);
    assert_true(work_is_done(true));
    work_close(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_taken_once),
        cmocka_unit_test(what_came_first_goes_first),
        cmocka_unit_test(a_thief_takes_half),
        cmocka_unit_test(a_full_ring_refuses),
        cmocka_unit_test(nobody_enters_what_is_closed),
        cmocka_unit_test(a_stopped_thread_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
