// SPDX-License-Identifier: MIT
/* A thread's cache: popping, pushing, refilling, and what becomes of it when the thread ends. */
#include "support/test.h"

#include <limits.h>
#include <pthread.h>

#include "mcache/internal.h"
#include "mcentral/internal.h"
#include "os/fault.h"
#include "support/objects.h"

enum { SIZE_48 = 3, SIZE_64, SIZE_80, SIZE_96, SIZE_112, SIZE_128, SIZE_144 };
#define LARGEST (SIZE_CLASS_COUNT - 1)

static struct mcache_stats stats_now(void)
{
    struct mcache_stats stats;
    mcache_read_stats(&stats);
    return stats;
}

static size_t out(unsigned class)
{
    struct mcentral_stats stats;
    mcentral_read_stats(class, &stats);
    return stats.objects_out;
}

static void in_a_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    void *complaint;
    assert_int_equal(pthread_create(&thread, NULL, function, argument), 0);
    assert_int_equal(pthread_join(thread, &complaint), 0);
    if (complaint)
        fail_msg("%s", (char *)complaint);
}

#define THREAD_CHECK(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return #condition " doesn't hold";                                                     \
    } while (0)

/* --- Popping and pushing --- */

static void *start_without_a_cache(void *unused)
{
    void *p;
    THREAD_CHECK(mcache_self() == &mcache_none);
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++) {
        THREAD_CHECK(!mcache_pop(mcache_self(), class, &p));
        THREAD_CHECK(!mcache_push(mcache_self(), class, &p));
        THREAD_CHECK(!mcache_has(class));
    }
    p = object_alloc(SIZE_48);
    THREAD_CHECK(p && mcache_self() != &mcache_none);
    object_free(p);
    return NULL;
}

static void a_thread_gets_its_cache_with_its_first_object(void **state)
{
    in_a_thread(start_without_a_cache, NULL);
}

static void the_last_object_freed_is_the_first_allocated(void **state)
{
    void *objects[40];
    for (size_t i = 0; i < COUNT(objects); i++)
        objects[i] = object_alloc(SIZE_64);
    for (size_t i = 0; i < COUNT(objects); i++)
        object_free(objects[i]);
    for (size_t i = COUNT(objects); i-- > 0;)
        assert_ptr_equal(object_alloc(SIZE_64), objects[i]);
    for (size_t i = 0; i < COUNT(objects); i++)
        object_free(objects[i]);
}

/* Fresh objects come lowest address first, but where one span ends and another goes on. */
static void a_refill_is_handed_out_in_order_of_address(void **state)
{
    char *objects[300];
    size_t jumps = 0;
    for (size_t i = 0; i < COUNT(objects); i++) {
        objects[i] = object_alloc(SIZE_80);
        jumps += i && objects[i] != objects[i - 1] + 80;
    }
    assert_in_range(jumps, 1, 8);
    for (size_t i = 0; i < COUNT(objects); i++)
        object_free(objects[i]);
}

static void a_refill_takes_64_kb_at_most(void **state)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        mcache_flush_self();
        mcentral_trim(class, 0);
        size_t before = out(class);
        void *p = object_alloc(class);
        size_t taken = out(class) - before, size = size_classes[class].size;
        assert_in_range(taken, 1, size_classes[class].magazine_capacity);
        assert_true(taken == 1 || taken * size <= (size_t)64 << 10);
        object_free(p);
    }
}

static void no_object_is_handed_out_twice(void **state)
{
    enum { MANY = 2000 };
    static char *objects[MANY];
    for (size_t i = 0; i < MANY; i++) {
        objects[i] = object_alloc(SIZE_96);
        memset(objects[i], 0, 96);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(objects[i][0], 0);
        memset(objects[i], 1, 96);
    }
    for (size_t i = 0; i < MANY; i++)
        object_free(objects[i]);
    mcentral_check();
}

