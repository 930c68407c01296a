// SPDX-License-Identifier: MIT
/* Hardened and guarded blocks from the inside. A mode stays on, so each test is in a child. */
#include "support/test.h"

#include <pthread.h>

#include "hardened/internal.h"
#include "options/options.h"
#include "os/fault.h"
#include "scavenger/scavenger.h"

enum { ODD = 100, ODD_CLASS_SIZE = 112, MANY = 600 };

static void start(size_t sample)
{
    options.hardened = true;
    options.sample = sample;
    hardened_start(0);
    CHILD_CHECK(hardened_modes & HARDENED_ALL);
}

static char *block(size_t size)
{
    char *p = hardened_malloc(size);
    CHILD_CHECK(p && (uintptr_t)p % MIN_ALIGN == 0);
    memset(p, 7, size);
    return p;
}

static void release(void *p)
{
    hardened_free(mheap_span_of(p), p, SIZE_UNKNOWN, "free");
}

static size_t size_of(void *p)
{
    return hardened_usable_size(mheap_span_of(p), p, "malloc_usable_size");
}

/* --- Slots --- */

static int compare(const void *a, const void *b)
{
    uintptr_t p = (uintptr_t) * (void *const *)a, q = (uintptr_t) * (void *const *)b;
    return (p > q) - (p < q);
}

static void take_many(void *unused)
{
    void *blocks[MANY];
    unsigned rises = 0;
    start(0);
    for (unsigned i = 0; i < MANY; i++) {
        blocks[i] = block(ODD);
        rises += i && blocks[i] > blocks[i - 1];
    }
    CHILD_CHECK(rises > MANY / 4 && rises < MANY * 3 / 4);
    qsort(blocks, MANY, sizeof(*blocks), compare);
    for (unsigned i = 1; i < MANY; i++)
        CHILD_CHECK((char *)blocks[i] - (char *)blocks[i - 1] >= ODD_CLASS_SIZE);
    for (unsigned i = 0; i < MANY; i++)
        release(blocks[i]);
    mheap_check();
}

static void slots_come_once_and_in_no_order(void **state)
{
    assert_child_passes(take_many, NULL);
}

static void free_and_look_out(void *unused)
{
    start(0);
    void *blocks[MANY];
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = block(ODD);
    for (unsigned i = 1; i < MANY; i++)
        release(blocks[i]);
    release(blocks[0]);
    for (unsigned i = 0; i < HELD_MAX; i++) {
        void *p = block(ODD);
        CHILD_CHECK(p != blocks[0]);
        release(p);
    }
}

static void a_freed_block_is_held_back_for_as_many_frees_as_the_queue_is_long(void **state)
{
    assert_child_passes(free_and_look_out, NULL);
}

static void give_all_back(void *unused)
{
    struct mheap_levels before, after;
    void *blocks[MANY];
    start(0);
    release(block(ODD));
    scavenger_trim_too(true);
    mheap_read_levels(&before);
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = block(i * 101);
    release(block((size_t)3 << 20));
    for (unsigned i = 0; i < MANY; i++)
        release(blocks[i]);
    scavenger_trim_too(true);
    mheap_read_levels(&after);
    CHILD_CHECK(after.in_use == before.in_use);
    mheap_check();
}

static void a_flush_gives_every_page_back(void **state)
{
    assert_child_passes(give_all_back, NULL);
}

/* --- Sizes --- */

static void keep_contents(void *unused)
{
    start(0);
    for (size_t size = 1; size < (size_t)3 << 20; size += size / 3 + 1) {
        char *p = block(size);
        CHILD_CHECK(size_of(p) == size);
        size_t sizes[] = {size + 1, size + size / 8, size * 3 / 4 + 1, size};
        for (unsigned i = 0; i < COUNT(sizes); i++)
            if (hardened_resize(mheap_span_of(p), p, sizes[i])) {
                CHILD_CHECK(size_of(p) == sizes[i]);
                CHILD_CHECK(p[0] == 7 &&
                            p[(size * 3 / 4 + 1 < size ? size * 3 / 4 + 1 : 1) - 1] == 7);
            }
        release(p);
        p = hardened_calloc(size);
        for (size_t i = 0; i < size; i++)
            CHILD_CHECK(p[i] == 0);
        release(p);
    }
}

static void blocks_have_the_size_asked_for(void **state)
{
    assert_child_passes(keep_contents, NULL);
}

static void align_all(void *unused)
{
    start(0);
    for (size_t align = 32; align <= (size_t)1 << 20; align *= 2)
        for (size_t size = 1; size < 100000; size = size * 7 + 1) {
            char *p = hardened_aligned(align, size);
            CHILD_CHECK(p && (uintptr_t)p % align == 0 && size_of(p) == size);
            memset(p, 1, size);
            release(p);
        }
}

static void aligned_blocks_are(void **state)
{
    assert_child_passes(align_all, NULL);
}

/* --- Mistakes --- */

static void overflow(void *size)
{
    start(0);
    char *p = block((size_t)size);
    p[(size_t)size] ^= 1;
    release(p);
}

