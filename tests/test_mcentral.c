// SPDX-License-Identifier: MIT
/* The centrals: filling from spans, draining into them, exchanging magazines through depots. */
#include "support/test.h"

#include <pthread.h>

#include "mcentral/internal.h"
#include "os/fault.h"

/* Tests use different classes, so that none sees another's spans. */
enum { SIZE_48 = 3, SIZE_64, SIZE_80, SIZE_96, SIZE_112, SIZE_128, SIZE_144, SIZE_160, SIZE_176 };
#define PAGE_CLASS (SIZE_CLASS_FIRST_PAGE_CLASS + 3)

static struct mcentral_stats stats_of(unsigned class)
{
    struct mcentral_stats stats;
    mcentral_read_stats(class, &stats);
    return stats;
}

static bool bit_is_set(const void *p)
{
    const struct span *span = mheap_span_of(p);
    size_t index = ((uintptr_t)p - span_address(span)) / span->size;
    return span->bits[index / 64] >> index % 64 & 1;
}

static unsigned fill_all(unsigned class, void **objects, unsigned count)
{
    unsigned got = 0, more = 1;
    while (got < count && more)
        got += more = mcentral_fill(class, objects + got, count - got);
    return got;
}

static void **fill_exactly(unsigned class, unsigned count)
{
    void **objects = calloc(count, sizeof(void *));
    assert_int_equal(fill_all(class, objects, count), count);
    return objects;
}

static void drain_and_forget(unsigned class, void **objects, unsigned count)
{
    mcentral_drain(class, objects, count);
    free(objects);
}

/* --- Filling and draining --- */

static void objects_come_in_order_of_address(void **state)
{
    enum { TAKEN = 96 };
    void **objects = fill_exactly(SIZE_80, TAKEN);
    for (size_t i = 0; i < TAKEN; i++) {
        assert_true(bit_is_set(objects[i]));
        if (i)
            assert_int_equal((char *)objects[i - 1] - (char *)objects[i], 80);
    }
    assert_int_equal((uintptr_t)objects[TAKEN - 1] % HEAP_PAGE, 0);
    assert_int_equal(stats_of(SIZE_80).objects_out, TAKEN);
    assert_int_equal(stats_of(SIZE_80).spans, 1);
    mcentral_check();
    drain_and_forget(SIZE_80, objects, TAKEN);
}

/* In the order in which they will be used. */
static bool are_neighbours(void *one, void *next)
{
    return (uintptr_t)one / GA_CACHE_LINE == (uintptr_t)next / GA_CACHE_LINE;
}

static void neighbours_are_parted_while_the_class_is_near(void **state)
{
    enum { TAKEN = 96, SPANS_NEAR = 8 };
    void *objects[TAKEN], *held[SPANS_NEAR][SPAN_OBJECTS_MAX];
    for (unsigned class = 1; class < SIZE_64; class ++) {
        unsigned per_span = size_classes[class].objects;
        assert_int_equal(mcentral_fill(class, objects, TAKEN), TAKEN);
        for (size_t i = 1; i < TAKEN; i++)
            assert_false(are_neighbours(objects[i], objects[i - 1]));
        mcentral_check();
        mcentral_drain(class, objects, TAKEN);
        for (size_t i = 0; i < SPANS_NEAR; i++)
            assert_int_equal(fill_all(class, held[i], per_span), per_span);
        assert_int_equal(mcentral_fill(class, objects, TAKEN), TAKEN);
        for (size_t i = 1; i < TAKEN; i++)
            assert_int_equal((char *)objects[i - 1] - (char *)objects[i], size_classes[class].size);
        mcentral_drain(class, objects, TAKEN);
        for (size_t i = 0; i < SPANS_NEAR; i++)
            mcentral_drain(class, held[i], per_span);
    }
}

