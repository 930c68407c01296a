// SPDX-License-Identifier: MIT
/* The size classes' invariants, each over the whole table. */
#include "support/test.h"

#include "size_classes/size_classes.h"

#define FOR_EACH_CLASS(class) for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)

static size_t span_bytes(unsigned class)
{
    return (size_t)size_classes[class].pages << HEAP_PAGE_SHIFT;
}

static void sizes_rise_strictly_and_are_multiples_of_16(void **state)
{
    assert_int_equal(size_classes[0].size, 0);
    FOR_EACH_CLASS(class)
    {
        assert_true(size_classes[class].size > size_classes[class - 1].size);
        assert_int_equal(size_classes[class].size % MIN_ALIGN, 0);
    }
    assert_int_equal(size_classes[SIZE_CLASS_COUNT - 1].size, CLASS_SIZE_MAX);
}

static void the_last_object_ends_within_the_span(void **state)
{
    FOR_EACH_CLASS(class)
    {
        const struct size_class *c = &size_classes[class];
        assert_in_range(c->objects, 1, SPAN_OBJECTS_MAX);
        assert_true((size_t)c->objects * c->size <= span_bytes(class));
    }
}

static void a_span_leaves_at_most_an_eighth_unused(void **state)
{
    FOR_EACH_CLASS(class)
    {
        const struct size_class *c = &size_classes[class];
        size_t unused = span_bytes(class) - (size_t)c->objects * c->size;
        assert_true(unused <= span_bytes(class) / 8);
        assert_true(unused < c->size); /* and no room for one more */
    }
}

static void a_span_of_objects_up_to_a_page_holds_at_least_8(void **state)
{
    FOR_EACH_CLASS(class)
    if (size_classes[class].size <= HEAP_PAGE)
        assert_true(size_classes[class].objects >= 8);
}

static void page_classes_are_whole_pages_and_one_object_a_span(void **state)
{
    for (unsigned class = SIZE_CLASS_FIRST_PAGE_CLASS; class < SIZE_CLASS_COUNT; class ++) {
        assert_int_equal(size_classes[class].objects, 1);
        assert_int_equal(size_classes[class].size, span_bytes(class));
    }
    assert_int_equal(size_classes[SIZE_CLASS_FIRST_PAGE_CLASS - 1].size, SMALL_MAX);
}

static void the_class_of_a_size_is_the_smallest_that_holds_it(void **state)
{
    unsigned smallest = 1;
    for (size_t size = 0; size <= CLASS_SIZE_MAX; size++) {
        while (size_classes[smallest].size < size)
            smallest++;
        if (size_class_of(size) != smallest)
            fail_msg("%zu bytes: class %u, not %u", size, size_class_of(size), smallest);
    }
}

static void what_is_too_large_has_no_class(void **state)
{
    assert_int_equal(size_class_of(CLASS_SIZE_MAX + 1), 0);
    assert_int_equal(size_class_of(PTRDIFF_MAX), 0);
    assert_int_equal(size_class_of(SIZE_MAX), 0);
}

/* Of every multiple of 16 within a span: what free meets. A lone object is found by its address. */
static void the_inverse_divides_every_offset_exactly(void **state)
{
    FOR_EACH_CLASS(class)
    {
        const struct size_class *c = &size_classes[class];
        size_t end = c->size <= SMALL_MAX ? span_bytes(class) : 1;
        for (size_t offset = 0; offset < end; offset += MIN_ALIGN)
            if ((offset * c->inverse) >> 32 != offset / c->size)
                fail_msg("class %u, offset %zu", class, offset);
    }
}

/* How the central tells an interior pointer in a span of one object. */
static void no_offset_but_0_is_a_lone_objects_start(void **state)
{
    for (unsigned class = SIZE_CLASS_FIRST_PAGE_CLASS; class < SIZE_CLASS_COUNT; class ++) {
        const struct size_class *c = &size_classes[class];
        for (size_t offset = MIN_ALIGN; offset < c->size; offset += MIN_ALIGN)
            assert_true(((offset * c->inverse) >> 32) * c->size != offset);
    }
}

static void magazines_hold_between_one_and_the_most_objects(void **state)
{
    FOR_EACH_CLASS(class)
    {
        assert_in_range(size_classes[class].magazine_capacity, 1, MAGAZINE_CAPACITY_MAX);
        assert_in_range(size_classes[class].magazine_first, 1,
                        size_classes[class].magazine_capacity);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_rise_strictly_and_are_multiples_of_16),
        cmocka_unit_test(the_last_object_ends_within_the_span),
        cmocka_unit_test(a_span_leaves_at_most_an_eighth_unused),
        cmocka_unit_test(a_span_of_objects_up_to_a_page_holds_at_least_8),
        cmocka_unit_test(page_classes_are_whole_pages_and_one_object_a_span),
        cmocka_unit_test(the_class_of_a_size_is_the_smallest_that_holds_it),
        cmocka_unit_test(what_is_too_large_has_no_class),
        cmocka_unit_test(the_inverse_divides_every_offset_exactly),
        cmocka_unit_test(no_offset_but_0_is_a_lone_objects_start),
        cmocka_unit_test(magazines_hold_between_one_and_the_most_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
