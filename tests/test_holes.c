// SPDX-License-Identifier: MIT
/* Holes: memory of free objects goes back from spans in which others are in use. */
#include "support/test.h"

#include "mcentral/internal.h"
#include "os/fault.h"
#include "os/os.h"

enum { SPANS = 200 };

static struct mheap_levels levels(void)
{
    struct mheap_levels now;
    mheap_read_levels(&now);
    return now;
}

static size_t walk(unsigned class, bool all)
{
    size_t bytes = 0;
    if (mcentral_begin_holes(class, all) == LOOK_WALK)
        while (mcentral_give_holes(class, &bytes))
            ;
    mcentral_check();
    mheap_check();
    return bytes;
}

/* Each object holds its own address, from end to end. */
static void write_object(void *object, size_t size)
{
    for (size_t i = 0; i < size / sizeof(void *); i++)
        ((void **)object)[i] = object;
}

static void check_object(void *object, size_t size)
{
    for (size_t i = 0; i < size / sizeof(void *); i++)
        assert_ptr_equal(((void **)object)[i], object);
}

/* Objects of so many spans, in order of address; one of each span stays, the others go. */
struct thinned {
    unsigned class, kept;
    void *objects[SPANS];
};

static void thin(struct thinned *out, unsigned class, unsigned spans)
{
    const struct size_class *row = &size_classes[class];
    const unsigned count = spans * row->objects;
    void **objects = calloc(count, sizeof(void *));
    assert_int_equal(mcentral_fill(class, objects, count), count);
    *out = (struct thinned){.class = class};
    for (unsigned i = 0; i < count; i++)
        write_object(objects[i], row->size);
    for (unsigned i = 0; i < count; i++)
        if (i % row->objects == row->objects / 2)
            out->objects[out->kept++] = objects[i];
        else
            mcentral_drain(class, &objects[i], 1);
    free(objects);
}

static void check_kept(const struct thinned *thinned)
{
    for (unsigned i = 0; i < thinned->kept; i++)
        check_object(thinned->objects[i], size_classes[thinned->class].size);
}

static void give_back(struct thinned *thinned)
{
    mcentral_drain(thinned->class, thinned->objects, thinned->kept);
    assert_int_equal(mcentrals[thinned->class].objects_out, 0);
}

/* Those pages of a span that an object doesn't touch. */
static size_t pages_beside(unsigned class, const void *object)
{
    const struct span *span = mheap_span_of(object);
    size_t used = (size_t)span->objects * span->size / 4096, at = (uintptr_t)object;
    size_t first = at / 4096, last = (at + size_classes[class].size - 1) / 4096;
    size_t behind = span_address(span) / 4096 + used; /* the last object may end inside a page */
    return used - (last < behind ? last - first + 1 : behind - first);
}

/* Of every class whose objects are smaller than their span. */
static void pages_without_an_object_in_use_go_back(void **state)
{
    for (unsigned class = 1; class < SIZE_CLASS_FIRST_PAGE_CLASS; class ++) {
        struct thinned thinned;
        size_t before = levels().holes, expected = 0, resident = 0;
        if (size_classes[class].objects == 1)
            continue;
        thin(&thinned, class, 20);
        for (unsigned i = 0; i < thinned.kept; i++)
            expected += pages_beside(class, thinned.objects[i]) * 4096;
        assert_int_equal(walk(class, true), expected);
        assert_int_equal(levels().holes, before + expected);
        for (unsigned i = 0; i < thinned.kept; i++) {
            const struct span *span = mheap_span_of(thinned.objects[i]);
            size_t bytes = (size_t)span->pages << HEAP_PAGE_SHIFT;
            resident += bytes - os_resident_in(span_address(span), bytes);
        }
        assert_true(resident >= expected);
        check_kept(&thinned);
        assert_int_equal(walk(class, true), 0); /* they are gone */
        give_back(&thinned);
        assert_int_equal(levels().holes, before);
    }
}

static void what_is_taken_again_is_no_hole(void **state)
{
    const unsigned class = size_class_of(1024), count = SPANS * (size_classes[class].objects - 1u);
    struct thinned thinned;
    void **objects = calloc(count, sizeof(void *));
    thin(&thinned, class, SPANS);
    assert_int_equal(walk(class, true), SPANS * 4096);
    assert_int_equal(mcentral_fill(class, objects, count / 2), count / 2);
    mcentral_check();
    for (unsigned i = 0; i < count / 2; i++)
        write_object(objects[i], 1024);
    assert_in_range(levels().holes, (SPANS / 2 - 1) * 4096, (SPANS / 2 + 1) * 4096);
    assert_int_equal(mcentral_fill(class, objects + count / 2, count / 2), count / 2);
    assert_int_equal(levels().holes, 0);
    check_kept(&thinned);
    mcentral_drain(class, objects, count);
    give_back(&thinned);
    free(objects);
}

