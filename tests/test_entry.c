// SPDX-License-Identifier: MIT
/*
 * What C, POSIX and glibc promise of malloc and its family, as far as it shows inside one process.
 * Linked with the whole library: every allocation here, cmocka's included, is goalloc's.
 */
#include "support/test.h"

#include <errno.h>
#include <malloc.h>

#include "goalloc/goalloc.h"
#include "libc/internal.h"

/* The compiler knows malloc: it would warn of absurd sizes, and drop calls whose result is unused.
 */
static volatile size_t zero;
static void *volatile sink;
static void *(*volatile try_realloc)(void *, size_t) = realloc;
static void *(*volatile try_reallocarray)(void *, size_t, size_t) = reallocarray;
static void (*volatile try_free)(void *) = free;

static const size_t impossible[] = {
    SIZE_MAX,
    SIZE_MAX - 1,
    SIZE_MAX - 15,
    SIZE_MAX - 4096,
    SIZE_MAX - HEAP_PAGE,
    SIZE_MAX >> 1,
    SIZE_MAX / 2 + 1,
    (size_t)PTRDIFF_MAX,
    (size_t)PTRDIFF_MAX + 1,
    (size_t)PTRDIFF_MAX - HEAP_PAGE,
    (size_t)1 << 62,
    (size_t)1 << 48,
};

/* Sizes on both sides of every boundary: classes, page classes, large blocks. */
static size_t interesting_size(size_t i)
{
    static const size_t large[] = {CLASS_SIZE_MAX + 1, 3 << 20, (5 << 20) + 13, 20 << 20};
    size_t classes = (SIZE_CLASS_COUNT - 1) * (size_t)3;
    if (i < classes)
        return size_classes[1 + i / 3].size - 1 + i % 3;
    i -= classes;
    return i < COUNT(large) ? large[i] : SIZE_MAX;
}

#define FOR_INTERESTING_SIZES(size)                                                                \
    for (size_t i_ = 0, size; (size = interesting_size(i_)) != SIZE_MAX; i_++)