/* Two threads that fill in turn from spans that nobody has used share no pair of cache lines. */
static void fills_end_where_a_cache_line_does(void **state)
{
    enum { PAIR_OF_LINES = 2 * GA_CACHE_LINE, FILLS = 40, MOST = MAGAZINE_CAPACITY_MAX };
    void *objects[FILLS][MOST];
    for (unsigned class = 1; class < SIZE_CLASS_FIRST_PAGE_CLASS; class ++) {
        unsigned got[FILLS], want = size_classes[class].magazine_first;
        for (size_t i = 0; i < FILLS; i++) {
            got[i] = mcentral_fill(class, objects[i], want);
            assert_in_range(got[i], want > 8 ? want - 7 : 1, want);
            uintptr_t first = (uintptr_t)objects[i][got[i] - 1]; /* the lowest, parted or not */
            assert_int_equal(first % PAIR_OF_LINES, 0);
        }
        mcentral_check();
        for (size_t i = 0; i < FILLS; i++)
            mcentral_drain(class, objects[i], got[i]);
    }
}

/* One that was given back lies before others that are in use: nothing is left over for its sake. */
static void a_hole_is_filled_as_it_is(void **state)
{
    void **objects = fill_exactly(SIZE_80, 32), *again[7];
    mcentral_drain(SIZE_80, &objects[30], 1);
    assert_int_equal(mcentral_fill(SIZE_80, again, 7), 7);
    assert_ptr_equal(again[6], objects[30]);
    mcentral_check();
    mcentral_drain(SIZE_80, again, 7);
    objects[30] = objects[31];
    drain_and_forget(SIZE_80, objects, 31);
}

static void the_lowest_free_object_comes_first(void **state)
{
    enum { TAKEN = 96 };
    void **objects = fill_exactly(SIZE_80, TAKEN), *again[3];
    void *freed[] = {objects[20], objects[90], objects[3], objects[77]};
    mcentral_drain(SIZE_80, freed, COUNT(freed));
    assert_int_equal(mcentral_fill(SIZE_80, again, 3), 3);
    assert_ptr_equal(again[2], freed[1]);
    assert_ptr_equal(again[1], freed[3]);
    assert_ptr_equal(again[0], freed[0]);
    mcentral_check();
    objects[3] = objects[TAKEN - 1];
    drain_and_forget(SIZE_80, objects, TAKEN - 1);
}

static void a_fill_takes_from_as_many_spans_as_it_needs(void **state)
{
    const unsigned of_a_span = size_classes[SIZE_64].objects;
    void **objects = fill_exactly(SIZE_64, of_a_span * 3 + 1);
    assert_int_equal(stats_of(SIZE_64).spans, 4);
    assert_int_equal(stats_of(SIZE_64).objects_out, of_a_span * 3 + 1);
    for (size_t i = 0; i <= (size_t)of_a_span * 3; i++) {
        assert_int_equal(mheap_class_of(objects[i]), SIZE_64);
        assert_true(bit_is_set(objects[i]));
    }
    mcentral_check();
    drain_and_forget(SIZE_64, objects, of_a_span * 3 + 1);
}

static void an_empty_span_goes_back_to_the_heap(void **state)
{
    struct mheap_stats before, after;
    mheap_read_stats(&before);
    const unsigned count = size_classes[SIZE_64].objects * 5;
    void **objects = fill_exactly(SIZE_64, count);
    void *first = objects[0];
    mcentral_drain(SIZE_64, objects, count - 1);
    assert_int_equal(stats_of(SIZE_64).spans, 1);
    mcentral_drain(SIZE_64, objects + count - 1, 1);
    assert_int_equal(stats_of(SIZE_64).spans, 0);
    assert_int_equal(stats_of(SIZE_64).objects_out, 0);
    assert_int_equal(mheap_place_of(first), PLACE_FREE);
    mheap_read_stats(&after);
    assert_int_equal(after.in_use, before.in_use);
    mcentral_check();
    mheap_check();
    free(objects);
}

static void a_full_span_is_listed_again_when_an_object_returns(void **state)
{
    const unsigned count = size_classes[SIZE_80].objects;
    void **objects = fill_exactly(SIZE_80, count), *again;
    struct span *span = mheap_span_of(objects[0]);
    assert_false(span->listed);
    assert_int_equal(mcentrals[SIZE_80].spans, 0);
    mcentral_drain(SIZE_80, &objects[7], 1);
    assert_true(span->listed);
    assert_int_equal(mcentrals[SIZE_80].spans, span->page);
    mcentral_check();
    assert_int_equal(mcentral_fill(SIZE_80, &again, 1), 1);
    assert_ptr_equal(again, objects[7]);
    assert_false(span->listed);
    drain_and_forget(SIZE_80, objects, count);
}

