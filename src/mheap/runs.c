// SPDX-License-Identifier: MIT
/*
 * runs.c: free runs, by length.
 *
 * Place: spans.c and large.c take pages here and give them back. Depends on the page tables only.
 *
 * A run is described by the span struct of its first page; its first and last page lead to it, so
 * that a neighbour finds it in one step. Runs below 256 pages have a bin for each length, longer
 * ones four bins to a doubling, and a bitmap tells which bins hold something.
 *
 * Invariants:
 *   - two runs never touch, unless a hole of foreign memory lies between them;
 *   - state SPAN_FREE stands at a run's first page and nowhere else;
 *   - the class entry of every free page is 0;
 *   - stats.free_dirty is the sum over free dirty pages.
 * Locking: the heap's lock is held by the caller.
 */
#include <limits.h>

#include "../os/report.h"
#include "internal.h"

/* --- Bins --- */

static unsigned bin_of(size_t pages)
{
    if (pages < EXACT_BINS)
        return (unsigned)pages;
    unsigned log = 63 - (unsigned)__builtin_clzl(pages);
    unsigned quarter = (unsigned)(pages >> (log - 2)) & 3;
    return EXACT_BINS + (log - 8) * 4 + quarter;
}

static void bin_add(struct span *run)
{
    unsigned bin = bin_of(run->pages);
    run->prev = 0;
    run->next = mheap.bins[bin];
    if (run->next)
        mheap_span_at(run->next)->prev = run->page;
    mheap.bins[bin] = run->page;
    mheap.bin_used[bin / 64] |= UINT64_C(1) << bin % 64;
}

/* The run and its neighbours agree; else something wrote over what isn't its own. */
static bool is_linked(const struct span *run, unsigned bin)
{
    bool before =
        run->prev ? mheap_span_at(run->prev)->next == run->page : mheap.bins[bin] == run->page;
    return before && (!run->next || mheap_span_at(run->next)->prev == run->page);
}

static void bin_remove(struct span *run)
{
    unsigned bin = bin_of(run->pages);
    if (GA_UNLIKELY(bin >= RUN_BINS || !is_linked(run, bin)))
        report_fatal("broken heap: the list of free runs at page %u", run->page);
    if (run->next)
        mheap_span_at(run->next)->prev = run->prev;
    if (run->prev)
        mheap_span_at(run->prev)->next = run->next;
    else
        mheap.bins[bin] = run->next;
    if (!mheap.bins[bin])
        mheap.bin_used[bin / 64] &= ~(UINT64_C(1) << bin % 64);
}

/* The first bin from `bin` on that holds a run; RUN_BINS when none does. */
static unsigned bin_next_used(unsigned bin)
{
    const unsigned words = (RUN_BINS + 63) / 64;
    uint64_t word = bin / 64 < words ? mheap.bin_used[bin / 64] >> bin % 64 << bin % 64 : 0;
    for (unsigned i = bin / 64; i < words; word = ++i < words ? mheap.bin_used[i] : 0)
        if (word)
            return i * 64 + (unsigned)__builtin_ctzl(word);
    return RUN_BINS;
}

/* The shortest run of the bin that holds `pages`, of equals the lowest, among the first so many. */
static size_t bin_best(unsigned bin, size_t pages, unsigned look_at)
{
    size_t best = 0, best_pages = SIZE_MAX;
    uint32_t at = mheap.bins[bin];
    for (unsigned steps = 0; at && steps < look_at; steps++) {
        const struct span *run = mheap_span_at(at);
        bool better = run->pages < best_pages || (run->pages == best_pages && at < best);
        if (run->pages >= pages && better) {
            best = at;
            best_pages = run->pages;
        }
        at = run->next;
    }
    return best;
}

/* Runs of one bin that are compared where any of a longer bin would do. */
#define LOOK_AT 32

/* The lowest of the long runs, among the first so many: what is released is taken from their ends,
 * so that low pages are likely to have memory still. */
static size_t lowest_long(unsigned bin)
{
    size_t lowest = SIZE_MAX;
    unsigned steps = 0;
    for (; bin < RUN_BINS && steps < LOOK_AT; bin = bin_next_used(bin + 1))
        for (uint32_t at = mheap.bins[bin]; at && steps < LOOK_AT; at = mheap_span_at(at)->next) {
            lowest = at < lowest ? at : lowest;
            steps++;
        }
    return lowest;
}

