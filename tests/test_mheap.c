// SPDX-License-Identifier: MIT
/* The page heap: runs, spans, large blocks, looking addresses up. */
#include "support/test.h"

#include <sys/wait.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "mheap/internal.h"
#include "mheap/marks.h"
#include "mheap/notes.h"
#include "os/fault.h"
#include "os/os.h"

#define BYTES(pages) ((size_t)(pages) << HEAP_PAGE_SHIFT)

static unsigned char *memory_of(const struct span *span)
{
    return (unsigned char *)span_address(span);
}

static struct span *large(size_t pages)
{
    struct span *span = mheap_alloc_large(pages, HEAP_PAGE, CONTENTS_ANY);
    assert_non_null(span);
    return span;
}

static bool is_filled(const struct span *span, size_t pages, int with)
{
    const unsigned char *bytes = memory_of(span);
    return bytes[0] == with && memcmp(bytes, bytes + 1, BYTES(pages) - 1) == 0;
}

static struct mheap_stats stats_now(void)
{
    struct mheap_stats stats;
    mheap_read_stats(&stats);
    return stats;
}

/* Takes pages that are known to be free, at this very place. */
static struct span *take_at(size_t page, size_t pages)
{
    lock_acquire(&mheap.lock);
    size_t run = page;
    while (mheap_span_at(run)->state != SPAN_FREE)
        run--;
    run_take(run, page - run, pages);
    struct span *span = span_init(page, pages, SPAN_LARGE, 0);
    mheap.stats.large += BYTES(pages);
    mheap.stats.large_blocks++;
    lock_release(&mheap.lock);
    return span;
}

/* A run of exactly `pages`, whose neighbours are in use. */
struct hole {
    struct span *before, *after;
    size_t page;
};

static struct hole make_hole(size_t pages)
{
    struct span *whole = large(pages + 2);
    size_t first = whole->page;
    mheap_free_large(whole);
    return (struct hole){take_at(first, 1), take_at(first + pages + 1, 1), first + 1};
}

static void close_hole(struct hole hole)
{
    mheap_free_large(hole.before);
    mheap_free_large(hole.after);
}

/* --- Life --- */

static void *start_heap(void *argument)
{
    pthread_barrier_wait(argument);
    return (void *)(uintptr_t)(mheap_init() && mheap_view.start ? 1 : 0);
}

static void start_from_8_threads(void *argument)
{
    pthread_t threads[8];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, COUNT(threads));
    CHILD_CHECK(mheap_end() == 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        CHILD_CHECK(pthread_create(&threads[i], NULL, start_heap, &barrier) == 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *ready;
        CHILD_CHECK(pthread_join(threads[i], &ready) == 0 && ready);
    }
    CHILD_CHECK(stats_now().mapped == CHUNK_SIZE);
    CHILD_CHECK(mheap_end() == mheap_view.start + CHUNK_PAGES);
}

/* Stands first: the child's heap must not have been started. */
static void threads_may_start_the_heap_at_once(void **state)
{
    assert_child_passes(start_from_8_threads, NULL);
}

static void the_heap_starts_with_one_chunk(void **state)
{
    assert_true(mheap_init());
    struct mheap_view view = mheap_view;
    assert_int_equal(stats_now().mapped, CHUNK_SIZE);
    assert_int_equal(mheap_end(), view.start + CHUNK_PAGES);
    assert_int_equal(view.start % CHUNK_PAGES, 0);
    assert_true(mheap_init());
    assert_memory_equal(&mheap_view, &view, sizeof(view));
    mheap_check();
}

/* 0 means "no page" wherever a page number is kept. */
static void pages_are_numbered_by_their_address(void **state)
{
    struct span *span = mheap_alloc_span(1);
    assert_non_null(span);
    assert_in_range(span->page, mheap_view.start, mheap_end() - 1);
    assert_int_equal(span_address(span) >> HEAP_PAGE_SHIFT, span->page);
    assert_int_equal(mheap_class_of((void *)span_address(span)), 1);
    assert_int_equal(mheap_class_of(NULL), 0);
    mheap_free_span(span);
}

static void the_heap_grows_when_it_is_full(void **state)
{
    size_t mapped = stats_now().mapped;
    struct span *span = large(pages_for(mapped) + 1);
    assert_true(stats_now().mapped > mapped);
    memset(memory_of(span), 0x5a, BYTES(span->pages));
    mheap_check();
    mheap_free_large(span);
    assert_int_equal(stats_now().in_use, 0);
    mheap_check();
}