static void every_class_fills_and_drains(void **state)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct mcentral_stats before = stats_of(class);
        unsigned count = size_classes[class].objects * 2;
        void **objects = fill_exactly(class, count);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal((uintptr_t)objects[i] % MIN_ALIGN, 0);
            assert_int_equal(mheap_class_of(objects[i]), class);
            memset(objects[i], (int)i, size_classes[class].size);
        }
        for (unsigned i = 0; i < count; i++)
            assert_int_equal(*(unsigned char *)objects[i], i & 255);
        drain_and_forget(class, objects, count);
        assert_int_equal(stats_of(class).objects_out, before.objects_out);
    }
    mcentral_check();
}

static bool all_zero(const void *object, size_t size)
{
    const char *bytes = object;
    while (size && !bytes[size - 1])
        size--;
    return size == 0;
}

/* Out of a clean span, out of a dirty one, and out of what is left of a span. */
static void take_zero_gives_an_object_of_zeros(void **state)
{
    unsigned class_of[] = {PAGE_CLASS, size_class_of(6000), size_class_of(16384)};
    for (size_t i = 0; i < COUNT(class_of); i++) {
        unsigned class = class_of[i];
        size_t size = size_classes[class].size;
        void *objects[40];
        for (int round = 0; round < 2; round++) {
            for (size_t j = 0; j < COUNT(objects); j++) {
                objects[j] = mcentral_take_zero(class);
                assert_non_null(objects[j]);
                assert_true(bit_is_set(objects[j]));
                assert_true(all_zero(objects[j], size));
                memset(objects[j], 0x5a, size);
                if (j % 4 == 3) { /* a used one comes back to a span with fresh ones */
                    mcentral_drain(class, &objects[j - 1], 1);
                    assert_int_equal(mcentral_fill(class, &objects[j - 1], 1), 1);
                    memset(objects[j - 1], 0x5a, size);
                }
            }
            mcentral_check();
            mcentral_drain(class, objects, COUNT(objects));
            assert_int_equal(stats_of(class).objects_out, 0);
        }
    }
}

/* --- Magazines --- */

static struct magazine *full_magazine(unsigned class)
{
    struct magazine *magazine = mcentral_take_empty(class, NULL);
    assert_non_null(magazine);
    assert_int_equal(magazine->count, 0);
    assert_int_equal(magazine->capacity, size_classes[class].magazine_capacity);
    magazine->count = fill_all(class, magazine_slots(magazine), magazine->capacity);
    assert_int_equal(magazine->count, magazine->capacity);
    return magazine;
}

static void a_magazines_floor_reads_as_empty(void **state)
{
    struct magazine *magazine = mcentral_take_empty(SIZE_96, NULL);
    for (int i = 1; i <= MAGAZINE_FLOOR; i++)
        assert_null(magazine_slots(magazine)[-i]);
    mcentral_give(SIZE_96, magazine);
}

/* A class that has few spans has small magazines; those that it has by then grow when they are next
 * taken out of the stock. */
static void magazines_grow_when_their_class_has(void **state)
{
    enum { SPANS_FOR_WIDE = 8 * 31 / 8, OBJECTS = 8 }; /* of 4096 bytes: 31 and 8 */
    const unsigned class = size_class_of(4096);
    const struct size_class *c = &size_classes[class];
    void *objects[SPANS_FOR_WIDE * OBJECTS];
    struct magazine *held = mcentral_take_empty(class, NULL);
    assert_true(c->magazine_first < c->magazine_capacity);
    assert_int_equal(held->capacity, c->magazine_first);
    unsigned before = (SPANS_FOR_WIDE - 1) * c->objects;
    assert_int_equal(fill_all(class, objects, before), before);
    struct magazine *small = mcentral_take_empty(class, NULL);
    assert_int_equal(small->capacity, c->magazine_first);
    small->count = fill_all(class, magazine_slots(small), c->magazine_first);
    void *lowest = magazine_slots(small)[small->count - 1];
    mcentral_give(class, held);
    assert_ptr_equal(mcentral_take_empty(class, NULL), held);
    assert_int_equal(held->capacity, c->magazine_capacity);
    for (int i = 1; i <= MAGAZINE_FLOOR; i++)
        assert_null(magazine_slots(held)[-i]);
    mcentral_refit(class, held); /* it is as it should be */
    assert_int_equal(held->capacity, c->magazine_capacity);
    mcentral_give(class, small); /* one that isn't empty stays as it is */
    mcentral_check();
    assert_ptr_equal(mcentral_take_full(class, NULL, NULL), small);
    assert_int_equal(small->capacity, c->magazine_first);
    assert_ptr_equal(magazine_slots(small)[small->count - 1], lowest);
    mcentral_drain(class, objects, before);
    mcentral_drain(class, magazine_slots(small), small->count);
    small->count = 0;
    mcentral_give(class, small);
    mcentral_give(class, held);
    assert_int_equal(stats_of(class).objects_out, 0);
}