static bool all_are(const void *memory, size_t size, int value)
{
    const unsigned char *bytes = memory;
    return size == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static bool is_aligned(const void *p, size_t align)
{
    return (uintptr_t)p % align == 0;
}

#define assert_enomem(call)                                                                        \
    do {                                                                                           \
        errno = 0;                                                                                 \
        assert_null(call);                                                                         \
        assert_int_equal(errno, ENOMEM);                                                           \
    } while (0)

/* --- malloc and free --- */

static void every_size_is_aligned_to_16(void **state)
{
    for (size_t size = 0; size <= 70000; size++) {
        void *p = malloc(size);
        if (!p || !is_aligned(p, 16) || malloc_usable_size(p) < size)
            fail_msg("%zu bytes at %p", size, p);
        free(p);
    }
    for (size_t size = 70000; size < (size_t)64 << 20; size += size / 9) {
        void *p = malloc(size);
        if (!p || !is_aligned(p, 16) || malloc_usable_size(p) < size)
            fail_msg("%zu bytes at %p", size, p);
        free(p);
    }
}

static void what_is_usable_is_writable_and_the_blocks_own(void **state)
{
    FOR_INTERESTING_SIZES(size)
    {
        unsigned char *blocks[3];
        for (size_t i = 0; i < COUNT(blocks); i++) {
            blocks[i] = malloc(size);
            assert_non_null(blocks[i]);
            assert_true(malloc_usable_size(blocks[i]) >= size);
            memset(blocks[i], (int)i + 1, malloc_usable_size(blocks[i]));
        }
        for (size_t i = 0; i < COUNT(blocks); i++) {
            assert_true(all_are(blocks[i], malloc_usable_size(blocks[i]), (int)i + 1));
            free(blocks[i]);
        }
    }
    assert_int_equal(malloc_usable_size(NULL), 0);
}

static void blocks_of_zero_bytes_are_unique(void **state)
{
    void *blocks[200];
    for (size_t i = 0; i < COUNT(blocks); i++) {
        blocks[i] = i % 2 ? malloc(zero) : calloc(zero, i);
        assert_non_null(blocks[i]);
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(blocks[i], blocks[j]);
    }
    for (size_t i = 0; i < COUNT(blocks); i++)
        free(blocks[i]);
}

static void free_keeps_errno(void **state)
{
    FOR_INTERESTING_SIZES(size)
    {
        char *p = malloc(size);
        memset(p, 1, size);
        errno = 12345;
        free(p);
        assert_int_equal(errno, 12345);
    }
    free(NULL);
    assert_int_equal(errno, 12345);
}

static void freeing_many_blocks_keeps_errno(void **state)
{
    static void *blocks[30000];
    for (size_t i = 0; i < COUNT(blocks); i++)
        blocks[i] = malloc(i % 700);
    errno = 4321;
    for (size_t i = 0; i < COUNT(blocks); i++)
        free(blocks[i]);
    malloc_trim(0);
    assert_int_equal(errno, 4321);
}

static void every_name_of_free_frees(void **state)
{
    struct ga_stats before, after;
    void *(*allocate)(size_t) = malloc;
    ga_stats(&before, sizeof(before));
    for (int i = 0; i < 1000; i++) {
        free_sized(allocate(2000000), 2000000);
        free_aligned_sized(aligned_alloc(65536, 2000000), 65536, 2000000);
        cfree(allocate(2000000));
        __libc_free(__libc_malloc(2000000));
        __libc_cfree(__libc_calloc(2, 1000000));
        free(__libc_realloc(__libc_reallocarray(NULL, 2, 1000000), 3000000));
        free(__libc_memalign(64, 2000000));
        free(__libc_valloc(2000000));
        free(__libc_pvalloc(2000000));
    }
    ga_stats(&after, sizeof(after));
    assert_int_equal(after.large, before.large);
}

/* --- What can't be had --- */

static void impossible_sizes_give_null_and_enomem(void **state)
{
    for (size_t i = 0; i < COUNT(impossible); i++) {
        volatile size_t size = impossible[i];
        void *p = malloc(100), *out = &out;
        assert_enomem(malloc(size));
        assert_enomem(calloc(1, size));
        assert_enomem(calloc(size, 1));
        assert_enomem(realloc(NULL, size));
        assert_enomem(try_realloc(p, size));
        assert_enomem(try_reallocarray(p, size, 1));
        assert_enomem(memalign(64, size));
        assert_enomem(memalign(65536, size));
        assert_enomem(aligned_alloc(64, size));
        assert_enomem(aligned_alloc(65536, size));
        assert_enomem(valloc(size));
        assert_enomem(pvalloc(size));
        assert_int_equal(posix_memalign(&out, 64, size), ENOMEM);
        assert_ptr_equal(out, &out);
        assert_true(malloc_usable_size(p) >= 100); /* p is as it was */
        free(p);
    }
}

static void failed_realloc_leaves_the_block_alone(void **state)
{
    FOR_INTERESTING_SIZES(size)
    {
        volatile size_t too_much = PTRDIFF_MAX;
        unsigned char *p = malloc(size);
        size_t usable = malloc_usable_size(p);
        memset(p, 0x42, usable);
        assert_enomem(try_realloc(p, too_much));
        assert_enomem(try_realloc(p, (size_t)1 << 50));
        assert_int_equal(malloc_usable_size(p), usable);
        assert_true(all_are(p, usable, 0x42));
        free(p);
    }
}

static void a_product_that_overflows_gives_null_and_enomem(void **state)
{
    static const size_t pairs[][2] = {
        {SIZE_MAX, 2},
        {2, SIZE_MAX},
        {SIZE_MAX, SIZE_MAX},
        {(size_t)1 << 32, (size_t)1 << 32},
        {((size_t)1 << 32) + 1, (size_t)1 << 32},
        {SIZE_MAX / 3 + 1, 3},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        volatile size_t count = pairs[i][0], size = pairs[i][1];
        char *p = malloc(10);
        strcpy(p, "kept");
        assert_enomem(calloc(count, size));
        assert_enomem(reallocarray(NULL, count, size));
        assert_enomem(try_reallocarray(p, count, size));
        assert_string_equal(p, "kept");
        free(p);
    }
}

static void an_alignment_that_cannot_be_had_fails(void **state)
{
    for (unsigned shift = 43; shift < 63; shift++)
        assert_enomem(aligned_alloc((size_t)1 << shift, 100));
    for (unsigned shift = 43; shift < 62; shift++)
        assert_enomem(memalign((size_t)1 << shift, 100));
    errno = 0;
    volatile size_t too_large = ((size_t)1 << 63) + 1; /* no power of two above it */
    assert_null(memalign(too_large, 1));
    assert_int_equal(errno, EINVAL);
    too_large = SIZE_MAX;
    assert_null(memalign(too_large, 1));
}

/* --- calloc --- */

static void dirty_and_free(size_t size)
{
    void *blocks[8];
    for (size_t i = 0; i < COUNT(blocks); i++) {
        blocks[i] = malloc(size);
        memset(blocks[i], 0xff, malloc_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < COUNT(blocks); i++)
        free(blocks[i]);
}

static void calloc_is_zero_after_dirtying(void **state)
{
    FOR_INTERESTING_SIZES(size)
    {
        void *blocks[12];
        dirty_and_free(size);
        if (size % 3 == 0) /* by way of the spans, and of pages that went back to the kernel */
            malloc_trim(0);
        for (size_t i = 0; i < COUNT(blocks); i++) {
            blocks[i] = i % 2 ? calloc(1, size) : calloc(size, 1);
            assert_non_null(blocks[i]);
            if (!all_are(blocks[i], size, 0))
                fail_msg("calloc of %zu bytes, the %zu. block", size, i);
        }
        for (size_t i = 0; i < COUNT(blocks); i++)
            free(blocks[i]);
    }
}

static void calloc_is_zero_in_every_small_size(void **state)
{
    for (size_t size = 1; size <= 5000; size++) {
        dirty_and_free(size);
        void *p = calloc(1, size);
        assert_true(all_are(p, size, 0));
        free(p);
    }
}

/* The pages of a block that grew by moving, of one that shrank, and of pieces of both. */
static void calloc_is_zero_where_grown_blocks_lay(void **state)
{
    NEEDS_A_KERNEL();
    struct dice dice = {5};
    for (int i = 0; i < 150; i++) {
        size_t size = ((size_t)1 << 20) + dice_below(&dice, (size_t)6 << 20);
        unsigned char *a = malloc(size), *wall = malloc((size_t)2 << 20);
        memset(a, 1, size);
        a = realloc(a, size * 2);
        memset(a, 2, size * 2);
        a = realloc(a, size / 2);
        assert_true(all_are(a, size / 2, 2));
        size_t of_calloc = 1000 + dice_below(&dice, (size_t)9 << 20);
        void *c = calloc(of_calloc, 1);
        assert_true(all_are(c, of_calloc, 0));
        memset(c, 3, of_calloc);
        free(a);
        void *d = calloc(1, size);
        assert_true(all_are(d, size, 0));
        free(c);
        free(d);
        free(wall);
    }
}

/* --- realloc --- */

static void realloc_to_0_frees_and_returns_null(void **state)
{
    struct ga_stats before, after;
    ga_stats(&before, sizeof(before));
    for (int i = 0; i < 1000; i++) {
        sink = realloc(malloc(3000000), zero);
        assert_null(sink);
        sink = realloc(malloc(30), zero);
        assert_null(sink);
    }
    ga_stats(&after, sizeof(after));
    assert_int_equal(after.large, before.large);
    assert_true(after.live_blocks < before.live_blocks + 900);
}

static void realloc_of_null_is_malloc(void **state)
{
    FOR_INTERESTING_SIZES(size)
    {
        void *p = realloc(NULL, size);
        assert_non_null(p);
        memset(p, 9, size);
        free(p);
    }
    void *p = realloc(NULL, zero);
    assert_non_null(p);
    free(p);
}

/* Every byte tells its place, so that a shifted or a stale copy shows. */
static void fill(unsigned char *p, size_t from, size_t to, unsigned seed)
{
    for (size_t i = from; i < to; i++)
        p[i] = (unsigned char)(i * 31 + (i >> 8) * 7 + seed);
}

static bool is_filled(const unsigned char *p, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != (unsigned char)(i * 31 + (i >> 8) * 7 + seed))
            return false;
    return true;
}

static size_t random_size(struct dice *dice)
{
    static const size_t scales[] = {64, 1024, 9000, 40000, 140000, 1200000, 5000000};
    return 1 + dice_below(dice, scales[dice_below(dice, COUNT(scales))]);
}

static void realloc_keeps_the_contents_along_any_path(void **state)
{
    struct dice dice = {31337};
    for (unsigned path = 0; path < 40; path++) {
        size_t size = random_size(&dice);
        unsigned char *p = malloc(size);
        void *obstacle = NULL;
        fill(p, 0, size, path);
        for (int i = 0; i < 25; i++) {
            size_t next = random_size(&dice);
            p = i % 3 ? realloc(p, next) : reallocarray(p, next, 1);
            assert_non_null(p);
            assert_true(is_aligned(p, 16) && malloc_usable_size(p) >= next);
            if (!is_filled(p, next < size ? next : size, path))
                fail_msg("path %u: from %zu to %zu", path, size, next);
            fill(p, next < size ? next : size, next, path);
            size = next;
            free(obstacle);
            obstacle = malloc(random_size(&dice));
        }
        free(obstacle);
        free(p);
    }
}

static void realloc_of_an_aligned_block_keeps_the_contents(void **state)
{
    for (size_t align = 16; align <= 65536; align *= 4) {
        unsigned char *p = memalign(align, 10000);
        fill(p, 0, 10000, 1);
        p = realloc(p, 3000000);
        assert_true(is_filled(p, 10000, 1));
        p = realloc(p, 100);
        assert_true(is_filled(p, 100, 1));
        free(p);
    }
}

static void a_block_that_shrinks_gives_memory_back(void **state)
{
    void *p = malloc((size_t)40 << 20);
    p = realloc(p, (size_t)4 << 20);
    assert_true(malloc_usable_size(p) < (size_t)5 << 20);
    p = realloc(p, 100);
    assert_true(malloc_usable_size(p) < 1000);
    free(p);
}

/* --- Alignment --- */

static void memalign_aligns_to_every_power_of_two(void **state)
{
    static const size_t sizes[] = {
        0,    1,     15,    16,    17,     100,     1000,          4096,
        8192, 10000, 32768, 32769, 100000, 1 << 20, (1 << 20) + 1, 3000000};
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 2) {
        for (size_t i = 0; i < COUNT(sizes); i++) {
            void *blocks[3] = {memalign(align, sizes[i]), aligned_alloc(align, sizes[i]), NULL};
            int verdict = posix_memalign(&blocks[2], align < 8 ? 8 : align, sizes[i]);
            assert_int_equal(verdict, 0);
            for (size_t j = 0; j < COUNT(blocks); j++) {
                assert_non_null(blocks[j]);
                assert_true(is_aligned(blocks[j], align) && is_aligned(blocks[j], 16));
                assert_true(malloc_usable_size(blocks[j]) >= sizes[i]);
                memset(blocks[j], (int)j, sizes[i] < 20000 ? sizes[i] : 20000);
            }
            assert_true(blocks[0] != blocks[1] && blocks[1] != blocks[2]);
            for (size_t j = 0; j < COUNT(blocks); j++)
                free(blocks[j]);
        }
    }
}

