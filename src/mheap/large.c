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
 * bounded, and why the pages are mapped afresh when the block is freed. Where the kernel refuses
 * that, the span stays unsettled: in use, but nobody's, until a later call has more luck. So does a
 * place that was lost to a move that failed half-way.
 *
 * Invariants: a large span's class is 0; `moved` spans have exactly one mapping of their own, and
 * moved_now counts them, unsettled ones too.
 * Locking: takes the heap's lock; a block's owner may read its span without it.
 */
#include <string.h>

#include "../os/os.h"
#include "internal.h"
#include "marks.h"

/* Moved mappings split the heap's: each costs two of the 65,530 that the kernel allows. */
#define MAX_MOVED 64
/* Below this many pages copying is cheaper than asking the kernel. */
#define MIN_MOVE_PAGES 16
/* A growing block is put where it can become twice as long, or this many pages longer. */
#define MAX_GROWTH_ROOM (((size_t)64 << 20) >> HEAP_PAGE_SHIFT)
/* The gap left for other spans before a growing block, at most. */
#define MAX_GAP (4 * CHUNK_PAGES)

/* Once the kernel has refused to split a mapping, which it does where the process has as many as it
 * may, this many blocks are copied before it is asked again. */
#define MOVES_PAUSED 64

static size_t moved_now;    /* spans whose `moved` is set; guarded by the heap's lock */
static size_t moves_paused; /* blocks to copy before the next try; guarded by the heap's lock */
static unsigned moving;     /* moves under way; guarded by the heap's lock */
static unsigned moves_era;  /* a number for each process; a child's only thread raises it */
static bool moves_held;     /* none is to begin; guarded by the heap's lock */
static uint32_t unsettled;  /* list of unsettled spans; guarded by the heap's lock */

/* Lock held. Fresh pages in the place of a span's, which then merge with their neighbours. */
static bool map_afresh(struct span *span)
{
    if (!map_over(span_address(span), (size_t)span->pages << HEAP_PAGE_SHIFT))
        return false;
    moved_now -= span->moved;
    span->moved = false;
    return true;
}

/* Lock held. The span is nobody's, but no page of it may be given out. */
static void leave_unsettled(struct span *span)
{
    span_state_store(span, SPAN_UNSETTLED);
    span->next = unsettled;
    unsettled = span->page;
}

/* Lock held. Frees what was left unsettled, as far as the kernel allows it now. */
static void settle_leftovers(void)
{
    while (GA_UNLIKELY(unsettled != 0)) {
        struct span *span = mheap_span_at(unsettled);
        if (!map_afresh(span))
            return;
        unsettled = span->next;
        span_destroy(span, false);
    }
}

static void uncount_large(const struct span *span)
{
    mheap.stats.large -= (size_t)span->pages << HEAP_PAGE_SHIFT;
    mheap.stats.large_blocks--;
}

static struct span *make_large(size_t page, size_t pages)
{
    struct span *span = span_init(page, pages, SPAN_LARGE, 0);
    mheap.stats.large += pages << HEAP_PAGE_SHIFT;
    mheap.stats.large_blocks++;
    marks_allocated(page, 0, 1);
    mheap.stats.large_allocs++;
    mheap.stats.large_alloc_bytes += pages << HEAP_PAGE_SHIFT;
    return span;
}

size_t take_aligned(size_t pages, size_t align)
{
    size_t slack = (align >> HEAP_PAGE_SHIFT) - 1;
    if (pages >= WINDOW_PAGES || slack >= WINDOW_PAGES)
        return 0;
    settle_leftovers();
    size_t run = run_find(pages + slack);
    if (!run && grow_heap(pages + slack))
        run = run_find(pages + slack);
    if (!run)
        return 0;
    uintptr_t address = mheap_page_address(run);
    size_t offset = (round_up(address, align) - address) >> HEAP_PAGE_SHIFT;
    run_take(run, offset, pages);
    return run + offset;
}

/* Makes a block of what was taken, and gives the lock up. A collector that meets it before it is
 * empty doesn't look inside. */
static struct span *finish_large(size_t page, size_t pages, enum mheap_contents contents)
{
    struct span *span = page ? make_large(page, pages) : NULL;
    bool hide = mheap_marks_want_empty();
    if (span)
        span->noscan = hide || contents == CONTENTS_NO_POINTERS;
    lock_release(&mheap.lock);
    if (!span || contents == CONTENTS_NO_POINTERS)
        return span;
    if (hide || contents == CONTENTS_ZERO)
        mheap_zero_fresh(span);
    if (hide)
        __atomic_store_n(&span->noscan, false, __ATOMIC_RELEASE);
    return span;
}

