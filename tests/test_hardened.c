// SPDX-License-Identifier: MIT
/* Hardened and guarded blocks from the inside. A mode stays on, so each test is in a child. */
#include "support/test.h"

#include <pthread.h>

#include "hardened/internal.h"
#include "options/options.h"
#include "os/fault.h"
#include "os/os.h"
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

/* --- The short ways: with a quarantine that is full --- */

static char *usual_block(size_t size)
{
    void *blocks[MANY];
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = block(size);
    for (unsigned i = 0; i < MANY; i++)
        hardened_free_any(blocks[i]);
    return block(size);
}

static void use_short_ways(void *size)
{
    void *blocks[MANY];
    start(0);
    hardened_free_any(usual_block((size_t)size));
    for (unsigned i = 0; i < MANY; i++) {
        blocks[i] = block((size_t)size);
        CHILD_CHECK(size_of(blocks[i]) == (size_t)size);
    }
    qsort(blocks, MANY, sizeof(*blocks), compare);
    for (unsigned i = 1; i < MANY; i++)
        CHILD_CHECK((char *)blocks[i] - (char *)blocks[i - 1] >= (long)(size_t)size);
    for (unsigned i = 0; i < MANY; i++)
        hardened_free_any(blocks[i]);
    scavenger_trim_too(true);
    mheap_check();
}

static const size_t short_sizes[] = {0, 8, 24, 40, 56, 100, 120, 121, 500, 1016, 1017, 2100, 30000};

static void no_slot_is_handed_out_twice(void **state)
{
    for (unsigned i = 0; i < COUNT(short_sizes); i++)
        assert_child_passes(use_short_ways, (void *)short_sizes[i]);
}

static void overflow_short(void *size)
{
    start(0);
    char *p = usual_block((size_t)size);
    p[(size_t)size + 7] ^= 0x40;
    hardened_free_any(p);
}

static void free_twice_short(void *size)
{
    start(0);
    char *p = usual_block((size_t)size);
    hardened_free_any(p);
    hardened_free_any(p);
}

static void write_freed_short(void *size)
{
    start(0);
    char *p = usual_block((size_t)size);
    hardened_free_any(p);
    p[(size_t)size < 1024 ? (size_t)size : 1023] = 1;
    for (unsigned i = 0; i < 100 * MANY; i++)
        hardened_free_any(block((size_t)size));
}

static void the_short_ways_find_mistakes_too(void **state)
{
    for (unsigned i = 0; i < COUNT(short_sizes); i++) {
        void *size = (void *)short_sizes[i];
        assert_child_aborts(overflow_short, size, "write past the end of a block");
        assert_child_aborts(free_twice_short, size, "double free");
        assert_child_aborts(write_freed_short, size, "write after free");
    }
}

static void free_inside(void *offset)
{
    start(0);
    char *p = usual_block(2100); /* of 2,432: its note says that others hold the slack */
    CHILD_CHECK(size_of(p) == 2100);
    hardened_free_any(p + (size_t)offset);
}

static void no_pointer_into_a_block_passes_for_one(void **state)
{
    static const size_t offsets[] = {1, 8, 16, 32, 48, 2096};
    for (unsigned i = 0; i < COUNT(offsets); i++)
        assert_child_aborts(free_inside, (void *)offsets[i],
                            offsets[i] % 16 ? "misaligned" : "interior");
}

static void switch_off(void *what)
{
    bool *option = what;
    *option = false;
    start(0);
    hardened_free_any(usual_block(ODD));
    hardened_free_any(usual_block(3000));
    char *p = block(ODD);
    CHILD_CHECK(size_of(p) == ODD);
    hardened_free_any(p);
    scavenger_trim_too(true);
    mheap_check();
}

static void each_part_may_be_switched_off(void **state)
{
    assert_child_passes(switch_off, &options.canaries);
    assert_child_passes(switch_off, &options.zero_on_free);
    assert_child_passes(switch_off, &options.quarantine);
    assert_child_passes(switch_off, &options.guard_pages);
}

/* --- Trays --- */