static void grow_under_a_limit(void *argument)
{
    size_t mapped = stats_now().mapped;
    struct rlimit limit = {0, 0};
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    CHILD_CHECK(statm && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    limit.rlim_cur = limit.rlim_max = pages * os_page_size() + CHUNK_SIZE / 2;
    CHILD_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    struct span *last = NULL, *span;
    while ((span = mheap_alloc_large(8, HEAP_PAGE, CONTENTS_ANY)))
        last = span;
    size_t more = stats_now().mapped - mapped;
    CHILD_CHECK(more > 0 && more < CHUNK_SIZE);
    mheap_check();
    mheap_free_large(last);
    CHILD_CHECK(mheap_alloc_large(8, HEAP_PAGE, CONTENTS_ANY) == last);
}

static void growth_takes_less_where_a_chunk_is_refused(void **state)
{
    NEEDS_A_KERNEL();
    assert_child_passes(grow_under_a_limit, NULL);
}

/* --- Runs --- */

static void freed_neighbours_merge(void **state)
{
    struct span *a = large(3), *rest = large(11);
    struct span *b = rest;
    assert_int_equal(b->page, a->page + 3);
    struct span *c = large(5), *end = large(1);
    assert_int_equal(c->page, b->page + 11);
    assert_int_equal(end->page, c->page + 5);
    size_t first = a->page;
    mheap_free_large(a);
    mheap_free_large(c);
    mheap_check();
    mheap_free_large(b);
    mheap_check();
    struct span *run = mheap_span_at(page_span_load(first));
    assert_int_equal(run->state, SPAN_FREE);
    assert_true(run->page <= first);
    assert_int_equal(run->page + run->pages, end->page);
    assert_int_equal(b->state, SPAN_NONE);
    assert_int_equal(c->state, SPAN_NONE);
    mheap_free_large(end);
}

static void a_run_splits_where_pages_are_taken(void **state)
{
    struct hole hole = make_hole(20);
    lock_acquire(&mheap.lock);
    run_take(hole.page, 6, 4);
    assert_int_equal(mheap_span_at(hole.page)->pages, 6);
    assert_int_equal(mheap_span_at(hole.page + 10)->pages, 10);
    assert_int_equal(mheap_span_at(hole.page + 10)->state, SPAN_FREE);
    assert_int_equal(mheap_span_at(hole.page + 6)->state, SPAN_NONE);
    run_insert(hole.page + 6, 4);
    assert_int_equal(mheap_span_at(hole.page)->pages, 20);
    lock_release(&mheap.lock);
    mheap_check();
    close_hole(hole);
}

/* The shortest run of at least `pages`, by looking at every page. */
static size_t shortest_by_looking(size_t pages)
{
    size_t best = 0;
    for (size_t page = mheap_view.start; page < mheap_end(); page++) {
        const struct span *run = mheap_span_at(page);
        bool fits = run->state == SPAN_FREE && run->pages >= pages;
        if (fits && (!best || run->pages < best))
            best = run->pages;
    }
    return best;
}

static void run_find_takes_the_shortest_run_that_fits(void **state)
{
    static const size_t lengths[] = {5, 9, 7, 255, 256, 257, 300, 319, 320, 321, 1000, 70, 7, 64};
    struct hole holes[COUNT(lengths)];
    for (size_t i = 0; i < COUNT(lengths); i++)
        holes[i] = make_hole(lengths[i]);
    lock_acquire(&mheap.lock);
    for (size_t pages = 1; pages <= 1100; pages++) {
        size_t found = run_find(pages), shortest = shortest_by_looking(pages);
        if ((found ? mheap_span_at(found)->pages : 0) != shortest)
            fail_msg("%zu pages: run %zu isn't %zu long", pages, found, shortest);
    }
    lock_release(&mheap.lock);
    for (size_t i = 0; i < COUNT(lengths); i++)
        close_hole(holes[i]);
}

static void of_equal_runs_the_lowest_is_taken(void **state)
{
    struct hole holes[8];
    for (size_t i = 0; i < COUNT(holes); i++)
        holes[i] = make_hole(17);
    size_t lowest = holes[0].page;
    for (size_t i = 1; i < COUNT(holes); i++)
        lowest = holes[i].page < lowest ? holes[i].page : lowest;
    struct span *span = large(17);
    assert_int_equal(span->page, lowest);
    mheap_free_large(span);
    for (size_t i = 0; i < COUNT(holes); i++)
        close_hole(holes[i]);
}

static void nothing_fits_a_request_beyond_the_window(void **state)
{
    assert_int_equal(run_find(WINDOW_PAGES), 0);
    assert_int_equal(run_find(WINDOW_PAGES * 8), 0);
    assert_null(mheap_alloc_large(WINDOW_PAGES + 1, HEAP_PAGE, CONTENTS_ANY));
    assert_null(mheap_alloc_large(WINDOW_PAGES, HEAP_PAGE, CONTENTS_ANY));
    assert_null(mheap_alloc_large(1, WINDOW_SIZE * 2, CONTENTS_ANY));
    assert_null(mheap_alloc_growing(WINDOW_PAGES));
    assert_null(mheap_alloc_large(SIZE_MAX >> HEAP_PAGE_SHIFT, HEAP_PAGE, CONTENTS_ANY));
    assert_null(mheap_alloc_large(1, (size_t)1 << 62, CONTENTS_ANY));
    assert_null(mheap_alloc_growing(SIZE_MAX >> HEAP_PAGE_SHIFT));
    struct span *span = large(10);
    memset(memory_of(span), 7, BYTES(10));
    assert_null(mheap_resize_large(span, WINDOW_PAGES));
    assert_null(mheap_resize_large(span, SIZE_MAX >> HEAP_PAGE_SHIFT));
    assert_true(span->pages == 10 && is_filled(span, 10, 7));
    mheap_free_large(span);
    mheap_check();
}

/* --- Large blocks --- */

static void a_block_is_aligned_as_asked(void **state)
{
    static const size_t lengths[] = {1, 3, 64, 129, 1000};
    for (size_t align = HEAP_PAGE; align <= (size_t)64 << 20; align *= 2) {
        for (size_t i = 0; i < COUNT(lengths); i++) {
            struct span *gap = large(1); /* so that the next free page isn't aligned by chance */
            struct span *span = mheap_alloc_large(lengths[i], align, CONTENTS_ANY);
            assert_non_null(span);
            assert_int_equal(span_address(span) % align, 0);
            assert_int_equal(span->pages, lengths[i]);
            mheap_free_large(gap);
            mheap_check();
            mheap_free_large(span);
        }
    }
    mheap_check();
}

static void a_growing_block_grows_in_place(void **state)
{
    struct span *span = mheap_alloc_growing(40), *other = mheap_alloc_span(20);
    struct span *before = span;
    assert_non_null(span);
    memset(memory_of(span), 0x21, BYTES(40));
    for (size_t pages = 41; pages <= 40 * 7; pages += 13) {
        span = mheap_resize_large(span, pages);
        assert_ptr_equal(span, before);
        assert_int_equal(span->pages, pages);
        assert_ptr_equal(mheap_span_of(memory_of(span) + BYTES(pages) - 1), span);
    }
    assert_true(is_filled(span, 40, 0x21));
    assert_int_equal(stats_now().large, BYTES(span->pages));
    mheap_check();
    mheap_free_large(span);
    mheap_free_span(other);
}

static void a_shrunk_block_gives_its_end_back(void **state)
{
    struct span *span = large(30);
    memset(memory_of(span), 3, BYTES(30));
    size_t in_use = stats_now().in_use;
    assert_ptr_equal(mheap_resize_large(span, 12), span);
    assert_int_equal(stats_now().in_use, in_use - BYTES(18));
    assert_int_equal(mheap_place_of(memory_of(span) + BYTES(12)), PLACE_FREE);
    assert_null(mheap_span_of(memory_of(span) + BYTES(12)));
    assert_true(is_filled(span, 12, 3));
    mheap_check();
    mheap_free_large(span);
}

/* A block with something right behind it. */
static struct span *walled_in(size_t pages, struct span **wall)
{
    struct span *span = mheap_resize_large(large(pages + 1), pages);
    *wall = take_at(span->page + pages, 1);
    return span;
}

static void grow_walled_in(size_t pages)
{
    struct span *wall;
    struct span *span = walled_in(pages, &wall);
    size_t old = span->pages;
    uintptr_t was_at = span_address(span);
    memset(memory_of(span), 0x77, BYTES(old));
    struct span *new = mheap_resize_large(span, old * 3);
    assert_non_null(new);
    assert_true(span_address(new) != was_at);
    assert_true(is_filled(new, old, 0x77));
    assert_int_equal(mheap_place_of((void *)was_at), PLACE_FREE);
    memset(memory_of(new), 0x78, BYTES(new->pages));
    mheap_free_large(new);
    mheap_free_large(wall);
}

static void a_block_that_cannot_grow_in_place_moves(void **state)
{
    grow_walled_in(2); /* copied */
    mheap_check();
    grow_walled_in(500); /* moved by the kernel, where it can */
    mheap_check();
}

static size_t heap_mappings(void)
{
    return count_mappings(mheap_page_address(mheap_view.start), mheap_page_address(mheap_end()));
}

static void moves_are_counted_and_cost_no_copy(void **state)
{
    SKIP_UNLESS(test_kernel_moves());
    size_t moves = stats_now().moves;
    grow_walled_in(500);
    assert_int_equal(stats_now().moves, moves + 1);
    grow_walled_in(2);
    assert_int_equal(stats_now().moves, moves + 1);
}

/* Grown by moving and freed again and again: the kernel's list of mappings doesn't grow. */
static void a_moved_mapping_settles_when_it_is_freed(void **state)
{
    SKIP_UNLESS(test_kernel_moves());
    for (size_t i = 0; i < 20; i++)
        grow_walled_in(40 + i * 7);
    size_t before = heap_mappings();
    for (size_t i = 0; i < 400; i++)
        grow_walled_in(20 + i % 50 * 11);
    assert_true(heap_mappings() <= before + 2);
}

/* Of blocks that moved, shrank and were freed nothing stays behind, wherever the next ones lie. */
static void a_moved_block_may_shrink_without_leaving_mappings(void **state)
{
    enum { BLOCKS = 300 };
    static struct span *keep[BLOCKS], *walls[BLOCKS];
    SKIP_UNLESS(test_kernel_moves());
    size_t before = heap_mappings();
    for (size_t i = 0; i < BLOCKS; i++) {
        struct span *span = walled_in(20, &walls[i]);
        memset(memory_of(span), 1, BYTES(20));
        span = mheap_resize_large(span, 60);
        size_t tail = (size_t)span->page + 4;
        assert_ptr_equal(mheap_resize_large(span, 4), span);
        keep[i] = take_at(tail, 30);
        mheap_free_large(span);
    }
    mheap_check();
    size_t after = heap_mappings();
    for (size_t i = 0; i < BLOCKS; i++) {
        mheap_free_large(keep[i]);
        mheap_free_large(walls[i]);
    }
    assert_in_range(after, 0, before + 64 * 2);
}

#ifdef GOALLOC_DEBUG
static struct span *moved_block(struct span **wall)
{
    struct span *span = walled_in(40, wall);
    memset(memory_of(span), 0x55, BYTES(40));
    return mheap_resize_large(span, 120);
}

static void refuse(unsigned kinds)
{
    atomic_store(&os_fault_kinds, kinds);
    atomic_store(&os_fault_forever, kinds != 0);
    atomic_store(&os_fault_at, kinds ? 1 : 0);
}

/* Freed while the kernel refuses to map it afresh, more often than blocks may be moved at once. */
static void a_moved_block_that_cannot_settle_is_settled_later(void **state)
{
    struct span *walls[100], *blocks[100];
    SKIP_UNLESS(test_kernel_moves());
    size_t in_use = stats_now().in_use, blocks_before = stats_now().large_blocks;
    for (size_t i = 0; i < COUNT(blocks); i++) {
        blocks[i] = moved_block(&walls[i]);
        refuse(OS_FAULT_MMAP);
        const void *p = memory_of(blocks[i]);
        mheap_free_large(blocks[i]);
        assert_int_equal(mheap_place_of(p), PLACE_FREE);
        mheap_check();
        refuse(0);
    }
    size_t moves = stats_now().moves;
    for (size_t i = 0; i < COUNT(blocks); i++) {
        mheap_free_large(walls[i]);
        grow_walled_in(40);
    }
    assert_int_equal(stats_now().moves, moves + COUNT(blocks));
    assert_int_equal(stats_now().in_use, in_use);
    assert_int_equal(stats_now().large_blocks, blocks_before);
    mheap_check();
}

/* The kernel refuses to move pages, and then everything else about the destination. */
static void a_move_that_loses_its_place_loses_it_for_a_while(void **state)
{
    struct span *wall, *span = walled_in(40, &wall);
    size_t in_use = stats_now().in_use;
    memset(memory_of(span), 0x66, BYTES(40));
    mheap_free_large(large(2000)); /* room, so that nothing need be mapped */
    refuse(OS_FAULT_MREMAP | OS_FAULT_MMAP | OS_FAULT_MADVISE);
    assert_null(mheap_resize_large(span, 120));
    assert_true(is_filled(span, 40, 0x66));
    mheap_check();
    span = mheap_resize_large(span, 100); /* copied */
    assert_non_null(span);
    assert_true(is_filled(span, 40, 0x66));
    refuse(0);
    mheap_free_large(large(1));
    assert_int_equal(stats_now().in_use, in_use + BYTES(60));
    mheap_check();
    mheap_free_large(span);
    mheap_free_large(wall);
}
#endif

/* While the collector asks which pages were written they are copied; that is no refusal. */
static void no_page_moves_while_moves_are_held(void **state)
{
    SKIP_UNLESS(test_kernel_moves());
    size_t moves = stats_now().moves, refused = stats_now().moves_refused;
    atomic_bool no = false;
    assert_true(mheap_hold_moves(&no));
    grow_walled_in(40);
    assert_int_equal(stats_now().moves, moves);
    mheap_allow_moves();
    grow_walled_in(40);
    assert_int_equal(stats_now().moves, moves + 1);
    assert_int_equal(stats_now().moves_refused, refused);
    mheap_check();
}

static void mappings_of_moved_blocks_are_bounded(void **state)
{
    enum { BLOCKS = 200 };
    static struct span *blocks[BLOCKS], *walls[BLOCKS];
    SKIP_UNLESS(test_kernel_moves());
    size_t before = heap_mappings();
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = walled_in(20, &walls[i]);
        memset(memory_of(blocks[i]), (int)i, BYTES(20));
        blocks[i] = mheap_resize_large(blocks[i], 50);
    }
    assert_true(heap_mappings() <= before + 64 * 4);
    mheap_check();
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_true(is_filled(blocks[i], 20, (int)i & 255));
        mheap_free_large(blocks[i]);
        mheap_free_large(walls[i]);
    }
    mheap_check();
}