size_t run_find(size_t pages)
{
    unsigned bin = bin_of(pages);
    if (bin >= RUN_BINS)
        return 0;
    size_t best = bin_best(bin, pages, LOOK_AT);
    if (best)
        return best;
    unsigned longer = bin_next_used(bin + 1);
    if (bin < EXACT_BINS && longer >= EXACT_BINS && longer < RUN_BINS)
        return lowest_long(longer);
    if (longer < RUN_BINS)
        return bin_best(longer, pages, LOOK_AT);
    return bin_best(bin, pages, UINT_MAX); /* rather than ask for more memory */
}

size_t run_longest(void)
{
    for (unsigned i = (RUN_BINS + 63) / 64; i-- > 0;)
        if (mheap.bin_used[i])
            return mheap.bins[i * 64 + 63 - (unsigned)__builtin_clzl(mheap.bin_used[i])];
    return 0;
}

/* --- Runs --- */

static void run_create(size_t page, size_t pages)
{
    struct span *run = mheap_span_at(page);
    run->page = (uint32_t)page;
    run->pages = (uint32_t)pages;
    run->class = 0;
    run->bare = false;
    span_state_store(run, SPAN_FREE);
    page_span_store(page, page);
    page_span_store(page + pages - 1, page);
    bin_add(run);
}

static void run_destroy(struct span *run)
{
    bin_remove(run);
    span_state_store(run, SPAN_NONE);
}

/* The run that covers `page`, which must be the first or the last page of whatever covers it. */
static struct span *run_at_edge(size_t page)
{
    size_t first = page_span_load(page);
    if (!first)
        return NULL; /* foreign memory that the heap goes round */
    struct span *span = mheap_span_at(first);
    bool covers = page - span->page < span->pages;
    return span->state == SPAN_FREE && covers ? span : NULL;
}

void run_insert(size_t page, size_t pages)
{
    size_t end = page + pages;
    add_free_dirty((long)pages_count_dirty(page, pages));
    struct span *before = page > mheap_view.start ? run_at_edge(page - 1) : NULL;
    struct span *after = end < mheap_end() ? run_at_edge(end) : NULL;
    if (before) {
        page = before->page;
        run_destroy(before);
    }
    if (after) {
        end = after->page + after->pages;
        run_destroy(after);
    }
    run_create(page, end - page);
}

void run_take(size_t run, size_t offset, size_t pages)
{
    struct span *span = mheap_span_at(run);
    size_t length = span->pages;
    run_destroy(span);
    if (offset)
        run_create(run, offset);
    if (offset + pages < length)
        run_create(run + offset + pages, length - offset - pages);
    add_free_dirty(-(long)pages_count_dirty(run + offset, pages));
    ahead_taken(run + offset, run + offset + pages);
}

/* --- Dirty bits --- */

/* The bits of one word that lie in [page, page + pages), and how many pages they stand for. */
static uint64_t word_mask(size_t page, size_t pages, size_t *covered)
{
    size_t shift = page % 64;
    size_t here = 64 - shift < pages ? 64 - shift : pages;
    *covered = here;
    return (here == 64 ? ~UINT64_C(0) : (UINT64_C(1) << here) - 1) << shift;
}

static uint64_t *dirty_word(size_t page)
{
    return &mheap_arena_of(page)->dirty[page % ARENA_PAGES / 64];
}

size_t pages_count_dirty(size_t page, size_t pages)
{
    size_t count = 0;
    for (size_t covered; pages; page += covered, pages -= covered) {
        uint64_t mask = word_mask(page, pages, &covered);
        uint64_t word = __atomic_load_n(dirty_word(page), __ATOMIC_RELAXED);
        word &= mask;
        count += word == mask ? covered : count_bits(word); /* as a rule all are, or none */
    }
    return count;
}

void pages_set_dirty(size_t page, size_t pages, bool dirty)
{
    for (size_t covered; pages; page += covered, pages -= covered) {
        uint64_t mask = word_mask(page, pages, &covered);
        uint64_t word = __atomic_load_n(dirty_word(page), __ATOMIC_RELAXED);
        __atomic_store_n(dirty_word(page), dirty ? word | mask : word & ~mask, __ATOMIC_RELAXED);
    }
}