static void fill_trays(void *unused)
{
    start(0);
    unsigned class = size_class_of(ODD + CANARY_BYTES);
    char *p = usual_block(ODD);
    size_t lie = trays_count(class);
    CHILD_CHECK(lie > TRAY_MAX && lie < MANY);
    for (unsigned i = 0; i < MANY; i++)
        block(ODD);
    CHILD_CHECK(trays_count(class) == 0);
    hardened_free_any(p);
    hardened_free_any(usual_block(ODD));
    CHILD_CHECK(trays_count(class) > TRAY_MAX);
    scavenger_trim_too(false);
    CHILD_CHECK(trays_count(class) == 0);
}

static void freed_slots_come_back_from_trays(void **state)
{
    assert_child_passes(fill_trays, NULL);
}

static void write_into_tray(void *unused)
{
    void *blocks[MANY];
    start(0);
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = block(ODD);
    for (unsigned i = 0; i < MANY; i++)
        hardened_free_any(blocks[i]);
    *(char *)blocks[0] = 1; /* it has long left the thread's cache */
    scavenger_trim_too(false);
}

static void what_lies_in_trays_is_checked_when_they_are_emptied(void **state)
{
    assert_child_aborts(write_into_tray, NULL, "write after free");
}

/* --- Zeros --- */

static void zero_all_lengths(void *wide)
{
    static char buffer[1200] __attribute__((aligned(16)));
    hardened.wide = wide && ga_has_wide();
    for (size_t bytes = 16; bytes <= 1024; bytes += 16) {
        memset(buffer, 1, sizeof(buffer));
        zero_fill(buffer + 16, bytes);
        CHILD_CHECK(buffer[15] == 1 && buffer[16 + bytes] == 1);
        CHILD_CHECK(zero_is(buffer + 16, bytes) && !zero_is(buffer + 16, bytes + 16));
        for (size_t i = 16; i < 16 + bytes; i++) {
            CHILD_CHECK(buffer[i] == 0);
            buffer[i] = 0x40;
            CHILD_CHECK(!zero_is(buffer + 16, bytes));
            buffer[i] = 0;
        }
    }
}

static void either_build_zeroes_and_sees_each_byte(void **state)
{
    assert_child_passes(zero_all_lengths, NULL);
    assert_child_passes(zero_all_lengths, "wide");
}

/* --- Shrinking --- */

static void shrink_all(void *sample)
{
    static const size_t sizes[] = {1, 40, 1722, 4000, 30000, 100000, (size_t)2 << 20};
    start((size_t)sample);
    hardened_free_any(block(1)); /* a thread's first is never guarded */
    for (unsigned i = 0; i < COUNT(sizes); i++)
        for (size_t size = 0; size <= sizes[i]; size += size / 2 + 1) {
            char *p = block(sizes[i]);
            hardened_shrink(mheap_span_of(p), p, sizes[i], size);
            CHILD_CHECK(size_of(p) == size && (!size || p[size - 1] == 7));
            memset(p, 1, size);
            hardened_free(mheap_span_of(p), p, size, "free");
        }
    scavenger_trim_too(true);
    mheap_check();
}

static void a_block_may_shrink_where_it_lies_by_any_length(void **state)
{
    assert_child_passes(shrink_all, (void *)0);
    NEEDS_A_KERNEL();
    assert_child_passes(shrink_all, (void *)1);
}

/* --- Growing --- */

#define GROWN ((size_t)16 << 20)

static char *grown_block(void)
{
    start(0);
    size_t size = (size_t)160 << 10;
    char *p = hardened_malloc_growing(size / 2, size);
    CHILD_CHECK(p);
    p[0] = 7;
    for (; size <= GROWN; size += size / 2) {
        CHILD_CHECK(hardened_resize(mheap_span_of(p), p, size) && size_of(p) == size);
        p[size - 1] = 7;
    }
    CHILD_CHECK(hardened_resize(mheap_span_of(p), p, GROWN));
    return p;
}

static void grow(void *unused)
{
    char *p = grown_block();
    CHILD_CHECK(p[0] == 7);
    release(p);
    mheap_check();
    scavenger_trim_too(true);
    mheap_check();
}

static void write_into_pad(void *unused)
{
    start(0);
    char *p = hardened_malloc_growing(100000, 200000);
    CHILD_CHECK(p && hardened_resize(mheap_span_of(p), p, GROWN));
    p[GROWN] = 1;
}