/* --- Memory before it is touched --- */

static size_t resident_in(const void *from, size_t bytes);

static size_t resident_of(const struct span *span)
{
    return resident_in(memory_of(span), BYTES(span->pages));
}

/* With 32 MB in use and every free page clean. */
static struct span *begin_clean(void)
{
    struct span *ballast = large(32 << 20 >> HEAP_PAGE_SHIFT);
    uintptr_t start = mheap_page_address(mheap_view.start);
    os_advise_huge(start, mheap_page_address(mheap_end()) - start, false);
    mheap_release(SIZE_MAX / 2);
    assert_int_equal(stats_now().free_dirty, 0);
    return ballast;
}

static void fresh_spans_have_memory_before_they_are_touched(void **state)
{
    enum { SPANS = 100, MOST = 256 << 10 };
    static struct span *spans[SPANS];
    NEEDS_A_KERNEL();
    SKIP_UNLESS(test_kernel_fetches());
    struct span *ballast = begin_clean();
    uintptr_t end = 0;
    for (size_t i = 0; i < SPANS; i++) {
        spans[i] = mheap_alloc_span(size_class_of(i % 2 ? 64 : 3072));
        assert_int_equal(resident_of(spans[i]), BYTES(spans[i]->pages));
        assert_int_equal(spans[i]->zero, ~UINT64_C(0)); /* and are known to be zero */
        uintptr_t behind = span_address(spans[i]) + BYTES(spans[i]->pages);
        end = behind > end ? behind : end;
        mheap_check();
    }
    assert_in_range(resident_in((void *)end, 2 * MOST), 0, MOST);
    assert_int_equal(resident_in((void *)end, 2 * MOST), stats_now().free_dirty);
    mheap_release(SIZE_MAX / 2);
    assert_int_equal(resident_in((void *)end, 2 * MOST), 0);
    mheap_check();
    for (size_t i = 0; i < SPANS; i++)
        mheap_free_span(spans[i]);
    mheap_free_large(ballast);
}

/* Of a larger object the program may use the beginning only; so it may of a large block. */
static void what_may_stay_untouched_is_not_fetched(void **state)
{
    NEEDS_A_KERNEL();
    SKIP_UNLESS(os_page_size() == 4096);
    struct span *ballast = begin_clean();
    struct span *object = mheap_alloc_span(size_class_of(100000)), *block = large(300);
    assert_int_equal(resident_of(object), 0);
    assert_int_equal(resident_of(block), 0);
    mheap_free_span(object);
    mheap_free_large(block);
    mheap_free_large(ballast);
}