/* Who only allocates gets larger magazines too, once the class has grown. */
static void a_thread_that_only_allocates_fills_more_at_once(void **state)
{
    enum { MANY = 600 };
    static void *objects[MANY];
    const unsigned class = size_class_of(2000);
    const struct size_class *c = &size_classes[class];
    size_t most = 0;
    assert_true(c->magazine_first < c->magazine_capacity);
    mcache_flush_self();
    mcentral_trim(class, 0);
    for (size_t i = 0, before = out(class); i < MANY; i++) {
        objects[i] = object_alloc(class);
        size_t taken = out(class) - before;
        most = taken > most ? taken : most;
        before = out(class);
    }
    assert_in_range(most, c->magazine_first + 1, c->magazine_capacity);
    for (size_t i = 0; i < MANY; i++)
        object_free(objects[i]);
}

/* Around the edge between two magazines the pair of them serves without a lock. */
static void the_edge_of_a_magazine_costs_no_exchange(void **state)
{
    const size_t capacity = size_classes[SIZE_112].magazine_capacity;
    void *objects[200];
    for (size_t i = 0; i < COUNT(objects); i++)
        objects[i] = object_alloc(SIZE_112);
    for (size_t i = 0; i < capacity + 5; i++)
        object_free(objects[i]);
    lock_acquire(&mcentrals[SIZE_112].lock); /* taking it again would hang */
    for (int i = 0; i < 200; i++) {
        void *some[10];
        for (size_t j = 0; j < COUNT(some); j++)
            some[j] = object_alloc(SIZE_112);
        for (size_t j = 0; j < COUNT(some); j++)
            object_free(some[j]);
    }
    lock_release(&mcentrals[SIZE_112].lock);
    for (size_t i = capacity + 5; i < COUNT(objects); i++)
        object_free(objects[i]);
}

static size_t in_depot(unsigned class)
{
    struct mcentral_stats stats;
    mcentral_read_stats(class, &stats);
    return stats.objects_in_depot;
}

/* More than the loaded magazine and the previous one have room for, unless the loaded one happens
 * to be empty: the reserve of a small class takes the rest. */
static void a_small_class_swings_by_two_magazines_without_the_depot(void **state)
{
    enum { SWING = 2 * MAGAZINE_CAPACITY_MAX, LIVE = 4 * MAGAZINE_CAPACITY_MAX };
    static void *objects[LIVE];
    mcache_flush_self();
    mcentral_trim(SIZE_64, 0);
    for (size_t i = 0; i < LIVE; i++)
        objects[i] = object_alloc(SIZE_64);
    for (unsigned round = 0; round < 10; round++) {
        size_t spans = out(SIZE_64);
        for (size_t i = 0; i < SWING; i++)
            object_free(objects[i]);
        assert_int_equal(in_depot(SIZE_64), 0);
        for (size_t i = 0; i < SWING; i++)
            objects[i] = object_alloc(SIZE_64);
        assert_int_equal(out(SIZE_64), spans);
    }
    for (size_t i = 0; i < LIVE; i++)
        object_free(objects[i]);
    mcache_flush_self();
    mcentral_trim(SIZE_64, 0);
    assert_int_equal(out(SIZE_64), 0);
}

static void the_cache_counts_what_it_holds(void **state)
{
    void *objects[500];
    mcache_flush_self();
    mcentral_trim(SIZE_128, 0);
    for (size_t i = 0; i < COUNT(objects); i++) {
        objects[i] = object_alloc(SIZE_128);
        struct mcentral_stats central;
        mcentral_read_stats(SIZE_128, &central);
        size_t cached = stats_now().objects[SIZE_128] + central.objects_in_depot;
        assert_int_equal(central.objects_out - cached, i + 1);
        assert_int_equal(mcache_has(SIZE_128), stats_now().objects[SIZE_128] > 0);
    }
    for (size_t i = 0; i < COUNT(objects); i++)
        object_free(objects[i]);
}