static void memalign_rounds_its_alignment_up(void **state)
{
    for (size_t align = 0; align < 5000; align += 7) {
        void *p = memalign(align, 50);
        size_t power = 1;
        while (power < align)
            power *= 2;
        assert_non_null(p);
        assert_true(is_aligned(p, power));
        free(p);
    }
}

static void posix_memalign_refuses_a_bad_alignment(void **state)
{
    static const size_t bad[] = {0, 1, 2, 4, 3, 12, 24, 48, 100, SIZE_MAX, ((size_t)1 << 63) + 8};
    for (size_t i = 0; i < COUNT(bad); i++) {
        void *out = &out;
        errno = 77;
        assert_int_equal(posix_memalign(&out, bad[i], 100), EINVAL);
        assert_ptr_equal(out, &out);
        assert_int_equal(errno, 77);
    }
}

static void aligned_alloc_refuses_what_is_no_power_of_two(void **state)
{
    static const size_t bad[] = {0, 3, 24, 4097, SIZE_MAX};
    for (size_t i = 0; i < COUNT(bad); i++) {
        volatile size_t align = bad[i];
        errno = 0;
        sink = aligned_alloc(align, 100);
        assert_null(sink);
        assert_int_equal(errno, EINVAL);
    }
}

static void valloc_and_pvalloc_give_whole_pages(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 0; size < 3 * page; size += 100) {
        void *v = valloc(size), *p = pvalloc(size);
        assert_true(v && p && is_aligned(v, page) && is_aligned(p, page));
        assert_true(malloc_usable_size(v) >= size);
        size_t whole = (size + page - 1) / page * page;
        assert_true(malloc_usable_size(p) >= (whole ? whole : page));
        memset(p, 1, malloc_usable_size(p));
        free(v);
        free(p);
    }
}