struct span *mheap_alloc_large(size_t pages, size_t align, enum mheap_contents contents)
{
    lock_acquire(&mheap.lock);
    return finish_large(take_aligned(pages, align), pages, contents);
}

size_t take_growing(size_t pages)
{
    settle_leftovers();
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
    if (pages >= WINDOW_PAGES)
        return NULL;
    lock_acquire(&mheap.lock);
    struct span *span = finish_large(take_growing(pages), pages, CONTENTS_ANY);
    return span ? span : mheap_alloc_large(pages, HEAP_PAGE, CONTENTS_ANY);
}

/* Lock held. Gives the pages from `keep` on back; those of a moved mapping settle first. */
static void shrink(struct span *span, size_t keep)
{
    size_t page = span->page + keep, pages = span->pages - keep;
    bool zero = span->moved && map_over(mheap_page_address(page), pages << HEAP_PAGE_SHIFT);
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

bool span_extend(struct span *span, size_t pages)
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
    return true;
}

/* Lock held. */
static bool extend(struct span *span, size_t pages)
{
    size_t more = pages - span->pages;
    if (!span_extend(span, pages))
        return false;
    mheap.stats.large += more << HEAP_PAGE_SHIFT;
    mheap.stats.large_alloc_bytes += more << HEAP_PAGE_SHIFT;
    return true;
}

/* Lock held. The marker may be looking at the span: its memory goes back, itself stays. */
GA_COLD static void let_die(struct span *span)
{
    size_t bytes = (size_t)span->pages << HEAP_PAGE_SHIFT;
    if (!span->moved && os_page_size() <= HEAP_PAGE)
        os_release(span_address(span), bytes);
    span_state_store(span, SPAN_DEAD);
}

/* Lock held. Fresh pages are zero. */
static void destroy_large(struct span *span, bool dirty)
{
    bool moved = span->moved;
    if (GA_UNLIKELY(mheap_marks.marking)) {
        let_die(span);
        return;
    }
    uncount_large(span);
    settle_leftovers();
    if (moved && !map_afresh(span))
        leave_unsettled(span);
    else
        span_destroy(span, dirty && !moved);
}

enum move {
    MOVE_DONE,
    MOVE_REFUSED, /* both places are as they were */
    MOVE_FAILED,  /* the destination is lost */
};

/* Moves a block's pages without copying. A kernel that fails in the midst has unmapped the
 * destination already, which then has to be mapped again; releasing it succeeds where it is there.
 */
static enum move move_pages(const struct span *old, const struct span *new)
{
    size_t bytes = (size_t)old->pages << HEAP_PAGE_SHIFT;
    if (os_move_pages(span_address(old), span_address(new), bytes))
        return MOVE_DONE;
    bool is_there = os_release(span_address(new), bytes) || map_over(span_address(new), bytes);
    return is_there ? MOVE_REFUSED : MOVE_FAILED;
}

/*
 * Counts a moved mapping beforehand; false: it isn't to be. Where the OS page is larger than ours a
 * block may end inside one, and its neighbour would move along: not there. `era`: when it was.
 */
static bool reserve_move(const struct span *old, unsigned *era)
{
    if (old->pages < MIN_MOVE_PAGES || os_page_size() > HEAP_PAGE)
        return false;
    lock_acquire(&mheap.lock);
    bool may = moved_now < MAX_MOVED && moves_paused == 0;
    moves_paused -= moves_paused > 0;
    may = may && !moves_held && !mheap_marks.marking;
    moved_now += may;
    moving += may;
    *era = moves_era;
    lock_release(&mheap.lock);
    return may;
}

/* Lock held. In a child forked by a signal's handler that has interrupted the move it doesn't count
 * as one under way. */
static void end_move(unsigned era)
{
    if (era == moves_era)
        moving--;
    else
        moved_now++;
}

/* Lock held. */
static void note_refusal(void)
{
    moved_now--;
    moves_paused = MOVES_PAUSED;
    mheap.stats.moves_refused++;
}

/* A move takes the kernel some milliseconds for a gigabyte, and as much again when it fails. */
#define MOVES_LIMIT UINT64_C(1000000000)
#define MOVES_LOOK  UINT64_C(50000)

static bool none_moves(void)
{
    lock_acquire(&mheap.lock);
    bool none = moving == 0;
    lock_release(&mheap.lock);
    return none;
}