static void a_flush_returns_everything(void **state)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        object_free(object_alloc(class));
    mcache_flush_self();
    mcache_flush_idle();
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        assert_false(mcache_has(class));
        assert_int_equal(stats_now().objects[class], 0);
        mcentral_trim(class, 0);
        assert_int_equal(out(class), 0);
    }
    mcentral_check();
}

/* --- Out of memory from the start --- */

#ifdef GOALLOC_DEBUG
/* --- What is asked of threads --- */

static void meet(unsigned what)
{
    mcache_request(what);
    assert_true(mcache_is_asked());
    mcache_meet_requests();
    assert_false(mcache_is_asked());
}

static void a_thread_meets_a_request_to_flush(void **state)
{
    object_free(object_alloc(SIZE_48));
    object_free(object_alloc(SIZE_64));
    meet(MCACHE_FLUSH_ALL);
    assert_false(mcache_has(SIZE_48) || mcache_has(SIZE_64));
}

static void classes_that_were_not_used_are_flushed_on_request(void **state)
{
    object_free(object_alloc(SIZE_48));
    object_free(object_alloc(SIZE_64));
    meet(MCACHE_FLUSH_UNUSED);
    meet(MCACHE_FLUSH_UNUSED); /* what was seen the first time has not moved */
    assert_false(mcache_has(SIZE_48) || mcache_has(SIZE_64));
    void *p = object_alloc(SIZE_48), *q = object_alloc(SIZE_64);
    meet(MCACHE_FLUSH_UNUSED);
    object_free(p);
    meet(MCACHE_FLUSH_UNUSED);
    assert_true(mcache_has(SIZE_48));
    assert_false(mcache_has(SIZE_64));
    object_free(q);
    mcache_flush_self();
}

static pthread_barrier_t asleep, awake;

/* Leaves two magazines of each of some classes, then waits. */
static void *sleep_on_magazines(void *unused)
{
    static void *objects[400];
    for (size_t i = 0; i < COUNT(objects); i++)
        objects[i] = object_alloc(SIZE_96);
    for (size_t i = 0; i < COUNT(objects); i++)
        object_free(objects[i]);
    pthread_barrier_wait(&asleep);
    pthread_barrier_wait(&awake);
    for (size_t i = 0; i < COUNT(objects); i++)
        objects[i] = object_alloc(SIZE_96);
    for (size_t i = 0; i < COUNT(objects); i++)
        object_free(objects[i]);
    return NULL;
}

static void what_a_sleeping_thread_keeps_aside_is_taken(void **state)
{
    const size_t capacity = size_classes[SIZE_96].magazine_capacity;
    pthread_t thread;
    pthread_barrier_init(&asleep, NULL, 2);
    pthread_barrier_init(&awake, NULL, 2);
    mcache_flush_self();
    mcache_flush_idle();
    mcentral_trim(SIZE_96, 0);
    pthread_create(&thread, NULL, sleep_on_magazines, NULL);
    pthread_barrier_wait(&asleep);
    mcache_take_from_sleepers(false); /* it came by since the last call */
    assert_in_range(stats_now().objects[SIZE_96], capacity + 1, 3 * capacity);
    mcache_take_from_sleepers(false);
    assert_in_range(stats_now().objects[SIZE_96], 1, capacity);
    pthread_barrier_wait(&awake);
    pthread_join(thread, NULL);
    mcentral_check();
}

static atomic_bool worker_stops;

static void *work_on(void *unused)
{
    void *objects[300];
    while (!atomic_load(&worker_stops)) {
        for (size_t i = 0; i < COUNT(objects); i++)
            objects[i] = object_alloc(SIZE_112);
        for (size_t i = 0; i < COUNT(objects); i++)
            object_free(objects[i]);
        if (mcache_is_asked())
            mcache_meet_requests();
    }
    return NULL;
}

