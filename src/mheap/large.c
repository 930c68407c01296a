// SPDX-License-Identifier: MIT
/*
 * large.c: blocks of more than a megabyte, blocks aligned to more than a page, and blocks that
 * grow.
 *
 * Place: src/libc's slow paths call it. Calls runs.c, spans.c, grow.c and, to move pages, src/os.
 *
 * A block that realloc made grow is likely to grow again, so it is put where many free pages
 * follow: a quarter into the longest run (small spans fill a run from its front), after making that
 * run eight times as long as the block. Growing is then a matter of taking the pages behind it.
 * When something lies there after all, the kernel moves the pages to a new place (mremap); no byte
 * is copied. A mapping so moved doesn't merge with its neighbours, which is why their number is
 * bounded, and why the pages are mapped afresh when the block is freed.
 *
 * Invariants: a large span's class is 0; `moved` spans have exactly one mapping of their own.
 * Locking: takes the heap's lock; a block's owner may read its span without it.
 */
#include <string.h>

#include "../os/os.h"
#include "internal.h"

/* Moved mappings split the heap's: each costs two of the 65,530 that the kernel allows. */
#define MAX_MOVED 64
/* Below this many pages copying is cheaper than asking the kernel. */
#define MIN_MOVE_PAGES 16
/* A growing block is put where it can become twice as long, or this many pages longer. */
#define MAX_GROWTH_ROOM (((size_t)64 << 20) >> HEAP_PAGE_SHIFT)
/* The gap left for other spans before a growing block, at most. */
#define MAX_GAP (4 * CHUNK_PAGES)

static size_t moved_now; /* spans whose `moved` is set; guarded by the heap's lock */

static struct span *make_large(size_t page, size_t pages)
{
    struct span *span = span_init(page, pages, SPAN_LARGE, 0);
    mheap.stats.large += pages << HEAP_PAGE_SHIFT;
    mheap.stats.large_blocks++;
    return span;
}

struct span *mheap_alloc_large(size_t pages, size_t align)
{
    size_t slack = (align >> HEAP_PAGE_SHIFT) - 1;
    struct span *span = NULL;
    if (pages > WINDOW_PAGES || slack > WINDOW_PAGES)
        return NULL;
    lock_acquire(&mheap.lock);
    size_t run = run_find(pages + slack);
    if (!run && grow_heap(pages + slack))
        run = run_find(pages + slack);
    if (run) {
        uintptr_t address = mheap_page_address(run);
        size_t offset = (round_up(address, align) - address) >> HEAP_PAGE_SHIFT;
        run_take(run, offset, pages);
        span = make_large(run + offset, pages);
    }
    lock_release(&mheap.lock);
    return span;
}

/* Takes `pages` with room behind them; 0 where there's no memory. Lock held. */
static size_t take_growing(size_t pages)
{
    size_t room = pages + (pages < MAX_GROWTH_ROOM ? pages : MAX_GROWTH_ROOM);
    size_t run = run_longest();
    if ((!run || mheap_span_at(run)->pages < room) && grow_heap(room))
        run = run_longest();
    if (!run || mheap_span_at(run)->pages < room) {
        run = run_find(pages);
        if (run)
            run_take(run, 0, pages);
        return run;
    }
    size_t gap = (mheap_span_at(run)->pages - pages) / 4;
    gap = gap > MAX_GAP ? MAX_GAP : gap;
    run_take(run, gap, pages);
    return run + gap;
}

struct span *mheap_alloc_growing(size_t pages)
{
    if (pages > WINDOW_PAGES)
        return NULL;
    lock_acquire(&mheap.lock);
    size_t page = take_growing(pages);
    struct span *span = page ? make_large(page, pages) : NULL;
    lock_release(&mheap.lock);
    return span ? span : mheap_alloc_large(pages, HEAP_PAGE);
}

/* Lock held. Gives the pages from `keep` on back; those of a moved mapping settle first. */
static void shrink(struct span *span, size_t keep)
{
    size_t page = span->page + keep, pages = span->pages - keep;
    bool zero = span->moved && os_map_over(mheap_page_address(page), pages << HEAP_PAGE_SHIFT);
    __atomic_store_n(&span->pages, (uint32_t)keep, __ATOMIC_RELAXED);
    subtract_in_use(pages);
    mheap.stats.large -= pages << HEAP_PAGE_SHIFT;
    pages_set_dirty(page, pages, !zero);
    run_insert(page, pages);
}