/* --- Telling --- */

static void mallinfo_counts_what_is_allocated(void **state)
{
    struct mallinfo2 before = mallinfo2();
    void *large = sink = malloc((size_t)10 << 20), *small[1000];
    for (size_t i = 0; i < COUNT(small); i++)
        sink = small[i] = malloc(1000);
    struct mallinfo2 after = mallinfo2();
    assert_int_equal(after.hblkhd, before.hblkhd + ((size_t)10 << 20));
    assert_in_range(after.uordblks - before.uordblks, 1000 * 1000, 1000 * 1100);
    assert_int_equal(after.arena, after.uordblks + after.fordblks);
    free(large);
    for (size_t i = 0; i < COUNT(small); i++)
        free(small[i]);
    assert_int_equal(mallinfo2().hblkhd, before.hblkhd);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void the_old_mallinfo_is_clamped_not_wrapped(void **state)
{
    void *large = sink = malloc((size_t)3 << 30);
    assert_non_null(large);
    assert_int_equal(mallinfo().hblkhd, 0x7fffffff);
    free(large);
    assert_true(mallinfo().hblkhd >= 0 && mallinfo().hblkhd < 0x7fffffff);
}
#pragma GCC diagnostic pop

static void mallopt_says_which_parameters_there_are(void **state)
{
    static const int known[] = {M_MXFAST,         M_TRIM_THRESHOLD, M_TOP_PAD,
                                M_MMAP_THRESHOLD, M_MMAP_MAX,       M_ARENA_TEST,
                                M_ARENA_MAX,      M_CHECK_ACTION,   M_PERTURB};
    for (size_t i = 0; i < COUNT(known); i++)
        assert_int_equal(mallopt(known[i], 1), 1);
    assert_int_equal(mallopt(12345, 1), 0);
}

static void malloc_trim_says_whether_memory_went_back(void **state)
{
    void *p = malloc((size_t)8 << 20);
    memset(p, 1, (size_t)8 << 20);
    free(p);
    assert_int_equal(malloc_trim(0), 1);
    assert_int_equal(malloc_trim(0), 0);
    struct ga_stats stats;
    ga_stats(&stats, sizeof(stats));
    assert_int_equal(stats.free_dirty, 0);
}

static void malloc_info_writes_xml(void **state)
{
    char text[20000];
    FILE *stream = fmemopen(text, sizeof(text), "w");
    assert_non_null(stream);
    void *p = malloc(48);
    assert_int_equal(malloc_info(0, stream), 0);
    fclose(stream);
    assert_ptr_equal(strstr(text, "<malloc version="), text);
    assert_non_null(strstr(text, "<class size=\"48\""));
    assert_non_null(strstr(text, "<heap mapped="));
    assert_string_equal(text + strlen(text) - 10, "</malloc>\n");
    errno = 0;
    assert_int_equal(malloc_info(1, stdout), -1);
    assert_int_equal(errno, EINVAL);
    free(p);
}

static void print_stats(void *argument)
{
    malloc_stats();
}

static void malloc_stats_prints_a_summary(void **state)
{
    struct child child;
    child_run(&child, print_stats, NULL);
    assert_int_equal(child.status, 0);
    assert_non_null(strstr(child.text, "goalloc: memory:"));
    assert_non_null(strstr(child.text, "live"));
    assert_non_null(strstr(child.text, "size class"));
}

static void ga_read_mem_stats_fills_as_much_as_the_caller_knows(void **state)
{
    static struct ga_mem_stats all;
    static struct {
        struct ga_mem_stats stats;
        uint64_t later;
    } newer;
    uint64_t three[3] = {1, 1, 1};
    newer.later = 1;
    ga_read_mem_stats(&all);
    assert_true(all.alloc > 0 && all.by_size_count > 0);
    ga_read_mem_stats_sized((struct ga_mem_stats *)three, 2 * sizeof(uint64_t));
    assert_true(three[0] > 1 && three[1] > 1);
    assert_int_equal(three[2], 1);
    ga_read_mem_stats_sized(&newer.stats, sizeof(newer));
    assert_int_equal(newer.later, 0);
    assert_int_equal(newer.stats.by_size_count, all.by_size_count);
    ga_read_mem_stats_sized((struct ga_mem_stats *)three, 0);
    assert_true(three[0] > 1);
    ga_read_mem_stats(NULL);
    ga_stats(NULL, sizeof(struct ga_stats));
}

static void metrics_of_nothing_are_nothing(void **state)
{
    struct ga_metric sample = {.name = "/memory/classes/total:bytes", .value = {.u64 = 7}};
    ga_metrics_read(NULL, 5);
    ga_metrics_read(NULL, 0);
    ga_metrics_read(&sample, 0);
    assert_int_equal(sample.value.u64, 7);
    ga_metrics_read(&sample, 1);
    assert_int_equal(sample.kind, GA_METRIC_UINT64);
    assert_true(sample.value.u64 > 1 << 20);
    assert_non_null(ga_metrics_all(NULL));
}

static void mallinfo_counts_blocks_as_glibc_does(void **state)
{
    struct mallinfo2 before = mallinfo2();
    static void *volatile large, *volatile small[20]; /* kept from being optimized away */
    large = malloc(3 << 20);
    for (int i = 0; i < 20; i++)
        small[i] = malloc(600000);
    struct mallinfo2 held = mallinfo2();
    assert_int_equal(held.hblks, before.hblks + 1);
    assert_true(held.hblkhd >= before.hblkhd + (3 << 20));
    assert_true(held.uordblks >= before.uordblks + 20 * (size_t)600000);
    assert_int_equal(held.arena, held.uordblks + held.fordblks);
    for (int i = 0; i < 20; i++)
        free(small[i]);
    free(large);
    struct mallinfo2 freed = mallinfo2();
    assert_int_equal(freed.hblks, before.hblks);
    assert_true(freed.smblks > 0 && freed.ordblks >= freed.smblks);
    assert_true(freed.fsmblks <= freed.fordblks);
    assert_true(freed.uordblks < held.uordblks);
}

static void ga_stats_fills_as_much_as_the_caller_knows(void **state)
{
    struct ga_stats all;
    struct {
        struct ga_stats stats;
        char beyond[64];
    } newer;
    size_t two[3] = {1, 1, 99};
    ga_stats(&all, sizeof(all));
    assert_true(all.mapped > 0 && all.threads >= 1);
    ga_stats((struct ga_stats *)two, 2 * sizeof(size_t));
    assert_int_equal(two[0], all.mapped);
    assert_int_equal(two[2], 99);
    memset(&newer, 0xff, sizeof(newer));
    ga_stats(&newer.stats, sizeof(newer));
    assert_true(all_are(newer.beyond, sizeof(newer.beyond), 0));
    assert_string_equal(ga_version(), GA_VERSION);
}

/* --- Bad pointers: one line, and the end --- */

static void free_it(void *p)
{
    try_free(p);
}
static void free_twice(void *p)
{
    try_free(p);
    try_free(p);
    sink = malloc(malloc_usable_size(p));
}
/* Others of its span stay in use. */
static void free_twice_apart(void *unused)
{
    void *blocks[20];
    for (size_t i = 0; i < COUNT(blocks); i++)
        blocks[i] = malloc(330);
    try_free(blocks[10]);
    try_free(blocks[9]);
    try_free(blocks[10]);
    malloc_trim(0);
}
/* Nothing else of its span is in use. */
static void free_lonely_block_twice(void *unused)
{
    void *p = malloc(100000);
    try_free(p);
    malloc_trim(0);
    try_free(p);
}
static void realloc_it(void *p)
{
    sink = try_realloc(p, 5000000);
}
static void measure_it(void *p)
{
    sink = (void *)malloc_usable_size(p);
}

static void a_bad_pointer_is_named_and_ends_the_process(void **state)
{
    static char foreign[64];
    char *small = malloc(40), *large = malloc(3000000), *freed = malloc(4000000);
    int local = 0;
    try_free(freed);
    assert_child_aborts(free_it, foreign, "free of a foreign pointer");
    assert_child_aborts(free_it, &local, "free of a foreign pointer");
    assert_child_aborts(free_it, (void *)8, "free of a foreign pointer");
    assert_child_aborts(free_it, small + 1, "free of a misaligned pointer");
    assert_child_aborts(free_it, large + HEAP_PAGE, "free of an interior pointer");
    assert_child_aborts(free_it, large + 16, "free of an interior pointer");
    assert_child_aborts(free_it, large + 1, "free of an interior pointer");
    assert_child_aborts(free_it, freed, "free of a freed block");
    assert_child_aborts(free_twice, large, "free of a freed block");
    assert_child_aborts(free_twice, small, "double free");
    assert_child_aborts(free_twice_apart, NULL, "double free");
    assert_child_aborts(free_lonely_block_twice, NULL, "free of a freed block");
    assert_child_aborts(realloc_it, foreign, "realloc of a foreign pointer");
    assert_child_aborts(realloc_it, large + 64, "realloc of an interior pointer");
    assert_child_aborts(realloc_it, small + 8, "realloc of a misaligned pointer");
    assert_child_aborts(measure_it, foreign, "malloc_usable_size of a foreign pointer");
    free(small);
    free(large);
}

static void free_interior_and_trim(void *p)
{
    try_free((char *)p + 16);
    malloc_trim(0);
}

/* free's fast path doesn't look at the object; what it took in shows when it is drained. */
static void an_interior_pointer_is_named_when_its_magazine_is_drained(void **state)
{
    void *p = malloc(40);
    assert_child_aborts(free_interior_and_trim, p, "into the middle of a block");
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_aligned_to_16),
        cmocka_unit_test(what_is_usable_is_writable_and_the_blocks_own),
        cmocka_unit_test(blocks_of_zero_bytes_are_unique),
        cmocka_unit_test(free_keeps_errno),
        cmocka_unit_test(freeing_many_blocks_keeps_errno),
        cmocka_unit_test(every_name_of_free_frees),
        cmocka_unit_test(impossible_sizes_give_null_and_enomem),
        cmocka_unit_test(failed_realloc_leaves_the_block_alone),
        cmocka_unit_test(a_product_that_overflows_gives_null_and_enomem),
        cmocka_unit_test(an_alignment_that_cannot_be_had_fails),
        cmocka_unit_test(calloc_is_zero_after_dirtying),
        cmocka_unit_test(calloc_is_zero_in_every_small_size),
        cmocka_unit_test(calloc_is_zero_where_grown_blocks_lay),
        cmocka_unit_test(realloc_to_0_frees_and_returns_null),
        cmocka_unit_test(realloc_of_null_is_malloc),
        cmocka_unit_test(realloc_keeps_the_contents_along_any_path),
        cmocka_unit_test(realloc_of_an_aligned_block_keeps_the_contents),
        cmocka_unit_test(a_block_that_shrinks_gives_memory_back),
        cmocka_unit_test(memalign_aligns_to_every_power_of_two),
        cmocka_unit_test(memalign_rounds_its_alignment_up),
        cmocka_unit_test(posix_memalign_refuses_a_bad_alignment),
        cmocka_unit_test(aligned_alloc_refuses_what_is_no_power_of_two),
        cmocka_unit_test(valloc_and_pvalloc_give_whole_pages),
        cmocka_unit_test(mallinfo_counts_what_is_allocated),
        cmocka_unit_test(the_old_mallinfo_is_clamped_not_wrapped),
        cmocka_unit_test(mallopt_says_which_parameters_there_are),
        cmocka_unit_test(malloc_trim_says_whether_memory_went_back),
        cmocka_unit_test(malloc_info_writes_xml),
        cmocka_unit_test(malloc_stats_prints_a_summary),
        cmocka_unit_test(ga_stats_fills_as_much_as_the_caller_knows),
        cmocka_unit_test(ga_read_mem_stats_fills_as_much_as_the_caller_knows),
        cmocka_unit_test(metrics_of_nothing_are_nothing),
        cmocka_unit_test(mallinfo_counts_blocks_as_glibc_does),
        cmocka_unit_test(a_bad_pointer_is_named_and_ends_the_process),
        cmocka_unit_test(an_interior_pointer_is_named_when_its_magazine_is_drained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