/* The owner puts and takes at the same time. */
static void magazines_may_be_taken_from_threads_that_work(void **state)
{
    pthread_t threads[2];
    atomic_store(&worker_stops, false);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, work_on, NULL);
    for (int i = 0; i < 2000; i++) {
        mcache_take_from_sleepers(true);
        mcache_request(i % 2 ? MCACHE_FLUSH_ALL : MCACHE_FLUSH_UNUSED);
    }
    atomic_store(&worker_stops, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    mcache_flush_self();
    mcache_flush_idle();
    mcentral_trim(SIZE_112, 0);
    assert_int_equal(out(SIZE_112), 0);
    mcentral_check();
}

static void start_without_memory(void *argument)
{
    atomic_store(&os_fault_forever, true);
    atomic_store(&os_fault_at, 1);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        CHILD_CHECK(!mcache_alloc_slow(class));
    atomic_store(&os_fault_at, 0);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        void *p = object_alloc(class);
        CHILD_CHECK(p);
        object_free(p);
    }
    mheap_check();
    mcentral_check();
}

/* Stands first: the child's heap must not have been started. */
static void a_process_may_start_without_memory(void **state)
{
    assert_child_passes(start_without_memory, NULL);
}
#endif

/* --- Double frees --- */

static void free_twice(void *argument)
{
    void *p = object_alloc(SIZE_48);
    if (argument) { /* half empty, so that both lie in one magazine */
        object_alloc(SIZE_48);
        object_alloc(SIZE_48);
    }
    object_free(p);
    object_free(p);
    object_alloc(SIZE_48);
}
static void free_twice_at_every_place(void *argument)
{
    static void *objects[200];
    for (size_t i = 0; i < COUNT(objects); i++)
        objects[i] = object_alloc(SIZE_48);
    for (size_t i = 0; i < (uintptr_t)argument; i++)
        object_free(objects[i]);
    object_free(objects[199]);
    object_free(objects[199]);
    object_alloc(SIZE_48);
}

static void a_block_freed_twice_in_a_row_is_noticed_at_once(void **state)
{
    assert_child_aborts(free_twice, NULL, "double free: 0x");
    assert_child_aborts(free_twice, state, "double free: 0x");
    for (uintptr_t before = 0; before < 140; before++)
        assert_child_aborts(free_twice_at_every_place, (void *)before, "(size class 3 of 48 bytes");
}

/* --- The end of a thread --- */

static void *use_every_class(void *unused)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        void *p = object_alloc(class);
        THREAD_CHECK(p);
        object_free(p);
    }
    return NULL;
}

static void ten_thousand_threads_leave_few_caches(void **state)
{
    struct mheap_stats before, after;
    in_a_thread(use_every_class, NULL);
    size_t caches = stats_now().caches;
    mheap_read_stats(&before);
    for (int i = 0; i < 10000 / 8; i++) {
        pthread_t threads[8];
        for (size_t j = 0; j < COUNT(threads); j++)
            assert_int_equal(pthread_create(&threads[j], NULL, use_every_class, NULL), 0);
        for (size_t j = 0; j < COUNT(threads); j++)
            pthread_join(threads[j], NULL);
    }
    struct mcache_stats stats = stats_now();
    mheap_read_stats(&after);
    assert_true(stats.caches <= caches + 8);
    assert_int_equal(stats.caches - stats.idle, 1);
    assert_true(after.in_use < before.in_use + ((size_t)64 << 20));
    mcentral_check();
    mheap_check();
}

/* All live at once: their caches are warm up to a few, the others are flushed. */
static pthread_barrier_t barrier;

static void *use_together(void *unused)
{
    void *p = object_alloc(SIZE_144);
    pthread_barrier_wait(&barrier);
    object_free(p);
    return p ? NULL : "no memory";
}

static void only_few_idle_caches_stay_warm(void **state)
{
    pthread_t threads[40];
    pthread_barrier_init(&barrier, NULL, COUNT(threads));
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, use_together, NULL);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    struct mcache_stats stats = stats_now();
    assert_true(stats.caches >= COUNT(threads));
    assert_int_equal(stats.caches - stats.idle, 1);
    assert_in_range(stats.objects[SIZE_144], 0,
                    5 * 2 * (size_t)size_classes[SIZE_144].magazine_capacity);
    mcache_flush_idle();
    mcache_flush_self();
    assert_int_equal(stats_now().objects[SIZE_144], 0);
    mcentral_check();
}