/* What was fetched for a place that the heap then leaves is counted, and goes back. */
static void what_was_fetched_in_vain_is_dirty(void **state)
{
    NEEDS_A_KERNEL();
    SKIP_UNLESS(test_kernel_fetches());
    struct span *ballast = begin_clean();
    struct span *span = mheap_alloc_span(size_class_of(64));
    struct page_range ahead = ahead_now();
    assert_in_range(ahead.to - ahead.from, 8, 32);
    struct span *within = take_at(ahead.from + 4, 2);
    mheap_check();
    assert_int_equal(stats_now().free_dirty, BYTES(ahead.to - ahead.from - 2));
    assert_int_equal(ahead_now().to - ahead_now().from, 4);
    assert_int_equal(mheap_release(SIZE_MAX / 2), BYTES(ahead.to - ahead.from - 2));
    mheap_check();
    mheap_free_large(within);
    mheap_free_span(span);
    mheap_free_large(ballast);
}

/* Clean pages that come to lie before the stretch are fetched, it isn't fetched again. */
static void a_stretch_may_be_met_from_before(void **state)
{
    NEEDS_A_KERNEL();
    SKIP_UNLESS(test_kernel_fetches());
    int owner;
    struct span *ballast = begin_clean();
    struct span *span = mheap_alloc_span(size_class_of(64));
    struct page_range ahead = ahead_now();
    struct span *owned = mheap_alloc_owned(2, HEAP_PAGE, SPAN_HARDENED, &owner);
    assert_int_equal(owned->page, ahead.from);
    mheap_free_owned(owned, false);
    mheap_check();
    struct span *again = mheap_alloc_span(size_class_of(64));
    assert_int_equal(again->page, ahead.from);
    mheap_check();
    mheap_release(SIZE_MAX / 2);
    assert_int_equal(stats_now().free_dirty, 0);
    mheap_check();
    mheap_free_span(again);
    mheap_free_span(span);
    mheap_free_large(ballast);
}

#ifdef GOALLOC_DEBUG
static void a_refused_fetch_counts_nothing(void **state)
{
    NEEDS_A_KERNEL();
    SKIP_UNLESS(os_page_size() == 4096);
    struct span *ballast = begin_clean();
    refuse(OS_FAULT_FETCH);
    struct span *span = mheap_alloc_span(size_class_of(64));
    refuse(0);
    assert_int_equal(stats_now().free_dirty, 0);
    assert_int_equal(resident_of(span), 0);
    mheap_check();
    mheap_free_span(span);
    mheap_free_large(ballast);
}
#endif

/* --- Zero pages and releasing --- */

static size_t resident_in(const void *from, size_t bytes)
{
    unsigned char pages[4096];
    size_t count = 0;
    assert_true(bytes / 4096 <= sizeof(pages));
    assert_int_equal(mincore((void *)(uintptr_t)from, bytes, pages), 0);
    for (size_t i = 0; i < bytes / 4096; i++)
        count += pages[i] & 1;
    return count * 4096;
}

/* Whether the last one's span struct lies in another arena's record than the first one's. */
static bool lie_apart(struct span *const *spans, size_t count, size_t pages)
{
    return (char *)spans[count - 1] - (char *)spans[0] > (long)(pages * sizeof(struct span));
}

/* A free run's pages but the first have span structs that mean nothing. */
static void a_long_free_runs_span_structs_are_released_too(void **state)
{
    enum { PAGES = 2048, TRIES = 3 };
    struct span *tries[TRIES][PAGES / 8], **spans;
    const size_t count = COUNT(tries[0]);
    unsigned tried = 0;
    SKIP_UNLESS(os_page_size() == 4096);
    NEEDS_A_KERNEL();
    do {
        assert_int_not_equal(tried, TRIES);
        spans = tries[tried++];
        for (size_t i = 0; i < count; i++) {
            spans[i] = large(8);
            memset(memory_of(spans[i]), 1, BYTES(8));
        }
    } while (lie_apart(spans, count, PAGES));
    uintptr_t first = round_up((uintptr_t)spans[0], 4096);
    size_t structs = (PAGES - 64) * sizeof(struct span) / 4096 * 4096;
    while (tried-- > 0)
        for (size_t i = 0; i < count; i++)
            mheap_free_large(tries[tried][i]);
    assert_int_equal(resident_in((void *)first, structs), structs);
    mheap_release(SIZE_MAX / 2);
    assert_in_range(resident_in((void *)first, structs), 0, structs / 20);
    mheap_check();
    struct span *again = large(PAGES);
    mheap_check();
    mheap_free_large(again);
}

/* Pages are taken from a run's front: what is to go is taken from its end. */
static void a_run_is_released_from_its_end(void **state)
{
    struct hole hole = make_hole(256 * 40); /* the longest there is */
    struct span *span = take_at(hole.page, 256 * 40);
    mheap_release(SIZE_MAX / 2); /* nothing else is dirty */
    memset(memory_of(span), 1, BYTES(256 * 40));
    mheap_free_large(span);
    assert_int_equal(mheap_release(BYTES(300)), BYTES(300));
    assert_int_equal(pages_count_dirty(hole.page, 256 * 40 - 300), 256 * 40 - 300);
    assert_int_equal(pages_count_dirty(hole.page + 256 * 40 - 300, 300), 0);
    mheap_check();
    close_hole(hole);
}

static void of_long_runs_the_lowest_is_taken(void **state)
{
    struct span *whole = large(2000);
    size_t first = whole->page;
    mheap_free_large(whole);
    struct span *low = take_at(first + 600, 1), *high = take_at(first + 1001, 1);
    assert_true(mheap_end() - first - 1002 >= 256);
    lock_acquire(&mheap.lock);
    assert_int_equal(run_find(4), first);
    assert_int_equal(run_find(300), first + 601); /* of its own length: the shortest */
    lock_release(&mheap.lock);
    mheap_free_large(low);
    mheap_free_large(high);
}

#ifdef GOALLOC_DEBUG
/* As where the process has as many mappings as it may. */
static void a_kernel_that_refuses_to_split_is_left_alone_for_a_while(void **state)
{
    SKIP_UNLESS(test_kernel_moves());
    struct mheap_stats before = stats_now();
    struct span *wall, *span = walled_in(100, &wall);
    struct span *room = large(4000);
    mheap_free_large(room); /* no mapping call but the move's */
    atomic_store(&os_fault_at, 1);
    span = mheap_resize_large(span, 200);
    assert_non_null(span);
    assert_int_equal(stats_now().moves_refused, before.moves_refused + 1);
    mheap_free_large(span);
    mheap_free_large(wall);
    size_t tries = 0;
    for (; stats_now().moves == before.moves && tries < 200; tries++)
        grow_walled_in(40);
    assert_in_range(tries, 50, 80);
    assert_int_equal(stats_now().moves_refused, before.moves_refused + 1);
    mheap_check();
}
#endif

static void zero_fresh_zeroes_what_was_dirty(void **state)
{
    struct hole hole = make_hole(24);
    struct span *span = large(24);
    assert_int_equal(span->page, hole.page);
    memset(memory_of(span), 0xee, BYTES(24));
    mheap_free_large(span);
    span = large(24);
    assert_int_equal(span->page, hole.page);
    mheap_zero_fresh(span);
    assert_true(is_filled(span, 24, 0));
    mheap_free_large(span);
    close_hole(hole);
}

