// SPDX-License-Identifier: MIT
/*
 * check.c: the page heap's invariants as code, and its statistics.
 *
 * Place: tests call the checks, src/observe and src/scavenger read the statistics.
 * Locking: takes the heap's lock for the whole walk.
 */
#include "../os/report.h"
#include "internal.h"
#include "notes.h"

static void require(bool holds, const char *what, size_t page)
{
    if (GA_UNLIKELY(!holds))
        report_fatal("broken heap: %s at page %zu", what, page);
}

static unsigned class_of_page(size_t page)
{
    return mheap_view.classes[page] / SIZE_CLASS_OFFSET;
}

struct sums {
    size_t free_dirty, in_use, large, large_blocks, runs, ahead;
};

/* How much of what was fetched ahead lies in the run. */
static size_t check_ahead(const struct span *run)
{
    struct page_range ahead = ahead_now();
    size_t end = (size_t)run->page + run->pages;
    if (ahead.from == ahead.to || ahead.from < run->page || ahead.from >= end)
        return 0;
    require(ahead.to <= end, "what was fetched ahead isn't free", ahead.from);
    require(pages_count_dirty(ahead.from, ahead.to - ahead.from) == 0,
            "what was fetched ahead is dirty", ahead.from);
    return ahead.to - ahead.from;
}

static bool is_noted(size_t page)
{
    const uint16_t *note = mheap_notes.table;
    if (!note)
        return false;
    note = mheap_known_note((void *)mheap_page_address(page));
    for (size_t i = 0; i < HEAP_PAGE / MIN_ALIGN; i++)
        if (__atomic_load_n(&note[i], __ATOMIC_RELAXED))
            return true;
    return false;
}

static void check_run(const struct span *run, bool after_run, struct sums *sums)
{
    size_t page = run->page, last = page + run->pages - 1;
    require(!after_run, "two runs touch", page);
    require(page_span_load(last) == page, "a run's last page leads elsewhere", page);
    for (size_t i = page; i <= last; i++) {
        require(class_of_page(i) == 0, "a free page has a class", i);
        require(!is_noted(i), "a free page has notes", i);
    }
    sums->free_dirty += pages_count_dirty(page, run->pages) << HEAP_PAGE_SHIFT;
    sums->ahead += check_ahead(run);
    sums->runs++;
}

static void check_span(const struct span *span, struct sums *sums)
{
    for (size_t i = span->page; i < (size_t)span->page + span->pages; i++) {
        require(page_span_load(i) == span->page, "a page leads to another span", i);
        require(class_of_page(i) == (mheap.hidden || span->noscan || span->typed ? 0 : span->class),
                "a page has another class than its span", i);
        require(i == span->page || mheap_span_at(i)->state == SPAN_NONE, "a span in a span", i);
    }
    bool large = span->state == SPAN_LARGE || span->state == SPAN_DEAD;
    bool small = span->state == SPAN_SMALL;
    require(small == (span->class != 0), "a span's state contradicts its class", span->page);
    sums->in_use += (size_t)span->pages << HEAP_PAGE_SHIFT;
    sums->large += large ? (size_t)span->pages << HEAP_PAGE_SHIFT : 0;
    sums->large_blocks += large;
}

static size_t count_binned(void)
{
    size_t count = 0;
    for (unsigned bin = 0; bin < RUN_BINS; bin++) {
        bool used = mheap.bin_used[bin / 64] >> bin % 64 & 1;
        require(used == (mheap.bins[bin] != 0), "a bin contradicts its bit", bin);
        for (uint32_t at = mheap.bins[bin]; at; at = mheap_span_at(at)->next) {
            require(mheap_span_at(at)->state == SPAN_FREE, "a bin holds what isn't free", at);
            count++;
        }
    }
    return count;
}

static void check_locked(void)
{
    struct sums sums = {0};
    bool after_run = false;
    size_t end = mheap_end();
    for (size_t page = mheap_view.start; page < end;) {
        const struct span *span = mheap_span_at(page);
        if (span->state == SPAN_NONE) { /* foreign memory that the heap goes round */
            require(page_span_load(page) == 0, "a page that nothing covers", page);
            page++;
            after_run = false;
            continue;
        }
        require(span->page == page, "a span doesn't know its page", page);
        require(page_span_load(page) == page, "a first page leads elsewhere", page);
        if (span->state == SPAN_FREE)
            check_run(span, after_run, &sums);
        else
            check_span(span, &sums);
        after_run = span->state == SPAN_FREE;
        page += span->pages;
    }
    require(sums.runs == count_binned(), "runs and bins differ in number", sums.runs);
    sums.free_dirty += sums.ahead << HEAP_PAGE_SHIFT;
    require(sums.free_dirty == mheap.stats.free_dirty, "free dirty bytes are miscounted", 0);
    require(sums.ahead == ahead_now().to - ahead_now().from, "fetched ahead of nothing free",
            ahead_now().from);
    require(sums.in_use == mheap.stats.in_use, "bytes in use are miscounted", 0);
    require(sums.large == mheap.stats.large, "bytes in large blocks are miscounted", 0);
    require(sums.large_blocks == mheap.stats.large_blocks, "large blocks are miscounted", 0);
}

void mheap_check(void)
{
    lock_acquire(&mheap.lock);
    if (atomic_load_explicit(&mheap.ready, memory_order_relaxed))
        check_locked();
    lock_release(&mheap.lock);
}

void mheap_read_stats(struct mheap_stats *out)
{
    lock_acquire(&mheap.lock);
    *out = mheap.stats;
    lock_acquire(&mheap.meta_lock);
    out->meta += mheap.meta_end - mheap.meta_start;
    lock_release(&mheap.meta_lock);
    out->span_bytes = mheap.arenas_mapped * sizeof(((struct arena *)NULL)->spans);
    lock_release(&mheap.lock);
}

void mheap_read_levels(struct mheap_levels *out)
{
    out->in_use = GA_LOAD_ANY(mheap.stats.in_use);
    out->free_dirty = GA_LOAD_ANY(mheap.stats.free_dirty);
    out->holes = GA_LOAD_ANY(mheap.stats.holes);
}

size_t mheap_own_bytes(void)
{
    size_t records = GA_LOAD_ANY(mheap.arenas_mapped) * ARENA_RECORD_SIZE;
    records += GA_LOAD_ANY(mheap_notes.bytes_mapped);
    return records + (GA_LOAD_ANY(mheap.meta_at) - mheap.meta_start);
}

size_t mheap_take_peak(void)
{
    lock_acquire(&mheap.lock);
    size_t peak = mheap.peak_in_use;
    mheap.peak_in_use = mheap.stats.in_use;
    lock_release(&mheap.lock);
    return peak;
}