static uint32_t capacity_after_rounds(unsigned class, const void *giver, const void *taker,
                                      int rounds)
{
    for (int i = 0; i < rounds; i++) {
        struct magazine *magazine = mcentral_take_empty(class, NULL);
        magazine->count = fill_all(class, magazine_slots(magazine), 1);
        magazine->giver = giver;
        mcentral_give(class, magazine);
        assert_ptr_equal(mcentral_take_full(class, NULL, taker), magazine);
        mcentral_drain(class, magazine_slots(magazine), magazine->count);
        magazine->count = 0;
        mcentral_give(class, magazine);
    }
    struct magazine *magazine = mcentral_take_empty(class, NULL);
    mcentral_give(class, magazine);
    return magazine->capacity;
}

/* So do those of a class of which a thread gives and takes the same ones again and again; not those
 * that go from one thread to another. */
static void magazines_grow_when_they_return(void **state)
{
    enum { ROUNDS = 32 };
    const unsigned class = size_class_of(5000);
    const struct size_class *c = &size_classes[class];
    int one, other;
    assert_int_equal(capacity_after_rounds(class, &one, &other, 10 * ROUNDS), c->magazine_first);
    assert_int_equal(capacity_after_rounds(class, &one, &one, ROUNDS - 1), c->magazine_first);
    assert_int_equal(capacity_after_rounds(class, &one, &other, 1), c->magazine_first);
    assert_int_equal(capacity_after_rounds(class, &one, &one, 1), c->magazine_first);
    assert_int_equal(capacity_after_rounds(class, &one, &one, 1), c->magazine_capacity);
}

static void a_depot_passes_magazines_on_whole(void **state)
{
    struct magazine *a = full_magazine(SIZE_96), *b = full_magazine(SIZE_96);
    void *lowest = magazine_slots(a)[a->count - 1];
    assert_false(mcentral_has_full(SIZE_96));
    mcentral_give(SIZE_96, a);
    struct magazine *empty = mcentral_take_empty(SIZE_96, b);
    assert_true(mcentral_has_full(SIZE_96));
    assert_int_equal(stats_of(SIZE_96).objects_in_depot, a->count + b->count);
    mcentral_check();
    assert_ptr_equal(mcentral_take_full(SIZE_96, NULL, NULL), b);
    assert_ptr_equal(mcentral_take_full(SIZE_96, empty, NULL), a);
    assert_ptr_equal(magazine_slots(a)[a->count - 1], lowest);
    assert_ptr_equal(mcentral_take_empty(SIZE_96, NULL), empty);
    mcentral_give(SIZE_96, a);
    mcentral_give(SIZE_96, b);
    mcentral_give(SIZE_96, empty);
    mcentral_trim(SIZE_96, 0);
    assert_int_equal(stats_of(SIZE_96).objects_out, 0);
}

static void an_empty_depot_takes_nothing(void **state)
{
    struct magazine *empty = mcentral_take_empty(SIZE_112, NULL);
    assert_null(mcentral_take_full(SIZE_112, empty, NULL));
    mcentral_give(SIZE_112, empty);
    assert_ptr_equal(mcentral_take_empty(SIZE_112, NULL), empty);
    assert_int_equal(stats_of(SIZE_112).magazines, 1); /* ever made */
    mcentral_give(SIZE_112, empty);
}