/* Pages that were never touched are zero already, and stay out of RSS. */
static void zero_fresh_leaves_clean_pages_untouched(void **state)
{
    unsigned char resident[64 * HEAP_PAGE / 4096];
    size_t free_now = stats_now().mapped;
    struct span *span = large(pages_for(free_now) + 64);
    mheap_zero_fresh(span);
    unsigned char *tail = memory_of(span) + BYTES(span->pages - 64);
    assert_int_equal(mincore(tail, BYTES(64), resident), 0);
    for (size_t i = 0; i < BYTES(64) / os_page_size(); i++)
        assert_int_equal(resident[i] & 1, 0);
    mheap_free_large(span);
}

/* By whatever way a page went free, it reads as zero unless its dirty bit is set. */
static void a_page_that_is_free_and_clean_is_zero(void **state)
{
    static const unsigned char zeros[HEAP_PAGE];
    struct dice dice = {77};
    size_t dirty = 0;
    grow_walled_in(300);
    mheap_release(BYTES(100));
    for (int i = 0; i < 50; i++)
        grow_walled_in(1 + dice_below(&dice, 400));
    for (size_t page = mheap_view.start; page < mheap_end(); page++) {
        if (mheap_place_of((void *)mheap_page_address(page)) != PLACE_FREE)
            continue;
        dirty += page_is_dirty(page);
        if (!page_is_dirty(page))
            assert_memory_equal((void *)mheap_page_address(page), zeros, HEAP_PAGE);
    }
    assert_int_equal(stats_now().free_dirty, BYTES(dirty));
}

static void released_pages_read_as_zero(void **state)
{
    NEEDS_A_KERNEL();
    struct hole hole = make_hole(50);
    struct span *span = large(50);
    memset(memory_of(span), 0xab, BYTES(50));
    mheap_free_large(span);
    size_t dirty = stats_now().free_dirty;
    assert_true(dirty >= BYTES(50));
    assert_int_equal(mheap_release(SIZE_MAX / 2), dirty);
    assert_int_equal(stats_now().free_dirty, 0);
    mheap_check();
    span = large(50);
    assert_int_equal(span->page, hole.page);
    assert_true(is_filled(span, 50, 0));
    mheap_free_large(span);
    close_hole(hole);
}

static void release_stops_at_what_was_asked(void **state)
{
    struct span *span = large(1000);
    memset(memory_of(span), 1, BYTES(1000));
    mheap_free_large(span);
    size_t dirty = stats_now().free_dirty;
    size_t released = mheap_release(BYTES(10));
    assert_true(released >= BYTES(10));
    assert_true(released <= BYTES(10) + ((size_t)2 << 20));
    assert_int_equal(stats_now().free_dirty, dirty - released);
    mheap_check();
    assert_int_equal(mheap_release(0), 0);
}

static void releasing_takes_memory_out_of_rss(void **state)
{
    NEEDS_A_KERNEL();
    struct span *span = large(4096);
    memset(memory_of(span), 1, BYTES(4096));
    size_t before = os_resident_bytes();
    mheap_free_large(span);
    mheap_release(SIZE_MAX / 2);
    assert_true(os_resident_bytes() + BYTES(4096) / 2 < before);
}

/* --- Foreign memory --- */

/* Not by mmap: a sanitizer would make up its mind about it. */
static void *map_foreign(uintptr_t at, size_t size, int protection)
{
    return (void *)syscall(SYS_mmap, at, size, protection,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static void go_round(void *argument)
{
    uintptr_t at = mheap_page_address(mheap_end()) + *(const size_t *)argument;
    void *foreign = map_foreign(at, HEAP_PAGE, PROT_READ | PROT_WRITE);
    CHILD_CHECK(foreign == (void *)at);
    memset(foreign, 0x11, HEAP_PAGE);
    struct span *span = NULL;
    while (mheap_page_address(mheap_end()) <= at) {
        span = mheap_alloc_large(ARENA_PAGES / 8, HEAP_PAGE, CONTENTS_ANY);
        CHILD_CHECK(span);
        memset(memory_of(span), 0x22, HEAP_PAGE);
    }
    CHILD_CHECK(span_address(span) > at && at / ARENA_SIZE < span_address(span) / ARENA_SIZE);
    mheap_check();
    for (size_t i = 0; i < HEAP_PAGE; i++)
        CHILD_CHECK(((unsigned char *)foreign)[i] == 0x11);
    CHILD_CHECK(!mheap_span_of(foreign) && mheap_class_of(foreign) == 0);
    mheap_free_large(span);
    CHILD_CHECK(mheap_alloc_large(ARENA_PAGES * 3, HEAP_PAGE, CONTENTS_ANY));
    mheap_check();
}

static void the_heap_goes_round_foreign_memory(void **state)
{
    static const size_t beyond_the_end[] = {0, HEAP_PAGE, (size_t)1 << 20};
    for (size_t i = 0; i < COUNT(beyond_the_end); i++)
        assert_child_passes(go_round, (void *)(uintptr_t)&beyond_the_end[i]);
}

/* The wall is as long as what is left of the window, which is made short for that. */
static void give_up_behind_a_wall(void *argument)
{
    uintptr_t at = mheap_page_address(mheap_end());
    mheap.limit = mheap_end() + 20 * ARENA_PAGES;
    void *wall = map_foreign(at, 20 * ARENA_SIZE, PROT_NONE);
    CHILD_CHECK(wall == (void *)at);
    CHILD_CHECK(!mheap_alloc_large(pages_for(stats_now().mapped) + 1, HEAP_PAGE, CONTENTS_ANY));
    mheap_check();
    CHILD_CHECK(mheap_alloc_large(1, HEAP_PAGE, CONTENTS_ANY)); /* what was free before still is */
}

static void a_heap_that_is_walled_in_fails_and_stays_whole(void **state)
{
    NEEDS_A_KERNEL();
    assert_child_passes(give_up_behind_a_wall, NULL);
}

/* --- Spans, and looking addresses up --- */

static void a_fresh_spans_bits_are_set_past_the_last_object_only(void **state)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct span *span = mheap_alloc_span(class);
        assert_non_null(span);
        assert_int_equal(span->size, size_classes[class].size);
        assert_int_equal(span->used, 0);
        for (unsigned i = 0; i < SPAN_OBJECTS_MAX; i++)
            assert_int_equal(span->bits[i / 64] >> i % 64 & 1, i >= span->objects);
        mheap_free_span(span);
    }
}

static void every_address_of_a_span_leads_to_it(void **state)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct span *span = mheap_alloc_span(class);
        for (size_t offset = 0; offset < BYTES(span->pages); offset += 1009) {
            const unsigned char *p = memory_of(span) + offset;
            assert_ptr_equal(mheap_span_of(p), span);
            assert_int_equal(mheap_place_of(p), PLACE_SMALL);
            assert_int_equal(mheap_class_of(p), (uintptr_t)p % MIN_ALIGN ? 0 : class);
        }
        mheap_free_span(span);
        assert_null(mheap_span_of(memory_of(span)));
        assert_int_equal(mheap_class_of(memory_of(span)), 0);
        assert_int_equal(mheap_place_of(memory_of(span)), PLACE_FREE);
    }
}

static void every_address_of_a_large_block_leads_to_it(void **state)
{
    struct span *span = large(700);
    for (size_t offset = 0; offset < BYTES(700); offset += 1009) {
        const unsigned char *p = memory_of(span) + offset;
        assert_ptr_equal(mheap_span_of(p), span);
        assert_int_equal(mheap_class_of(p), 0);
        assert_int_equal(mheap_place_of(p), PLACE_LARGE);
    }
    mheap_free_large(span);
}