static void a_growing_block_stays_and_its_pad_moves(void **state)
{
    assert_child_passes(grow, NULL);
    NEEDS_A_KERNEL();
    assert_child_aborts(write_into_pad, NULL, "write past the end of a block");
}

static void free_many_large(void *unused)
{
    start(0);
    for (unsigned i = 0; i < 50; i++) {
        char *p = block((size_t)1 << 20 | i << 14);
        release(p);
    }
    scavenger_trim_too(true);
    mheap_check();
    char *p = block((size_t)40 << 20);
    release(p);
    scavenger_trim_too(true);
    mheap_check();
}

/* Where pages can't trap, nothing releases the pads. */
static void make_dirty_pads(void *unused)
{
    void *blocks[MANY];
    options.guard_pages = false;
    start(0);
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = block(30000);
    for (unsigned i = 0; i < MANY; i++)
        release(blocks[i]);
    scavenger_trim_too(true);
    char *p = block((size_t)2 << 20);
    CHILD_CHECK(!slab_of(p)->clean && !slab_of(p)->pads_zero);
    struct mheap_levels before, after;
    release(p);
    mheap_read_levels(&before);
    scavenger_trim_too(true);
    mheap_read_levels(&after);
    CHILD_CHECK(after.free_dirty - before.free_dirty >= (size_t)2 << 20);
}

static void pads_that_may_hold_something_go_back_as_dirty(void **state)
{
    assert_child_passes(make_dirty_pads, NULL);
}

static void forbidden_pages_are_allowed_again(void **state)
{
    assert_child_passes(free_many_large, NULL);
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

static uint64_t milliseconds(void)
{
    return os_nanotime() / 1000000;
}

/* How many blocks are guarded in some time, or of so many turns. */
static unsigned sample_for(size_t rate, uint64_t most, unsigned turns)
{
    unsigned guarded = 0;
    options.sample = rate;
    hardened_start(0);
    CHILD_CHECK(hardened_modes == HARDENED_SAMPLE);
    for (uint64_t end = milliseconds() + most; turns && milliseconds() < end; turns--) {
        void *p = hardened_sample(40, (unsigned)rate * 2);
        guarded += p != NULL;
        if (p)
            release(p);
    }
    return guarded;
}

static void sample_paced(void *unused)
{
    uint64_t began = milliseconds();
    unsigned guarded = sample_for(100000, 100, UINT32_MAX);
    CHILD_CHECK(guarded >= 2 && guarded <= (milliseconds() - began) / 2 + 2);
}

static void sample_unpaced(void *unused)
{
    CHILD_CHECK(sample_for(50, 60000, 300) >= 299);
}

static void rare_samples_have_a_pace_and_frequent_ones_none(void **state)
{
    NEEDS_A_KERNEL();
    assert_child_passes(sample_paced, NULL);
    assert_child_passes(sample_unpaced, NULL);
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
        cmocka_unit_test(no_slot_is_handed_out_twice),
        cmocka_unit_test(the_short_ways_find_mistakes_too),
        cmocka_unit_test(no_pointer_into_a_block_passes_for_one),
        cmocka_unit_test(each_part_may_be_switched_off),
        cmocka_unit_test(freed_slots_come_back_from_trays),
        cmocka_unit_test(what_lies_in_trays_is_checked_when_they_are_emptied),
        cmocka_unit_test(either_build_zeroes_and_sees_each_byte),
        cmocka_unit_test(a_block_may_shrink_where_it_lies_by_any_length),
        cmocka_unit_test(a_growing_block_stays_and_its_pad_moves),
        cmocka_unit_test(pads_that_may_hold_something_go_back_as_dirty),
        cmocka_unit_test(forbidden_pages_are_allowed_again),
        cmocka_unit_test(guarded_pages_run_out_and_come_back_last_freed_last),
        cmocka_unit_test(a_guarded_block_is_checked_around),
        cmocka_unit_test(rare_samples_have_a_pace_and_frequent_ones_none),
        cmocka_unit_test(blocks_may_change_threads),
#ifdef GOALLOC_DEBUG
        cmocka_unit_test(any_system_call_may_fail),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