static void a_depot_drains_what_is_too_much(void **state)
{
    enum { MANY = 400 };
    const unsigned capacity = size_classes[SIZE_112].magazine_capacity;
    struct magazine *magazines[MANY];
    for (size_t i = 0; i < MANY; i++)
        magazines[i] = full_magazine(SIZE_112);
    for (size_t i = 0; i < MANY; i++) {
        mcentral_give(SIZE_112, magazines[i]);
        assert_in_range(mcentrals[SIZE_112].full_count, 1, 192);
    }
    struct mcentral_stats stats = stats_of(SIZE_112);
    assert_int_equal(stats.objects_out, stats.objects_in_depot);
    assert_int_equal(stats.objects_in_depot, mcentrals[SIZE_112].full_count * capacity);
    assert_in_range(stats.magazines, MANY, MANY + 1);
    mcentral_check();
    mcentral_trim(SIZE_112, 0);
    stats = stats_of(SIZE_112);
    assert_int_equal(stats.objects_out, 0);
    assert_int_equal(stats.spans, 0);
}

static void trim_drains_all_but_so_many(void **state)
{
    enum { MANY = 20, KEPT = 8 };
    struct magazine *magazines[MANY];
    for (size_t i = 0; i < MANY; i++)
        magazines[i] = full_magazine(SIZE_128);
    for (size_t i = 0; i < MANY; i++)
        mcentral_give(SIZE_128, magazines[i]);
    mcentral_trim(SIZE_128, MANY);
    assert_int_equal(mcentrals[SIZE_128].full_count, MANY);
    mcentral_trim(SIZE_128, KEPT);
    assert_int_equal(mcentrals[SIZE_128].full_count, KEPT);
    mcentral_check();
    mcentral_trim(SIZE_128, 0);
    assert_int_equal(mcentrals[SIZE_128].full_count, 0);
    assert_int_equal(stats_of(SIZE_128).objects_out, 0);
}

static void a_lean_depot_drains_what_comes(void **state)
{
    enum { MANY = 20 };
    struct magazine *magazines[MANY];
    for (size_t i = 0; i < MANY; i++)
        magazines[i] = full_magazine(SIZE_128);
    mcentral_set_lean(true);
    for (size_t i = 0; i < MANY; i++)
        mcentral_give(SIZE_128, magazines[i]);
    assert_int_equal(mcentrals[SIZE_128].full_count, 0);
    mcentral_set_lean(false);
    mcentral_trim(SIZE_128, 0);
    assert_int_equal(stats_of(SIZE_128).objects_out, 0);
}

static void give_full(unsigned class, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        mcentral_give(class, full_magazine(class));
}

static void what_nobody_needed_is_trimmed(void **state)
{
    struct magazine *taken[3];
    give_full(SIZE_128, 8);
    mcentral_trim_unneeded(SIZE_128); /* they came since the last look: nothing is known of them */
    assert_int_equal(mcentrals[SIZE_128].full_count, 8);
    for (size_t i = 0; i < COUNT(taken); i++)
        taken[i] = mcentral_take_full(SIZE_128, NULL, NULL);
    for (size_t i = 0; i < COUNT(taken); i++)
        mcentral_give(SIZE_128, taken[i]);
    mcentral_trim_unneeded(SIZE_128); /* three of the eight did move */
    assert_int_equal(mcentrals[SIZE_128].full_count, 3);
    mcentral_trim_unneeded(SIZE_128);
    assert_int_equal(mcentrals[SIZE_128].full_count, 0);
    assert_int_equal(stats_of(SIZE_128).objects_out, 0);
    mcentral_check();
}

static void fills_and_drains_in_any_order_keep_the_count(void **state)
{
    struct dice dice = {11};
    void *objects[600];
    unsigned count = 0;
    for (int i = 0; i < 3000; i++) {
        unsigned want = (unsigned)dice_below(&dice, 60);
        if (dice_below(&dice, 2) && count + want <= COUNT(objects)) {
            assert_int_equal(fill_all(SIZE_144, objects + count, want), want);
            count += want;
        } else {
            unsigned part = want < count ? want : count;
            count -= part;
            mcentral_drain(SIZE_144, objects + count, part);
        }
        assert_int_equal(stats_of(SIZE_144).objects_out, count);
        if (i % 50 == 0)
            mcentral_check();
    }
    mcentral_drain(SIZE_144, objects, count);
    assert_int_equal(stats_of(SIZE_144).spans, 0);
}