static void any_address_may_be_looked_up(void **state)
{
    static int of_ours;
    struct dice dice = {99};
    const uintptr_t start = mheap_page_address(mheap_view.start);
    const uintptr_t end = mheap_page_address(mheap_end());
    const uintptr_t edges[] = {
        0,
        1,
        8191,
        8192,
        (uintptr_t)&of_ours,
        start - 1,
        start - 8,
        start,
        end - 1,
        end,
        end + 1,
        end + 16,
        end * 16,
        start / 16,
        end / 16,
        mheap.tables,
        mheap_view.records,
        mheap.meta_start,
        UINTPTR_MAX,
        UINTPTR_MAX - 15,
        start + WINDOW_SIZE,
        start - ARENA_SIZE,
    };
    for (size_t i = 0; i < COUNT(edges); i++) {
        assert_null(mheap_span_of((void *)edges[i]));
        assert_int_equal(mheap_class_of((void *)edges[i]), 0);
        bool inside = edges[i] >= start && edges[i] < end;
        assert_int_equal(mheap_place_of((void *)edges[i]), inside ? PLACE_FREE : PLACE_FOREIGN);
    }
    for (int i = 0; i < 1000000; i++) {
        uintptr_t address = (uintptr_t)dice_next(&dice);
        address = i % 2 ? address : address % (end * 2);
        if (address < start || address >= end) {
            assert_null(mheap_span_of((void *)address));
            assert_int_equal(mheap_class_of((void *)address), 0);
        }
    }
}

/* --- Metadata --- */

static void metadata_is_zeroed_aligned_and_distinct(void **state)
{
    unsigned char *last_end = NULL;
    for (size_t size = 1; size < 40000; size += 371) {
        unsigned char *p = mheap_meta_alloc(size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % GA_CACHE_LINE, 0);
        assert_true(p >= last_end);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
        last_end = p + size;
    }
    assert_in_range((uintptr_t)last_end, mheap.meta_start, mheap.meta_end);
}

static void metadata_beyond_its_region_is_refused(void **state)
{
    assert_null(mheap_meta_alloc(META_MAX + 1));
    assert_non_null(mheap_meta_alloc(64));
}

/* --- Random operations --- */

struct block {
    struct span *span;
    unsigned char pattern;
};

static void check_edges(const struct block *block)
{
    const unsigned char *bytes = memory_of(block->span);
    size_t size = BYTES(block->span->pages);
    assert_int_equal(bytes[0], block->pattern);
    assert_int_equal(bytes[HEAP_PAGE - 1], block->pattern);
    if (block->span->state == SPAN_SMALL)
        assert_int_equal(bytes[size - 1], block->pattern);
}

static void mark(struct block *block)
{
    unsigned char *bytes = memory_of(block->span);
    memset(bytes, block->pattern, HEAP_PAGE);
    bytes[BYTES(block->span->pages) - 1] = block->pattern;
}

static void free_block(struct block *block)
{
    check_edges(block);
    if (block->span->state == SPAN_SMALL)
        mheap_free_span(block->span);
    else
        mheap_free_large(block->span);
    block->span = NULL;
}

static struct span *alloc_any(struct dice *dice)
{
    static const size_t scales[] = {4, 40, 400, 4000};
    size_t pages = 1 + dice_below(dice, scales[dice_below(dice, COUNT(scales))]);
    switch (dice_below(dice, 4)) {
    case 0:
        return mheap_alloc_growing(pages);
    case 1:
        return mheap_alloc_large(pages, HEAP_PAGE << dice_below(dice, 8), CONTENTS_ANY);
    default:
        return mheap_alloc_span(1 + (unsigned)dice_below(dice, SIZE_CLASS_COUNT - 1));
    }
}

static void step(struct block *block, struct dice *dice)
{
    bool resizable = block->span && block->span->state == SPAN_LARGE;
    if (resizable && dice_below(dice, 2)) {
        size_t pages = 1 + dice_below(dice, (size_t)block->span->pages * 2);
        check_edges(block);
        block->span = mheap_resize_large(block->span, pages);
        assert_non_null(block->span);
        assert_int_equal(block->span->pages, pages);
        check_edges(block);
        mark(block);
    } else if (block->span) {
        free_block(block);
    } else {
        block->span = alloc_any(dice);
        assert_non_null(block->span);
        block->pattern = (unsigned char)dice_next(dice);
        mark(block);
    }
}

static void random_operations_keep_every_invariant(void **state)
{
    static struct block blocks[120];
    struct dice dice = {20240607};
    for (int i = 0; i < 12000; i++) {
        step(&blocks[dice_below(&dice, COUNT(blocks))], &dice);
        if (dice_below(&dice, 200) == 0)
            mheap_release(BYTES(dice_below(&dice, 5000)));
        if (i % 40 == 0)
            mheap_check();
    }
    for (size_t i = 0; i < COUNT(blocks); i++)
        if (blocks[i].span)
            free_block(&blocks[i]);
    mheap_check();
    assert_int_equal(stats_now().in_use, 0);
    assert_int_equal(stats_now().large_blocks, 0);
}

/* --- Fork --- */

static void use_after_reset(void *argument)
{
    mheap_reset_in_child();
    CHILD_CHECK(mheap_alloc_large(1, HEAP_PAGE, CONTENTS_ANY) && mheap_meta_alloc(1));
    mheap_check();
}

static void a_forked_childs_heap_works_after_reset(void **state)
{
    mheap_lock_for_fork();
    assert_true(lock_is_held(&mheap.lock) && lock_is_held(&mheap.meta_lock));
    assert_child_passes(use_after_reset, NULL);
    mheap_unlock_after_fork();
    assert_false(lock_is_held(&mheap.lock) || lock_is_held(&mheap.meta_lock));
}

/* --- The checker itself --- */

/* Breaks one thing about a span of 3 pages, with free pages before and behind it. */
struct breakage {
    const char *expected;
    void (*break_it)(struct span *span);
};

static void break_class_byte(struct span *span)
{
    mheap.classes[span->page + 1] = 9;
}
static void break_free_class_byte(struct span *span)
{
    mheap.classes[span->page + 4] = 9;
}
static void break_page_span(struct span *span)
{
    page_span_store(span->page + 2, mheap_view.start);
}
static void break_first_page(struct span *span)
{
    page_span_store(span->page, mheap_view.start);
}
static void break_page(struct span *span)
{
    span->page++;
}
static void break_state(struct span *span)
{
    mheap_span_at(span->page + 1)->state = SPAN_FREE;
}
static void break_kind(struct span *span)
{
    span->state = SPAN_SMALL;
}
static void break_length(struct span *span)
{
    span->pages--;
}
static void break_runs(struct span *span)
{
    struct span *run = mheap_span_at((size_t)span->page + 3);
    struct span *second = mheap_span_at((size_t)run->page + 1);
    *second = *run;
    second->page++;
    second->pages--;
    run->pages = 1;
    page_span_store(second->page, second->page);
    page_span_store((size_t)second->page + second->pages - 1, second->page);
}
static void break_runs_end(struct span *span)
{
    struct span *run = mheap_span_at((size_t)span->page + 3);
    page_span_store((size_t)run->page + run->pages - 1, 0);
}
static void break_bin(struct span *span)
{
    mheap.bins[200] = span->page;
}
static void break_bin_holds(struct span *span)
{
    mheap.bins[200] = span->page;
    mheap.bin_used[200 / 64] |= UINT64_C(1) << 200 % 64;
}
static void break_bin_bit(struct span *span)
{
    mheap.bin_used[200 / 64] ^= UINT64_C(1) << 200 % 64;
}
static void break_bin_list(struct span *span)
{
    struct span *run = mheap_span_at((size_t)span->page + 3);
    if (run->prev)
        mheap_span_at(run->prev)->next = run->next;
    for (unsigned bin = 0; bin < RUN_BINS; bin++) {
        if (mheap.bins[bin] != run->page)
            continue;
        mheap.bins[bin] = run->next;
        if (!run->next)
            mheap.bin_used[bin / 64] &= ~(UINT64_C(1) << bin % 64);
    }
}
static void break_dirty(struct span *span)
{
    mheap_arena_of(span->page)->dirty[(span->page + 4) % ARENA_PAGES / 64] ^=
        UINT64_C(1) << (span->page + 4) % 64;
}
static void break_in_use(struct span *span)
{
    mheap.stats.in_use += HEAP_PAGE;
}
static void break_large(struct span *span)
{
    mheap.stats.large -= HEAP_PAGE;
}
static void break_large_blocks(struct span *span)
{
    mheap.stats.large_blocks++;
}

