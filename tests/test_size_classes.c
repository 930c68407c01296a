// SPDX-License-Identifier: MIT
/*
 * test_size_classes.c: the promises of src/size_classes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "size_classes/size_classes.h"

static void class_zero_is_no_class(void **state)
{
    (void)state;
    assert_int_equal(size_classes[0].size, 0);
    assert_int_equal(size_class_of(CLASS_SIZE_MAX + 1), 0);
    assert_int_equal(size_class_of(SIZE_MAX), 0);
}

static void sizes_rise_by_multiples_of_16(void **state)
{
    (void)state;
    for (unsigned c = 1; c < SIZE_CLASS_COUNT; c++) {
        assert_true(size_classes[c].size > size_classes[c - 1].size);
        assert_int_equal(size_classes[c].size % MIN_ALIGN, 0);
    }
    assert_int_equal(size_classes[SIZE_CLASS_COUNT - 1].size, CLASS_SIZE_MAX);
}

static void objects_fill_their_span(void **state)
{
    (void)state;
    for (unsigned c = 1; c < SIZE_CLASS_COUNT; c++) {
        size_t span = size_classes[c].pages * HEAP_PAGE;
        size_t used = (size_t)size_classes[c].objects * size_classes[c].size;
        assert_true(used <= span);
        assert_true(span - used <= span / 8);
        assert_in_range(size_classes[c].objects, 1, SPAN_OBJECTS_MAX);
        assert_in_range(size_classes[c].magazine_capacity, 1, MAGAZINE_CAPACITY_MAX);
    }
}

static void a_request_gets_the_smallest_class_that_holds_it(void **state)
{
    (void)state;
    unsigned expected = 1;
    for (size_t size = 0; size <= CLASS_SIZE_MAX; size++) {
        if (size > size_classes[expected].size)
            expected++;
        assert_int_equal(size_class_of(size), expected);
    }
}

static void inverse_divides_every_offset_of_a_span(void **state)
{
    (void)state;
    for (unsigned c = 1; c < SIZE_CLASS_COUNT && size_classes[c].size <= SMALL_MAX; c++) {
        size_t span = size_classes[c].pages * HEAP_PAGE;
        for (uint64_t offset = 0; offset < span; offset += MIN_ALIGN)
            assert_int_equal((offset * size_classes[c].inverse) >> 32,
                             offset / size_classes[c].size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_zero_is_no_class),
        cmocka_unit_test(sizes_rise_by_multiples_of_16),
        cmocka_unit_test(objects_fill_their_span),
        cmocka_unit_test(a_request_gets_the_smallest_class_that_holds_it),
        cmocka_unit_test(inverse_divides_every_offset_of_a_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