/* --- Threads --- */

static void *exchange(void *seed)
{
    struct dice dice = {(uintptr_t)seed};
    struct magazine *mine = mcentral_take_empty(SIZE_160, NULL);
    for (int i = 0; i < 4000; i++) {
        if (!mine->count) {
            struct magazine *full = mcentral_take_full(SIZE_160, mine, NULL);
            mine = full ? full : mine;
            unsigned want = (unsigned)dice_below(&dice, mine->capacity - mine->count + 1);
            mine->count += mcentral_fill(SIZE_160, magazine_slots(mine) + mine->count, want);
        }
        for (unsigned j = 0; j < mine->count; j++)
            *(uintptr_t *)magazine_slots(mine)[j] = (uintptr_t)seed;
        for (unsigned j = 0; j < mine->count; j++)
            if (*(uintptr_t *)magazine_slots(mine)[j] != (uintptr_t)seed)
                return "an object belongs to two threads";
        if (dice_below(&dice, 3) == 0) {
            mcentral_drain(SIZE_160, magazine_slots(mine), mine->count);
            mine->count = 0;
        } else if (dice_below(&dice, 10) == 0) {
            mcentral_trim(SIZE_160, (uint32_t)dice_below(&dice, 2));
        }
        if (mine->count)
            mine = mcentral_take_empty(SIZE_160, mine);
    }
    mcentral_give(SIZE_160, mine);
    return NULL;
}

static void threads_share_a_central(void **state)
{
    pthread_t threads[6];
    for (uintptr_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, exchange, (void *)(i + 1));
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *complaint;
        pthread_join(threads[i], &complaint);
        if (complaint)
            fail_msg("%s", (char *)complaint);
    }
    mcentral_check();
    mheap_check();
    mcentral_trim(SIZE_160, 0);
    assert_int_equal(stats_of(SIZE_160).objects_out, 0);
}

/* --- Fork --- */

static void use_after_reset(void *argument)
{
    void *p;
    mheap_reset_in_child();
    mcentral_reset_in_child();
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        CHILD_CHECK(mcentral_fill(class, &p, 1) == 1);
        mcentral_drain(class, &p, 1);
    }
    mcentral_check();
}

static void a_forked_childs_centrals_work_after_reset(void **state)
{
    mcentral_lock_all();
    mheap_lock_for_fork();
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++)
        assert_true(lock_is_held(&mcentrals[class].lock));
    assert_child_passes(use_after_reset, NULL);
    mheap_unlock_after_fork();
    mcentral_unlock_all();
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++)
        assert_false(lock_is_held(&mcentrals[class].lock));
}

/* --- Bad objects --- */

static void drain_twice(void *argument)
{
    void *objects[2];
    mcentral_fill(SIZE_176, objects, 2);
    mcentral_drain(SIZE_176, objects, 1);
    mcentral_drain(SIZE_176, objects, 1);
}
static void drain_the_last_twice(void *argument)
{
    void *object;
    mcentral_fill(PAGE_CLASS, &object, 1);
    mcentral_drain(PAGE_CLASS, &object, 1);
    mcentral_drain(PAGE_CLASS, &object, 1);
}
static void drain_interior(void *argument)
{
    void *object;
    mcentral_fill(SIZE_176, &object, 1);
    object = (char *)object + 16;
    mcentral_drain(SIZE_176, &object, 1);
}
static void drain_interior_of_a_lone_object(void *argument)
{
    void *object;
    mcentral_fill(PAGE_CLASS, &object, 1);
    object = (char *)object + HEAP_PAGE;
    mcentral_drain(PAGE_CLASS, &object, 1);
}
static void drain_past_the_last_object(void *argument)
{
    void *object;
    mcentral_fill(SIZE_176, &object, 1);
    const struct span *span = mheap_span_of(object);
    object = (void *)(span_address(span) + (size_t)span->objects * span->size);
    mcentral_drain(SIZE_176, &object, 1);
}
static void drain_into_a_wrong_class(void *argument)
{
    void *object;
    mcentral_fill(SIZE_176, &object, 1);
    mcentral_drain(SIZE_48, &object, 1);
}