static const struct breakage breakages[] = {
    {"a page has another class than its span", break_class_byte},
    {"a free page has a class", break_free_class_byte},
    {"a page leads to another span", break_page_span},
    {"a first page leads elsewhere", break_first_page},
    {"a span doesn't know its page", break_page},
    {"a span in a span", break_state},
    {"a span's state contradicts its class", break_kind},
    {"a page that nothing covers", break_length},
    {"two runs touch", break_runs},
    {"a run's last page leads elsewhere", break_runs_end},
    {"a bin contradicts its bit", break_bin},
    {"a bin holds what isn't free", break_bin_holds},
    {"a bin contradicts its bit", break_bin_bit},
    {"runs and bins differ in number", break_bin_list},
    {"free dirty bytes are miscounted", break_dirty},
    {"bytes in use are miscounted", break_in_use},
    {"bytes in large blocks are miscounted", break_large},
    {"large blocks are miscounted", break_large_blocks},
};

static void break_and_check(void *argument)
{
    const struct breakage *breakage = argument;
    struct hole hole = make_hole(20);
    struct span *span = mheap_alloc_large(3, HEAP_PAGE, CONTENTS_ANY);
    CHILD_CHECK(span && span->page == hole.page);
    mheap_check();
    breakage->break_it(span);
    mheap_check();
}

static void the_checker_notices_every_breakage(void **state)
{
    for (size_t i = 0; i < COUNT(breakages); i++)
        assert_child_aborts(break_and_check, (void *)(uintptr_t)&breakages[i],
                            breakages[i].expected);
}

static int start_heap_before(void **state)
{
    return mheap_init() ? 0 : -1;
}

#define ON_A_HEAP(test) cmocka_unit_test_setup(test, start_heap_before)

/* --- Huge pages --- */

#define WHOLE_LOOKS 70 /* what is asked of a part that came apart once, and a few more */

/* The next part inside the block, of one look at all of the heap; 0: none. */
static uintptr_t find_in(const struct span *span, size_t *at)
{
    uintptr_t start = span_address(span), end = start + BYTES(span->pages), part;
    while ((part = mheap_find_dense(at)) != 0 && (part < start || part >= end))
        mheap_note_collapse(part, false);
    return part;
}

static uintptr_t find_at_last(const struct span *span, size_t *at, unsigned looks)
{
    uintptr_t part = 0;
    for (unsigned i = 0; i < looks && !part; i++)
        part = find_in(span, at);
    return part;
}

static void a_dense_part_is_found_at_the_second_look(void **state)
{
    NEEDS_A_KERNEL();
    size_t at = 0;
    struct span *span = large(3 * PART_PAGES);
    memset(memory_of(span), 1, BYTES(span->pages));
    assert_int_equal(find_in(span, &at), 0);
    uintptr_t first = find_in(span, &at);
    assert_true(first != 0 && first % MHEAP_PART == 0);
    mheap_note_collapse(first, true);
    uintptr_t second = find_in(span, &at);
    assert_int_equal(second, first + MHEAP_PART); /* there are two at least */
    mheap_note_collapse(second, false);           /* refused */
    while (find_in(span, &at))
        mheap_note_collapse(at * HEAP_PAGE - MHEAP_PART, false);
    for (int i = 0; i < 10; i++)
        assert_int_equal(find_in(span, &at), 0);
    assert_int_equal(find_at_last(span, &at, WHOLE_LOOKS), second);
    at = 0;
    mheap_free_large(span);
    mheap_check();
}

static void what_is_hardly_used_is_not_dense(void **state)
{
    NEEDS_A_KERNEL();
    size_t at = 0;
    mheap_release((size_t)1 << 40);
    struct span *span = large(3 * PART_PAGES);
    for (size_t i = 0; i < BYTES(span->pages); i += 2 * os_page_size())
        ((char *)memory_of(span))[i] = 1;
    for (int i = 0; i < 10; i++)
        assert_int_equal(find_in(span, &at), 0);
    mheap_free_large(span);
}