/* As by a huge page, which the kernel makes of what is around it. */
static void a_hole_that_was_filled_goes_once_more(void **state)
{
    const unsigned class = size_class_of(4096);
    struct thinned thinned;
    thin(&thinned, class, 1);
    size_t went = walk(class, true);
    const struct span *span = mheap_span_of(thinned.objects[0]);
    uintptr_t hole = span_address(span) + (span->holes & 1 ? 0 : 4096);
    *(volatile char *)hole = 1;
    assert_int_equal(os_resident_in(hole, 4096), 4096);
    assert_int_equal(walk(class, true), 0); /* for the statistics it never came back */
    assert_int_equal(os_resident_in(hole, 4096), 0);
    assert_int_equal(levels().holes, went);
    give_back(&thinned);
}

static void a_zeroed_object_takes_its_hole(void **state)
{
    const unsigned class = size_class_of(4096);
    void *objects[3];
    for (unsigned i = 0; i < 3; i++)
        objects[i] = mcentral_take_zero(class);
    assert_true(walk(class, true) >= 5 * 4096u); /* all the others of the span, still untouched */
    size_t before = levels().holes;
    void *another = mcentral_take_zero(class);
    assert_int_equal(levels().holes, before - 4096);
    mcentral_check();
    mcentral_drain(class, objects, 3);
    mcentral_drain(class, &another, 1);
    assert_int_equal(levels().holes, 0);
}

/* Looks at what is free: the first knows nothing yet; between the next two a quarter moves. */
static void what_was_needed_meanwhile_stays(void **state)
{
    const unsigned class = size_class_of(4096), of_a_span = size_classes[class].objects;
    const unsigned spare = SPANS * (of_a_span - 1), needed = spare / 4;
    struct thinned thinned;
    void **objects = calloc(needed, sizeof(void *));
    thin(&thinned, class, SPANS);
    assert_int_equal(mcentral_begin_holes(class, false), LOOK_LATER);
    assert_int_equal(mcentral_fill(class, objects, needed), needed);
    mcentral_drain(class, objects, needed);
    size_t went = walk(class, false);
    assert_in_range(went, (size_t)(spare - needed - of_a_span) * 4096,
                    (size_t)(spare - needed) * 4096);
    assert_int_equal(mcentral_fill(class, objects, needed), needed); /* not from the holes */
    assert_int_equal(levels().holes, went);
    mcentral_drain(class, objects, needed);
    assert_int_equal(walk(class, false), 0); /* nothing more became unneeded */
    assert_true(walk(class, false) > 0);     /* now the quarter did */
    check_kept(&thinned);
    give_back(&thinned);
    free(objects);
}

/* Of the smallest objects nine tenths are free, at random, and no page is likely to be empty. */
static void hopeless_classes_are_not_walked(void **state)
{
    struct thinned thinned;
    const unsigned class = size_class_of(16);
    thin(&thinned, class, 4);
    assert_int_equal(mcentral_begin_holes(class, false), LOOK_NOTHING);
    assert_int_equal(mcentral_begin_holes(class, false), LOOK_NOTHING);
    assert_int_equal(mcentral_begin_holes(SIZE_CLASS_FIRST_PAGE_CLASS, true), LOOK_NOTHING);
    give_back(&thinned);
}

/* The span at which a walk would go on fills, or empties, between two steps. */
static void a_walk_goes_on_when_spans_leave(void **state)
{
    const unsigned class = size_class_of(2048);
    struct thinned thinned;
    size_t bytes = 0;
    thin(&thinned, class, SPANS);
    assert_int_equal(mcentral_begin_holes(class, true), LOOK_WALK);
    assert_true(mcentral_give_holes(class, &bytes));
    for (unsigned i = 0; i < 20; i++) {
        uint32_t at = mcentrals[class].hole_at;
        assert_true(at != 0);
        for (unsigned k = 0; k < thinned.kept; k++)
            if (mheap_span_of(thinned.objects[k]) == mheap_span_at(at)) {
                mcentral_drain(class, &thinned.objects[k], 1);
                thinned.objects[k] = thinned.objects[--thinned.kept];
                break;
            }
        assert_true(mcentrals[class].hole_at != at);
    }
    while (mcentral_give_holes(class, &bytes))
        ;
    assert_int_equal(bytes, levels().holes);
    mcentral_check();
    give_back(&thinned);
    assert_int_equal(levels().holes, 0);
}