static void a_bad_object_is_named_and_ends_the_process(void **state)
{
    assert_child_aborts(drain_twice, NULL, "goalloc: double free: 0x");
    assert_child_aborts(drain_twice, NULL, "(size class 11 of 176 bytes, thread ");
    assert_child_aborts(drain_the_last_twice, NULL, "free of a block that was freed before: 0x");
    assert_child_aborts(drain_interior, NULL, "free of a pointer into the middle of a block: 0x");
    assert_child_aborts(drain_interior_of_a_lone_object, NULL, "into the middle of a block");
    assert_child_aborts(drain_past_the_last_object, NULL, "into the middle of a block");
    assert_child_aborts(drain_into_a_wrong_class, NULL, "free of a block that was freed before");
}

/* --- Out of memory --- */

#ifdef GOALLOC_DEBUG
static void fill_without_memory(void *argument)
{
    static void *objects[200000];
    unsigned got = 0, more;
    atomic_store(&os_fault_forever, true);
    atomic_store(&os_fault_at, 1);
    while ((more = mcentral_fill(SIZE_176, objects + got, 50)) > 0)
        got += more;
    CHILD_CHECK(got > 50 && got < COUNT(objects) - 50);
    struct magazine *full = NULL, *empty;
    while ((empty = mcentral_take_empty(SIZE_176, full))) {
        empty->count = 0;
        magazine_slots(empty)[empty->count++] = objects[--got];
        full = empty;
    }
    CHILD_CHECK(full->count == 1 && magazine_slots(full)[0] == objects[got]); /* still ours */
    CHILD_CHECK(!mcentral_take_zero(PAGE_CLASS));
    mcentral_check();
    mheap_check();
    atomic_store(&os_fault_at, 0);
    mcentral_give(SIZE_176, full);
    mcentral_trim(SIZE_176, 0);
    mcentral_drain(SIZE_176, objects, got);
    CHILD_CHECK(mcentrals[SIZE_176].objects_out == 0);
    CHILD_CHECK(mcentral_take_zero(PAGE_CLASS));
    mcentral_check();
    mheap_check();
}

static void without_memory_nothing_is_lost(void **state)
{
    assert_child_passes(fill_without_memory, NULL);
}
#endif

/* --- The checker itself --- */

struct breakage {
    const char *expected;
    void (*break_it)(struct span *span, struct magazine *full, struct magazine *empty);
};

static void break_floor(struct span *span, struct magazine *full, struct magazine *empty)
{
    magazine_slots(full)[-1] = full;
}
static void break_fullness(struct span *span, struct magazine *full, struct magazine *empty)
{
    full->count = 0;
}
static void break_capacity(struct span *span, struct magazine *full, struct magazine *empty)
{
    full->count = full->capacity + 1;
}
static void break_slot(struct span *span, struct magazine *full, struct magazine *empty)
{
    magazine_slots(full)[0] = full;
}
static void break_bit(struct span *span, struct magazine *full, struct magazine *empty)
{
    void *p = magazine_slots(full)[0];
    struct span *of_p = mheap_span_of(p);
    size_t index = ((uintptr_t)p - span_address(of_p)) / of_p->size;
    of_p->bits[index / 64] &= ~(UINT64_C(1) << index % 64);
}
static void break_depot_count(struct span *span, struct magazine *full, struct magazine *empty)
{
    mcentrals[SIZE_176].full_count++;
}
static void break_object_count(struct span *span, struct magazine *full, struct magazine *empty)
{
    mcentrals[SIZE_176].in_depot++;
}
static void break_emptiness(struct span *span, struct magazine *full, struct magazine *empty)
{
    empty->count = 1;
}
static void break_state(struct span *span, struct magazine *full, struct magazine *empty)
{
    span->state = SPAN_LARGE;
}
static void break_class(struct span *span, struct magazine *full, struct magazine *empty)
{
    span->class ++;
    mcentrals[SIZE_176].full = NULL;
    mcentrals[SIZE_176].full_count = 0;
    mcentrals[SIZE_176].in_depot = 0;
}
static void break_listed(struct span *span, struct magazine *full, struct magazine *empty)
{
    span->listed = false;
}
static void break_link(struct span *span, struct magazine *full, struct magazine *empty)
{
    span->prev = span->page;
}
static void break_used(struct span *span, struct magazine *full, struct magazine *empty)
{
    span->used++;
}
static void break_listing(struct span *span, struct magazine *full, struct magazine *empty)
{
    span->used = span->objects;
    memset(span->bits, 0xff, sizeof(span->bits));
}