static bool is_free_run(size_t page, size_t pages)
{
    if (page >= mheap_end())
        return false;
    const struct span *run = mheap_span_at(page);
    return run->state == SPAN_FREE && run->pages >= pages;
}

/* Lock held. Whether nothing but free pages lies between `page` and the heap's end. */
static bool is_at_end(size_t page)
{
    return page == mheap_end() ||
           (is_free_run(page, 1) && page + mheap_span_at(page)->pages == mheap_end());
}

/* Lock held. Takes the pages behind the span, if enough of them are free or the heap ends there. */
static bool extend(struct span *span, size_t pages)
{
    size_t next = (size_t)span->page + span->pages, more = pages - span->pages;
    if (!is_free_run(next, more) && is_at_end(next))
        grow_heap(more);
    if (!is_free_run(next, more))
        return false;
    run_take(next, 0, more);
    span_map_pages(span, next, more);
    __atomic_store_n(&span->pages, (uint32_t)pages, __ATOMIC_RELAXED);
    add_in_use(more);
    mheap.stats.large += more << HEAP_PAGE_SHIFT;
    return true;
}

/*
 * Lock held. Puts fresh pages in the place of a moved mapping, so that it merges again with its
 * neighbours. true: the pages are zero now.
 */
static bool settle(struct span *span)
{
    if (!os_map_over(span_address(span), (size_t)span->pages << HEAP_PAGE_SHIFT))
        return false;
    span->moved = false;
    moved_now--;
    return true;
}

/* Lock held. */
static void destroy_large(struct span *span, bool dirty)
{
    if (span->moved && settle(span))
        dirty = false;
    mheap.stats.large -= (size_t)span->pages << HEAP_PAGE_SHIFT;
    mheap.stats.large_blocks--;
    span_destroy(span, dirty);
}

enum move {
    MOVE_DONE,
    MOVE_REFUSED, /* both places are as they were */
    MOVE_FAILED,  /* the destination is lost */
};

/*
 * Moves a block's pages without copying. Where the OS page is larger than ours a block may end
 * inside one, and its neighbour would move along: not there. A kernel that fails in the midst has
 * unmapped the destination already, which then has to be mapped again.
 */
static enum move move_pages(const struct span *old, const struct span *new)
{
    size_t bytes = (size_t)old->pages << HEAP_PAGE_SHIFT;
    if (old->pages < MIN_MOVE_PAGES || os_page_size() > HEAP_PAGE)
        return MOVE_REFUSED;
    if (os_move_pages(span_address(old), span_address(new), bytes))
        return MOVE_DONE;
    return os_map_over(span_address(new), bytes) ? MOVE_REFUSED : MOVE_FAILED;
}

/* Counts a moved mapping beforehand; false: there are as many as there may be. */
static bool reserve_move(void)
{
    lock_acquire(&mheap.lock);
    bool may = moved_now < MAX_MOVED;
    moved_now += may;
    lock_release(&mheap.lock);
    return may;
}

/*
 * Moves a block to a longer place. The lock is not held while the kernel works or bytes are copied:
 * both spans are in use meanwhile, and only their owner, which is us, may touch them.
 */
static struct span *relocate(struct span *old, size_t pages)
{
    struct span *new = mheap_alloc_growing(pages);
    if (!new)
        return NULL;
    bool reserved = reserve_move();
    enum move move = reserved ? move_pages(old, new) : MOVE_REFUSED;
    if (move == MOVE_REFUSED)
        memcpy((void *)span_address(new), (void *)span_address(old),
               (size_t)old->pages << HEAP_PAGE_SHIFT);
    lock_acquire(&mheap.lock);
    moved_now -= reserved && move != MOVE_DONE;
    new->moved = move == MOVE_DONE;
    mheap.stats.moves += move == MOVE_DONE;
    if (move != MOVE_FAILED)
        destroy_large(old, move != MOVE_DONE);
    lock_release(&mheap.lock);
    /* A lost destination stays in use for good: nobody may be given its addresses. */
    return move == MOVE_FAILED ? NULL : new;
}

struct span *mheap_resize_large(struct span *span, size_t pages)
{
    bool fits = true;
    lock_acquire(&mheap.lock);
    if (pages < span->pages)
        shrink(span, pages);
    else if (pages > span->pages)
        fits = extend(span, pages);
    lock_release(&mheap.lock);
    return fits ? span : relocate(span, pages);
}

void mheap_free_large(struct span *span)
{
    lock_acquire(&mheap.lock);
    destroy_large(span, true);
    lock_release(&mheap.lock);
}