static void every_bit_behind_a_block_is_watched(void **state)
{
    static const size_t sizes[] = {0, 1, 40, 1000, 2041, 32760, 32761, 100000, (2 << 20) - 1};
    for (unsigned i = 0; i < COUNT(sizes); i++)
        assert_child_aborts(overflow, (void *)sizes[i], "write past the end of a block");
}

static void write_freed(void *offset)
{
    start(0);
    char *p = block(ODD);
    release(p);
    p[(size_t)offset] = 1;
    scavenger_trim_too(true);
}

static void every_byte_of_a_freed_block_is_watched(void **state)
{
    for (size_t i = 0; i < ODD_CLASS_SIZE; i += 37)
        assert_child_aborts(write_freed, (void *)i, "write after free");
}

static void free_twice(void *size)
{
    start(0);
    char *p = block((size_t)size);
    release(p);
    release(p);
}

static void a_second_free_is_noticed_at_once(void **state)
{
    static const size_t sizes[] = {0, 100, 5000, 100000, (size_t)2 << 20};
    for (unsigned i = 0; i < COUNT(sizes); i++)
        assert_child_aborts(free_twice, (void *)sizes[i], "double free");
}

/* --- Guarded blocks --- */

static void guard_all(void *unused)
{
    void *blocks[1000];
    unsigned guarded = 0;
    start(1);
    for (unsigned i = 0; i < COUNT(blocks); i++) {
        blocks[i] = block(i % 200);
        guarded += mheap_span_of(blocks[i])->state == SPAN_GUARDED;
        CHILD_CHECK(size_of(blocks[i]) == i % 200);
    }
    CHILD_CHECK(guarded == 256 || guarded == 128);
    for (unsigned i = 0; i < COUNT(blocks); i++)
        release(blocks[i]);
    void *p = block(100), *first = p;
    for (unsigned i = 1; i < guarded; i++) {
        release(p);
        p = block(100);
        CHILD_CHECK((uintptr_t)p / 8192 != (uintptr_t)first / 8192);
    }
}

static void guarded_pages_run_out_and_come_back_last_freed_last(void **state)
{
    NEEDS_A_KERNEL();
    assert_child_passes(guard_all, NULL);
}

static void overflow_guarded(void *unused)
{
    start(1);
    char *p = block(1);
    p[1] = 1;
    release(p);
}

static void a_guarded_block_is_checked_around(void **state)
{
    assert_child_aborts(overflow_guarded, NULL, "write past the end of a block");
}

/* --- Threads --- */

enum { SHARED = 64, ROUNDS = 20000 };
static _Atomic(void *) shared[SHARED];

static void *exchange(void *seed)
{
    struct random random = {(uintptr_t)seed};
    for (unsigned i = 0; i < ROUNDS; i++) {
        char *p = block(1 + random_below(&random, i % 100 ? 300 : 50000));
        p = atomic_exchange(&shared[random_below(&random, SHARED)], p);
        if (p)
            release(p);
    }
    return NULL;
}

static void exchange_in_threads(void *unused)
{
    pthread_t threads[4];
    start(100);
    for (size_t i = 0; i < COUNT(threads); i++)
        CHILD_CHECK(pthread_create(&threads[i], NULL, exchange, (void *)(i + 1)) == 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < SHARED; i++)
        if (shared[i])
            release(shared[i]);
    scavenger_trim_too(true);
    mheap_check();
}

static void blocks_may_change_threads(void **state)
{
    assert_child_passes(exchange_in_threads, NULL);
}

/* --- Out of memory --- */

#ifdef GOALLOC_DEBUG
static void fail_at(void *n)
{
    start(3);
    release(block(ODD));
    os_fault_at = (long)n;
    os_fault_forever = true;
    void *blocks[MANY];
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = hardened_malloc(i * 997);
    for (unsigned i = 0; i < MANY; i++)
        if (blocks[i])
            release(blocks[i]);
    os_fault_at = 0;
    release(block(ODD));
    mheap_check();
}

static void any_system_call_may_fail(void **state)
{
    for (size_t n = 1; n < 60; n += 3)
        assert_child_passes(fail_at, (void *)n);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_come_once_and_in_no_order),
        cmocka_unit_test(a_freed_block_is_held_back_for_as_many_frees_as_the_queue_is_long),
        cmocka_unit_test(a_flush_gives_every_page_back),
        cmocka_unit_test(blocks_have_the_size_asked_for),
        cmocka_unit_test(aligned_blocks_are),
        cmocka_unit_test(every_bit_behind_a_block_is_watched),
        cmocka_unit_test(every_byte_of_a_freed_block_is_watched),
        cmocka_unit_test(a_second_free_is_noticed_at_once),
        cmocka_unit_test(guarded_pages_run_out_and_come_back_last_freed_last),
        cmocka_unit_test(a_guarded_block_is_checked_around),
        cmocka_unit_test(blocks_may_change_threads),
#ifdef GOALLOC_DEBUG
        cmocka_unit_test(any_system_call_may_fail),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
