// SPDX-License-Identifier: MIT
/* The figures: they add up, and they agree with what is known to be allocated. */
#include "support/test.h"

#include "mcentral/mcentral.h"
#include "observe/observe.h"
#include "os/os.h"
#include "scavenger/scavenger.h"
#include "support/objects.h"

static struct ga_stats figures(void)
{
    struct ga_stats stats;
    observe_all(&stats);
    assert_int_equal(stats.mapped, stats.in_use + stats.free_dirty + stats.free_released);
    assert_int_equal(stats.in_use, stats.live + stats.cached + stats.span_free);
    return stats;
}

static void live_bytes_and_blocks_are_what_was_allocated(void **state)
{
    static void *objects[SIZE_CLASS_COUNT][30];
    struct ga_stats before = figures();
    size_t live = before.live, blocks = before.live_blocks;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        for (size_t i = 0; i < COUNT(*objects); i++) {
            objects[class][i] = object_alloc(class);
            live += size_classes[class].size;
            blocks++;
        }
        struct ga_stats stats = figures();
        assert_int_equal(stats.live, live);
        assert_int_equal(stats.live_blocks, blocks);
    }
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        for (size_t i = 0; i < COUNT(*objects); i++)
            object_free(objects[class][i]);
    assert_int_equal(figures().live, before.live);
    assert_int_equal(figures().live_blocks, before.live_blocks);
}

static void large_blocks_are_counted_apart(void **state)
{
    struct ga_stats before = figures();
    struct span *span = mheap_alloc_large(300, HEAP_PAGE);
    struct ga_stats during = figures();
    assert_int_equal(during.large, before.large + 300 * HEAP_PAGE);
    assert_int_equal(during.live, before.live + 300 * HEAP_PAGE);
    assert_int_equal(during.live_blocks, before.live_blocks + 1);
    assert_int_equal(during.spans, before.spans + 1);
    mheap_free_large(span);
    assert_int_equal(figures().large, before.large);
}

static void a_class_knows_its_spans_live_and_cached(void **state)
{
    const unsigned class = 5;
    struct class_stats stats;
    void *objects[10];
    for (size_t i = 0; i < COUNT(objects); i++)
        objects[i] = object_alloc(class);
    observe_class(class, &stats);
    assert_int_equal(stats.live, COUNT(objects));
    assert_true(stats.cached > 0 && stats.spans > 0);
    assert_true(stats.live + stats.cached <= stats.spans * size_classes[class].objects);
    for (size_t i = 0; i < COUNT(objects); i++)
        object_free(objects[i]);
    observe_class(class, &stats);
    assert_int_equal(stats.live, 0);
}

static void what_is_freed_and_released_is_counted_so(void **state)
{
    struct span *span = mheap_alloc_large(1000, HEAP_PAGE);
    memset((void *)span_address(span), 1, 1000 * HEAP_PAGE);
    struct ga_stats before = figures();
    mheap_free_large(span);
    struct ga_stats freed = figures();
    assert_int_equal(freed.free_dirty, before.free_dirty + 1000 * HEAP_PAGE);
    size_t resident = os_resident_bytes();
    size_t released = scavenger_release_all(0);
    struct ga_stats after = figures();
    assert_true(os_resident_bytes() < resident);
    assert_true(released >= 1000 * HEAP_PAGE);
    assert_int_equal(after.free_dirty, 0);
    assert_int_equal(after.cached, 0);
    assert_int_equal(after.mapped, freed.mapped);
    assert_true(after.system_calls > freed.system_calls);
}

static void metadata_and_threads_are_counted(void **state)
{
    struct ga_stats before = figures();
    assert_int_equal(before.threads, 1);
    assert_true(before.metadata > 0);
    for (int i = 0; i < 100; i++)
        assert_non_null(mheap_meta_alloc(10000));
    assert_true(figures().metadata >= before.metadata + 900000);
}

static void print(void *argument)
{
    observe_print();
}

static void the_summary_names_every_part(void **state)
{
    static const char *const names[] = {"live",          "cached", "free in spans", "free dirty",
                                        "free released", "mapped", "resident",      "fragmentation",
                                        "system calls",  "threads"};
    struct child child;
    void *p = object_alloc(3);
    child_run(&child, print, NULL);
    assert_int_equal(child.status, 0);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_non_null(strstr(child.text, names[i]));
    assert_non_null(strstr(child.text, "\ngoalloc:           48        1            1"));
    for (const char *line = child.text; *line; line = strchr(line, '\n') + 1)
        assert_int_equal(strncmp(line, "goalloc: ", 9), 0);
    object_free(p);
}

static int start(void **state)
{
    object_free(object_alloc(1));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_bytes_and_blocks_are_what_was_allocated),
        cmocka_unit_test(large_blocks_are_counted_apart),
        cmocka_unit_test(a_class_knows_its_spans_live_and_cached),
        cmocka_unit_test(what_is_freed_and_released_is_counted_so),
        cmocka_unit_test(metadata_and_threads_are_counted),
        cmocka_unit_test(the_summary_names_every_part),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