static void set_moves_held(bool held)
{
    lock_acquire(&mheap.lock);
    moves_held = held;
    lock_release(&mheap.lock);
}

bool mheap_hold_moves(const atomic_bool *give_up)
{
    uint64_t deadline = os_nanotime() + MOVES_LIMIT;
    set_moves_held(true);
    while (!none_moves()) {
        if (os_nanotime() > deadline || atomic_load_explicit(give_up, memory_order_relaxed)) {
            set_moves_held(false);
            return false;
        }
        os_pause(MOVES_LOOK);
    }
    return true;
}

void mheap_allow_moves(void)
{
    set_moves_held(false);
}

void large_reset_in_child(void)
{
    moved_now -= moving; /* by threads that aren't there, or don't count: see end_move */
    moving = 0;
    moves_era++;
}

void mheap_set_type(struct span *span, uint32_t type)
{
    span->type = type;
    __atomic_store_n(&span->typed, true, __ATOMIC_RELEASE); /* the marker may be looking */
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
    unsigned era;
    bool reserved = reserve_move(old, &era);
    enum move move = reserved ? move_pages(old, new) : MOVE_REFUSED;
    if (move == MOVE_REFUSED)
        memcpy((void *)span_address(new), (void *)span_address(old),
               (size_t)old->pages << HEAP_PAGE_SHIFT);
    lock_acquire(&mheap.lock);
    if (reserved)
        end_move(era);
    if (reserved && move != MOVE_DONE)
        note_refusal();
    new->moved = move == MOVE_DONE;
    new->noscan = old->noscan;
    if (old->typed)
        mheap_set_type(new, old->type);
    mheap.stats.moves += move == MOVE_DONE;
    if (move == MOVE_FAILED) {
        uncount_large(new);
        leave_unsettled(new);
    } else {
        destroy_large(old, move != MOVE_DONE);
    }
    lock_release(&mheap.lock);
    return move == MOVE_FAILED ? NULL : new;
}

/* Lock held. The program frees or resizes a block that an audit has doomed: it was in reach. */
static void note_false(const struct span *span)
{
    if (GA_LIKELY(!mheap_marks.audit) || !*marks_doomed(span->page))
        return;
    *marks_doomed(span->page) = 0;
    atomic_fetch_add_explicit(&mheap_marks.false_frees, 1, memory_order_relaxed);
}

struct span *mheap_resize_large(struct span *span, size_t pages)
{
    bool fits = true;
    size_t before = span->pages;
    if (pages >= WINDOW_PAGES)
        return NULL;
    lock_acquire(&mheap.lock);
    note_false(span);
    if (pages < span->pages)
        shrink(span, pages);
    else if (pages > span->pages)
        fits = extend(span, pages);
    lock_release(&mheap.lock);
    if (!fits)
        return relocate(span, pages);
    if (pages > before && mheap_marks_want_empty() && !span->noscan)
        pages_zero_dirty(span->page + before, pages - before);
    return span;
}

void mheap_free_large(struct span *span)
{
    lock_acquire(&mheap.lock);
    note_false(span);
    destroy_large(span, true);
    lock_release(&mheap.lock);
}

/* Lock held. */
static struct mheap_swept sweep_large(struct span *span, bool free_it)
{
    struct span_marks *marks = marks_of(span->page);
    size_t bytes = (size_t)span->pages << HEAP_PAGE_SHIFT;
    if (span_state_load(span) == SPAN_DEAD) {
        destroy_large(span, true);
        return (struct mheap_swept){0};
    }
    if (span_state_load(span) != SPAN_LARGE || !marks_is_unswept(span->page))
        return (struct mheap_swept){0};
    bool live = marks->mark[0] != 0;
    *marks_swept(span->page) = mheap_marks.round;
    marks->mark[0] = marks->scan[0] = 0;
    if (live)
        return (struct mheap_swept){.live = true, .live_bytes = bytes};
    if (mheap_marks.audit && *marks_doomed(span->page))
        return (struct mheap_swept){0};
    if (mheap_marks.audit)
        *marks_doomed(span->page) = 1;
    if (free_it)
        destroy_large(span, true);
    return (struct mheap_swept){.bytes = bytes};
}

struct mheap_swept mheap_sweep_large(size_t page, bool free_it)
{
    lock_acquire(&mheap.lock);
    struct mheap_swept swept = sweep_large(mheap_span_at(page), free_it);
    lock_release(&mheap.lock);
    return swept;
}