/* Else a forked child that only reads would get a copy of its own. */
static void what_a_child_shares_is_not_dense(void **state)
{
    NEEDS_A_KERNEL();
    size_t at = 0;
    int wait[2];
    char byte;
    struct span *span = large(3 * PART_PAGES);
    memset(memory_of(span), 1, BYTES(span->pages));
    assert_int_equal(pipe(wait), 0);
    pid_t child = fork();
    if (child == 0) {
        close(wait[1]);
        _exit(read(wait[0], &byte, 1) != 0);
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal(find_in(span, &at), 0);
    close(wait[1]);
    close(wait[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(find_at_last(span, &at, WHOLE_LOOKS) != 0);
    mheap_free_large(span);
}

/* A part of a block that was all written; the block is free again, and nothing of it has memory. */
static uintptr_t part_of_the_past(bool collapsed)
{
    size_t at = 0;
    struct span *span = large(2 * PART_PAGES);
    memset(memory_of(span), 1, BYTES(span->pages));
    uintptr_t part = find_at_last(span, &at, WHOLE_LOOKS);
    assert_true(part != 0);
    if (collapsed)
        mheap_note_collapse(part, true);
    mheap_free_large(span);
    mheap_release((size_t)1 << 40);
    return part;
}

static void a_part_that_comes_apart_has_to_wait(void **state)
{
    NEEDS_A_KERNEL();
    size_t at = 0;
    uintptr_t part = part_of_the_past(true);
    struct span *span = take_at(part >> HEAP_PAGE_SHIFT, PART_PAGES);
    memset(memory_of(span), 1, BYTES(span->pages));
    assert_int_equal(find_at_last(span, &at, 10), 0);
    assert_int_equal(find_at_last(span, &at, WHOLE_LOOKS), part);
    mheap_free_large(span);
}

/* The kernel fills all of a part, also what was given back while it was at work. */
static void what_the_kernel_filled_goes_back_once_more(void **state)
{
    NEEDS_A_KERNEL();
    uintptr_t part = part_of_the_past(false);
    size_t dirty = stats_now().free_dirty, collapsed = stats_now().collapsed;
    mheap_note_collapse(part, true);
    assert_int_equal(stats_now().free_dirty, dirty + MHEAP_PART);
    assert_int_equal(stats_now().collapsed, collapsed + MHEAP_PART);
    mheap_check();
    assert_int_equal(mheap_release((size_t)1 << 40), dirty + MHEAP_PART);
    mheap_check();
}

/* --- Notes --- */

static void note_a_growing_heap(void *unused)
{
    CHILD_CHECK(mheap_init() && mheap_notes_enable());
    for (unsigned i = 0; i < 3; i++) {
        size_t before = mheap_noted_units();
        struct span *span = mheap_alloc_large(ARENA_PAGES, HEAP_PAGE, CONTENTS_ANY);
        CHILD_CHECK(span && mheap_noted_units() > before);
        uintptr_t end = span_address(span) + BYTES(ARENA_PAGES);
        void *last = (void *)(end - MIN_ALIGN);
        CHILD_CHECK(mheap_unit_of(last) < mheap_noted_units());
        CHILD_CHECK(mheap_note_at(mheap_unit_of(last)) == mheap_known_note(last));
        CHILD_CHECK(*mheap_known_note(last) == 0);
        *mheap_known_note(last) = 7;
        mheap_clear_notes((end - 1) >> HEAP_PAGE_SHIFT, 1);
        CHILD_CHECK(*mheap_known_note(last) == 0);
    }
    size_t units = mheap_noted_units();
    CHILD_CHECK(mheap_unit_of(NULL) >= units && mheap_unit_of(&units) >= units);
    CHILD_CHECK(mheap_unit_of((void *)(mheap_page_address(mheap_view.start) + 1)) >= units);
    CHILD_CHECK(mheap_unit_of((void *)mheap_page_address(mheap_end())) >= units);
    mheap_check();
}

static void notes_grow_with_the_heap_and_cover_nothing_else(void **state)
{
    assert_child_passes(note_a_growing_heap, NULL);
}

static void leave_a_note(void *unused)
{
    CHILD_CHECK(mheap_init() && mheap_notes_enable());
    struct span *span = mheap_alloc_large(1, HEAP_PAGE, CONTENTS_ANY);
    *mheap_known_note((void *)span_address(span)) = 1;
    mheap_free_large(span);
    mheap_check();
}

static void a_note_of_a_free_page_is_found_by_the_check(void **state)
{
    assert_child_aborts(leave_a_note, NULL, "a free page has notes");
}

static void extend_owned(void *unused)
{
    CHILD_CHECK(mheap_init());
    struct span *span = mheap_alloc_owned_growing(4, SPAN_HARDENED, NULL);
    CHILD_CHECK(span && mheap_extend_owned(span, 1000) && span->pages == 1000);
    CHILD_CHECK(mheap_span_of((void *)(span_address(span) + BYTES(1000) - 1)) == span);
    mheap_check();
    struct span *behind = take_at(span->page + 1000, 1);
    CHILD_CHECK(behind && !mheap_extend_owned(span, 1001) && span->pages == 1000);
    mheap_free_owned(span, true);
    mheap_check();
}

static void an_owned_span_takes_free_pages_behind_it_and_no_others(void **state)
{
    assert_child_passes(extend_owned, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_grow_with_the_heap_and_cover_nothing_else),
        cmocka_unit_test(a_note_of_a_free_page_is_found_by_the_check),
        cmocka_unit_test(an_owned_span_takes_free_pages_behind_it_and_no_others),
        cmocka_unit_test(threads_may_start_the_heap_at_once),
        ON_A_HEAP(the_heap_starts_with_one_chunk),
        ON_A_HEAP(pages_are_numbered_by_their_address),
        ON_A_HEAP(the_heap_grows_when_it_is_full),
        ON_A_HEAP(growth_takes_less_where_a_chunk_is_refused),
        ON_A_HEAP(freed_neighbours_merge),
        ON_A_HEAP(a_run_splits_where_pages_are_taken),
        ON_A_HEAP(run_find_takes_the_shortest_run_that_fits),
        ON_A_HEAP(of_equal_runs_the_lowest_is_taken),
        ON_A_HEAP(nothing_fits_a_request_beyond_the_window),
        ON_A_HEAP(a_block_is_aligned_as_asked),
        ON_A_HEAP(a_growing_block_grows_in_place),
        ON_A_HEAP(a_shrunk_block_gives_its_end_back),
        ON_A_HEAP(a_block_that_cannot_grow_in_place_moves),
        ON_A_HEAP(moves_are_counted_and_cost_no_copy),
        ON_A_HEAP(a_moved_mapping_settles_when_it_is_freed),
        ON_A_HEAP(a_moved_block_may_shrink_without_leaving_mappings),
#ifdef GOALLOC_DEBUG
        ON_A_HEAP(a_moved_block_that_cannot_settle_is_settled_later),
#endif
        ON_A_HEAP(no_page_moves_while_moves_are_held),
        ON_A_HEAP(mappings_of_moved_blocks_are_bounded),
#ifdef GOALLOC_DEBUG
        ON_A_HEAP(a_kernel_that_refuses_to_split_is_left_alone_for_a_while),
        ON_A_HEAP(a_move_that_loses_its_place_loses_it_for_a_while),
#endif
        ON_A_HEAP(fresh_spans_have_memory_before_they_are_touched),
        ON_A_HEAP(what_may_stay_untouched_is_not_fetched),
        ON_A_HEAP(what_was_fetched_in_vain_is_dirty),
        ON_A_HEAP(a_stretch_may_be_met_from_before),
#ifdef GOALLOC_DEBUG
        ON_A_HEAP(a_refused_fetch_counts_nothing),
#endif
        ON_A_HEAP(a_long_free_runs_span_structs_are_released_too),
        ON_A_HEAP(a_run_is_released_from_its_end),
        ON_A_HEAP(of_long_runs_the_lowest_is_taken),
        ON_A_HEAP(zero_fresh_zeroes_what_was_dirty),
        ON_A_HEAP(zero_fresh_leaves_clean_pages_untouched),
        ON_A_HEAP(a_page_that_is_free_and_clean_is_zero),
        ON_A_HEAP(released_pages_read_as_zero),
        ON_A_HEAP(release_stops_at_what_was_asked),
        ON_A_HEAP(releasing_takes_memory_out_of_rss),
        ON_A_HEAP(the_heap_goes_round_foreign_memory),
        ON_A_HEAP(a_heap_that_is_walled_in_fails_and_stays_whole),
        ON_A_HEAP(a_fresh_spans_bits_are_set_past_the_last_object_only),
        ON_A_HEAP(every_address_of_a_span_leads_to_it),
        ON_A_HEAP(every_address_of_a_large_block_leads_to_it),
        ON_A_HEAP(any_address_may_be_looked_up),
        ON_A_HEAP(metadata_is_zeroed_aligned_and_distinct),
        ON_A_HEAP(metadata_beyond_its_region_is_refused),
        ON_A_HEAP(a_dense_part_is_found_at_the_second_look),
        ON_A_HEAP(what_is_hardly_used_is_not_dense),
        ON_A_HEAP(what_a_child_shares_is_not_dense),
        ON_A_HEAP(a_part_that_comes_apart_has_to_wait),
        ON_A_HEAP(what_the_kernel_filled_goes_back_once_more),
        ON_A_HEAP(random_operations_keep_every_invariant),
        ON_A_HEAP(a_forked_childs_heap_works_after_reset),
        ON_A_HEAP(the_checker_notices_every_breakage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