#ifdef GOALLOC_DEBUG
static size_t walk_with_refusals(unsigned class, bool forever)
{
    atomic_store(&os_fault_kinds, OS_FAULT_MADVISE);
    atomic_store(&os_fault_forever, forever);
    atomic_store(&os_fault_at, 1);
    size_t bytes = walk(class, true);
    atomic_store(&os_fault_at, 0);
    atomic_store(&os_fault_forever, false);
    atomic_store(&os_fault_kinds, 0);
    return bytes;
}

/* One page is locked, say: the others go. */
static void a_refusal_costs_no_more_than_its_page(void **state)
{
    const unsigned class = size_class_of(1024);
    struct thinned thinned;
    thin(&thinned, class, SPANS);
    assert_int_equal(walk_with_refusals(class, false), (SPANS - 1) * 4096);
    assert_int_equal(levels().holes, (SPANS - 1) * 4096);
    assert_int_equal(walk(class, true), 4096);
    give_back(&thinned);
}

static void a_kernel_that_refuses_all_is_left_alone(void **state)
{
    const unsigned class = size_class_of(1024);
    struct thinned thinned;
    struct mheap_stats stats;
    size_t bytes = 0;
    thin(&thinned, class, SPANS);
    mheap_read_stats(&stats);
    size_t released = stats.released;
    assert_int_equal(walk_with_refusals(class, true), 0);
    mheap_read_stats(&stats);
    assert_int_equal(stats.holes, 0);
    assert_int_equal(stats.released, released);
    assert_true(mcentrals[class].hole_at != 0); /* it has given up half-way */
    assert_int_equal(mcentral_begin_holes(class, true), LOOK_WALK);
    while (mcentral_give_holes(class, &bytes))
        ;
    assert_int_equal(bytes, SPANS * 4096);
    give_back(&thinned);
}
#endif

/* Objects come, go, and are looked at; walks go on beside. */
static void objects_outlive_every_walk(void **state)
{
    enum { MANY = 4000 };
    static const unsigned sizes[] = {48, 512, 1024, 2688, 4096, 9472};
    struct dice dice = {5};
    void **objects = calloc(MANY, sizeof(void *));
    for (size_t s = 0; s < COUNT(sizes); s++) {
        const unsigned class = size_class_of(sizes[s]), size = size_classes[class].size;
        unsigned held = 0;
        size_t bytes = 0;
        for (unsigned i = 0; i < 20000; i++) {
            if (held < MANY && dice_below(&dice, MANY) > held / 2 + (i / 4000 % 2) * 1500) {
                assert_int_equal(mcentral_fill(class, &objects[held], 1), 1);
                write_object(objects[held++], size);
            } else if (held) {
                unsigned at = (unsigned)dice_below(&dice, held);
                check_object(objects[at], size);
                mcentral_drain(class, &objects[at], 1);
                objects[at] = objects[--held];
            }
            if (i % 100 == 0)
                mcentral_begin_holes(class, i % 1000 == 0);
            mcentral_give_holes(class, &bytes);
            if (i % 500 == 0)
                mcentral_check();
        }
        for (unsigned i = 0; i < held; i++)
            check_object(objects[i], size);
        mcentral_drain(class, objects, held);
        assert_int_equal(levels().holes, 0);
        assert_true(size < 1024 || bytes > 0);
    }
    mheap_check();
    free(objects);
}

/* Where the system's pages are larger than ours no span is sure to have a whole one. */
static void larger_pages_have_no_holes(void **state)
{
    struct thinned thinned;
    thin(&thinned, size_class_of(4096), SPANS);
    assert_int_equal(walk(thinned.class, true), 0);
    assert_int_equal(levels().holes, 0);
    give_back(&thinned);
}

/* In the library a thread's cache comes first, and with it the heap. */
static int start_heap(void **state)
{
    return mheap_init() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_without_an_object_in_use_go_back),
        cmocka_unit_test(what_is_taken_again_is_no_hole),
        cmocka_unit_test(a_hole_that_was_filled_goes_once_more),
        cmocka_unit_test(a_zeroed_object_takes_its_hole),
        cmocka_unit_test(what_was_needed_meanwhile_stays),
        cmocka_unit_test(hopeless_classes_are_not_walked),
        cmocka_unit_test(a_walk_goes_on_when_spans_leave),
#ifdef GOALLOC_DEBUG
        cmocka_unit_test(a_refusal_costs_no_more_than_its_page),
        cmocka_unit_test(a_kernel_that_refuses_all_is_left_alone),
#endif
        cmocka_unit_test(objects_outlive_every_walk),
    };
    const struct CMUnitTest of_large_pages[] = {cmocka_unit_test(larger_pages_have_no_holes)};
    return os_page_size() == 4096 ? cmocka_run_group_tests(tests, start_heap, NULL)
                                  : cmocka_run_group_tests(of_large_pages, start_heap, NULL);
}