/* A destructor of the program's, whose key was made after ours and which is called in every round.
 */
static pthread_key_t late_key;
/* Atomic: ThreadSanitizer takes a thread for ended before its last destructors. */
static atomic_int rounds, rounds_gone;
static atomic_bool destructors_could_allocate;

static void late_destructor(void *value)
{
    void *p = object_alloc(SIZE_64), *q = object_alloc(LARGEST);
    if (!p || !q || p == q)
        destructors_could_allocate = false;
    object_free(p);
    object_free(q);
    rounds_gone += mcache_self() == &mcache_none;
    if (++rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(late_key, value);
}

static void *end_late(void *unused)
{
    object_free(object_alloc(SIZE_64));
    pthread_setspecific(late_key, &late_key);
    return NULL;
}

static void destructors_may_allocate_after_the_cache_is_gone(void **state)
{
    assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
    destructors_could_allocate = true;
    in_a_thread(end_late, NULL);
    assert_true(destructors_could_allocate);
    assert_int_equal(rounds, PTHREAD_DESTRUCTOR_ITERATIONS);
    assert_in_range(rounds_gone, 1, PTHREAD_DESTRUCTOR_ITERATIONS - 1);
    assert_int_equal(stats_now().caches - stats_now().idle, 1);
    mcache_flush_self();
    mcache_flush_idle();
    mcentral_trim(LARGEST, 0);
    assert_int_equal(out(LARGEST), 0);
    pthread_key_delete(late_key);
}

static void *consume(void *argument)
{
    void **objects = argument;
    for (size_t i = 0; i < 1000; i++)
        object_free(objects[i]);
    return NULL;
}

static void what_one_thread_frees_another_allocates(void **state)
{
    void *objects[1000];
    for (int i = 0; i < 200; i++) {
        for (size_t j = 0; j < COUNT(objects); j++)
            objects[j] = object_alloc(SIZE_144);
        in_a_thread(consume, objects);
    }
    assert_true(out(SIZE_144) < 64 * 128 + 4 * 1000);
    mcentral_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef GOALLOC_DEBUG
        cmocka_unit_test(a_process_may_start_without_memory),
        cmocka_unit_test(a_thread_meets_a_request_to_flush),
        cmocka_unit_test(classes_that_were_not_used_are_flushed_on_request),
        cmocka_unit_test(what_a_sleeping_thread_keeps_aside_is_taken),
        cmocka_unit_test(magazines_may_be_taken_from_threads_that_work),
#endif
        cmocka_unit_test(a_thread_gets_its_cache_with_its_first_object),
        cmocka_unit_test(the_last_object_freed_is_the_first_allocated),
        cmocka_unit_test(a_refill_is_handed_out_in_order_of_address),
        cmocka_unit_test(a_refill_takes_64_kb_at_most),
        cmocka_unit_test(no_object_is_handed_out_twice),
        cmocka_unit_test(a_thread_that_only_allocates_fills_more_at_once),
        cmocka_unit_test(the_edge_of_a_magazine_costs_no_exchange),
        cmocka_unit_test(a_small_class_swings_by_two_magazines_without_the_depot),
        cmocka_unit_test(the_cache_counts_what_it_holds),
        cmocka_unit_test(a_flush_returns_everything),
        cmocka_unit_test(a_block_freed_twice_in_a_row_is_noticed_at_once),
        cmocka_unit_test(ten_thousand_threads_leave_few_caches),
        cmocka_unit_test(only_few_idle_caches_stay_warm),
        cmocka_unit_test(destructors_may_allocate_after_the_cache_is_gone),
        cmocka_unit_test(what_one_thread_frees_another_allocates),
    };
    mcache_init_process();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
