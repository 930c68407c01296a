// SPDX-License-Identifier: MIT
/* The library's own state, written over: the slow path that reads it says so and ends the process.
 */
#include "support/test.h"

#include "mcentral/internal.h"
#include "mheap/internal.h"

enum { CLASS = 7, SPANS = 3 };

/* Spans of the class on its list, with one object out of each. */
static void list_spans(void **objects)
{
    unsigned per_span = size_classes[CLASS].objects;
    void *all[SPANS * SPAN_OBJECTS_MAX];
    CHILD_CHECK(mheap_init());
    CHILD_CHECK(mcentral_fill(CLASS, all, SPANS * per_span) == SPANS * per_span);
    for (unsigned i = 0; i < SPANS * per_span; i++)
        if (i % per_span)
            mcentral_drain(CLASS, &all[i], 1);
        else
            objects[i / per_span] = all[i];
}

static void break_list(void *forward)
{
    void *objects[SPANS];
    list_spans(objects);
    struct span *middle = mheap_span_at(mheap_span_at(mcentrals[CLASS].spans)->next);
    *(forward ? &middle->next : &middle->prev) = 0;
    for (unsigned i = 0; i < SPANS; i++)
        mcentral_drain(CLASS, &objects[i], 1);
}

static void a_broken_list_of_spans_is_noticed(void **state)
{
    assert_child_aborts(break_list, NULL, "broken central: the list of spans");
    assert_child_aborts(break_list, (void *)1, "broken central: the list of spans");
}

static void break_bin(void *unused)
{
    CHILD_CHECK(mheap_init());
    struct span *spans[5];
    for (unsigned i = 0; i < COUNT(spans); i++)
        spans[i] = mheap_alloc_large(1, HEAP_PAGE, CONTENTS_ANY);
    mheap_free_large(spans[1]);
    mheap_free_large(spans[3]);
    mheap_span_at(mheap_span_at(mheap.bins[1])->next)->prev = 0;
    mheap_free_large(spans[2]);
}

static void a_broken_list_of_runs_is_noticed(void **state)
{
    assert_child_aborts(break_bin, NULL, "broken heap: the list of free runs");
}

static void break_magazine(void *count)
{
    CHILD_CHECK(mheap_init());
    struct magazine *magazine = mcentral_take_empty(CLASS, NULL);
    mcentral_fill(CLASS, magazine_slots(magazine), 5);
    magazine->count = 5;
    mcentral_give(CLASS, magazine);
    magazine->count = (uint32_t)(uintptr_t)count;
    mcentral_take_full(CLASS, NULL, NULL);
}

static void a_broken_magazine_is_noticed(void **state)
{
    assert_child_aborts(break_magazine, (void *)0, "broken central: a magazine");
    assert_child_aborts(break_magazine, (void *)1000, "broken central: a magazine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_list_of_spans_is_noticed),
        cmocka_unit_test(a_broken_list_of_runs_is_noticed),
        cmocka_unit_test(a_broken_magazine_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