static void break_hole(struct span *span, struct magazine *full, struct magazine *empty)
{
    span->holes = ~UINT64_C(0);
}

static const struct breakage breakages[] = {
    {"a magazine has lost its floor", break_floor},
    {"the depot holds an empty magazine", break_fullness},
    {"a magazine holds too much", break_capacity},
    {"a magazine holds another class's object", break_slot},
    {"a cached object's bit is clear", break_bit},
    {"the depot is miscounted", break_depot_count},
    {"the depot's objects are miscounted", break_object_count},
    {"the stock holds a full magazine", break_emptiness},
    {"a wrong span", break_state},
    {"a wrong span", break_class},
    {"the list is broken", break_listed},
    {"the list is broken", break_link},
    {"a span's objects are miscounted", break_used},
    {"a span shouldn't be listed", break_listing},
    {"an object in use lies in a hole", break_hole},
};

static void break_and_check(void *argument)
{
    const struct breakage *breakage = argument;
    void *object;
    struct magazine *full = full_magazine(SIZE_176);
    mcentral_give(SIZE_176, full);
    struct magazine *empty = mcentral_take_empty(SIZE_176, NULL);
    mcentral_give(SIZE_176, empty);
    CHILD_CHECK(mcentral_fill(SIZE_176, &object, 1) == 1);
    struct span *span = mheap_span_at(mcentrals[SIZE_176].spans);
    CHILD_CHECK(mcentrals[SIZE_176].spans);
    mcentral_check();
    breakage->break_it(span, full, empty);
    mcentral_check();
}

static void the_checker_notices_every_breakage(void **state)
{
    for (size_t i = 0; i < COUNT(breakages); i++)
        assert_child_aborts(break_and_check, (void *)(uintptr_t)&breakages[i],
                            breakages[i].expected);
}

/* In the library a thread's cache comes first, and with it the heap. */
static int start_heap(void **state)
{
    return mheap_init() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(magazines_grow_when_their_class_has), /* first: they grow once */
        cmocka_unit_test(magazines_grow_when_they_return),
        cmocka_unit_test(objects_come_in_order_of_address),
        cmocka_unit_test(what_nobody_needed_is_trimmed),
        cmocka_unit_test(the_lowest_free_object_comes_first),
        cmocka_unit_test(neighbours_are_parted_while_the_class_is_near),
        cmocka_unit_test(fills_end_where_a_cache_line_does),
        cmocka_unit_test(a_hole_is_filled_as_it_is),
        cmocka_unit_test(a_fill_takes_from_as_many_spans_as_it_needs),
        cmocka_unit_test(an_empty_span_goes_back_to_the_heap),
        cmocka_unit_test(a_full_span_is_listed_again_when_an_object_returns),
        cmocka_unit_test(every_class_fills_and_drains),
        cmocka_unit_test(take_zero_gives_an_object_of_zeros),
        cmocka_unit_test(a_magazines_floor_reads_as_empty),
        cmocka_unit_test(a_depot_passes_magazines_on_whole),
        cmocka_unit_test(an_empty_depot_takes_nothing),
        cmocka_unit_test(a_depot_drains_what_is_too_much),
        cmocka_unit_test(trim_drains_all_but_so_many),
        cmocka_unit_test(a_lean_depot_drains_what_comes),
        cmocka_unit_test(fills_and_drains_in_any_order_keep_the_count),
        cmocka_unit_test(threads_share_a_central),
        cmocka_unit_test(a_forked_childs_centrals_work_after_reset),
        cmocka_unit_test(a_bad_object_is_named_and_ends_the_process),
#ifdef GOALLOC_DEBUG
        cmocka_unit_test(without_memory_nothing_is_lost),
#endif
        cmocka_unit_test(the_checker_notices_every_breakage),
    };
    return cmocka_run_group_tests(tests, start_heap, NULL);
}
