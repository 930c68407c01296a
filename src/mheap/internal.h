// SPDX-License-Identifier: MIT
/*
 * internal.h: what the files of src/mheap share and no one else sees.
 *
 * grow.c   maps the window, piece by piece
 * ahead.c  memory for fresh pages, before they are touched
 * runs.c   free runs: bins, splitting, merging, dirty bits
 * spans.c  spans of objects, and looking up an address
 * large.c  large blocks
 * holes.c  what of spans in use went back
 * owned.c  spans of src/hardened's
 * advice.c huge pages
 * meta.c   memory for the library's own structures
 * marks.c  the collector's table of mark bits
 * notes.c  src/hardened's table of what begins where
 * check.c  the invariants as code
 * resident.c  what of it all has memory
 */
#ifndef GOALLOC_MHEAP_INTERNAL_H
#define GOALLOC_MHEAP_INTERNAL_H

#include "mheap.h"

/*
 * Free runs by length: one bin for each length below EXACT_BINS pages, then four to a doubling, up
 * to a run as long as the window.
 */
#define EXACT_BINS 256
#define RUN_BINS   (EXACT_BINS + 4 * (WINDOW_SHIFT - HEAP_PAGE_SHIFT - 8) + 1)

struct mheap {
    struct lock lock;
    uint32_t bins[RUN_BINS];                 /* first run of each bin; guarded by lock */
    uint64_t bin_used[(RUN_BINS + 63) / 64]; /* bit: the bin has a run; guarded by lock */
    uint16_t *classes;                       /* the class table, to write; constant once set */
    uintptr_t tables;                        /* where it begins; constant once set */
    size_t class_bytes_mapped;               /* of the class table; guarded by lock */
    size_t arenas_mapped;                    /* records mapped; guarded by lock; read without */
    size_t limit;                            /* the page behind the window; constant once set */
    struct mheap_stats stats;                /* guarded by lock; two fields are read without it */
    size_t peak_in_use;                      /* since mheap_take_peak; guarded by lock */
    struct lock meta_lock;
    uintptr_t meta_start; /* constant once set */
    uintptr_t meta_at;    /* next free byte; guarded by meta_lock; read without */
    uintptr_t meta_end;   /* end of what is mapped; guarded by meta_lock */
    bool hidden;          /* no page has a class entry any more; guarded by lock */
    atomic_bool ready;    /* set with release when the first chunk is there */
};
extern struct mheap mheap;

/* How far apart the tables lie, and how long the last of them may grow. */
#define CLASS_TABLE_MAX ((size_t)2 << 30)
#define RECORDS_MAX     ((size_t)71 << 30)
#define META_MAX        ((size_t)8 << 30)

/* --- grow.c; lock held --- */

/* Maps at least `pages` more at the heap's end and frees them into the bins. */
bool grow_heap(size_t pages);

/* --- marks.c; lock held --- */

/* Maps the table of mark bits for all pages below `end`; false: no memory. */
bool marks_map(size_t end);
/* A new span's entry: nothing marked, nothing to sweep. */
void marks_clear(size_t first_page);

/* --- notes.c; lock held --- */

/* The same for the table of notes; and tells it how far the heap goes now. */
bool notes_map(size_t end);
void notes_set_end(size_t end);

/* --- advice.c --- */

/* Tells the kernel about huge pages under a mapping that is new. */
void advise_mapping(uintptr_t address, size_t size);
/* Puts fresh memory in the place of a mapping of ours. */
bool map_over(uintptr_t address, size_t size);

/* --- ahead.c; lock held --- */

struct page_range {
    size_t from, to;
};
/* Which pages to fetch when `pages` for objects of a size are taken from a run's front. */
struct page_range ahead_plan(size_t run, size_t pages, size_t object);
/* And then, once they were taken. */
void ahead_fetch(struct page_range range);
/* Pages were taken out of a run. */
void ahead_taken(size_t page, size_t end);
/* What was fetched and isn't in use is dirty from now on. */
void ahead_forget(void);
/* What it is now, for checks. */
struct page_range ahead_now(void);

/* --- runs.c; lock held --- */

/* Makes [page, page + pages) a free run, merged with its neighbours. */
void run_insert(size_t page, size_t pages);
/* Takes `pages` out of the run at first page `run`, from `offset` pages into it. */
void run_take(size_t run, size_t offset, size_t pages);
/* The best run for `pages`: the shortest that holds them. 0: none. */
size_t run_find(size_t pages);
/* The longest run. 0: none. */
size_t run_longest(void);
/* How many of the pages are dirty, and making all of them clean or dirty. */
size_t pages_count_dirty(size_t page, size_t pages);
/* Zeroes the dirty ones of a span that is the caller's; no lock need be held. */
void pages_zero_dirty(size_t page, size_t pages);
void pages_set_dirty(size_t page, size_t pages, bool dirty);
GA_INLINE bool page_is_dirty(size_t page)
{
    size_t in_arena = page % ARENA_PAGES;
    uint64_t word = __atomic_load_n(&mheap_arena_of(page)->dirty[in_arena / 64], __ATOMIC_RELAXED);
    return word >> (in_arena % 64) & 1;
}

/* The two figures that mheap_read_levels reads without the lock. */
GA_INLINE void add_in_use(size_t pages)
{
    size_t in_use = mheap.stats.in_use + (pages << HEAP_PAGE_SHIFT);
    GA_STORE_ANY(mheap.stats.in_use, in_use);
    if (in_use > mheap.peak_in_use)
        mheap.peak_in_use = in_use;
}

GA_INLINE void subtract_in_use(size_t pages)
{
    GA_STORE_ANY(mheap.stats.in_use, mheap.stats.in_use - (pages << HEAP_PAGE_SHIFT));
}

/* `pages` may be negative. */
GA_INLINE void add_free_dirty(long pages)
{
    GA_STORE_ANY(mheap.stats.free_dirty, mheap.stats.free_dirty + (size_t)pages * HEAP_PAGE);
}

/* --- dense.c; lock held --- */

/* Pages [page, end) went back. */
void dense_released(size_t page, size_t end);

/* --- large.c; lock held --- */

/* Of moves under way nothing is left in a child. */
void large_reset_in_child(void);

/* Takes `pages` whose address is a multiple of `align` out of a run; 0 where there's no memory. */
size_t take_aligned(size_t pages, size_t align);
/* Takes `pages`, fewer than the window's, with room behind them; 0 where there's no memory. */
size_t take_growing(size_t pages);
/* Makes the span `pages` long, if enough of those behind it are free or the heap ends there. */
bool span_extend(struct span *span, size_t pages);

/* --- spans.c; lock held --- */

/* Takes `pages` for objects of `size` bytes; 0 where there's no memory. */
size_t take_for_objects(size_t pages, size_t size);

/* Turns pages that were taken from a run into a span, and back into a free run. `dirty`: the pages
 * may hold bytes other than zero. */
struct span *span_init(size_t page, size_t pages, enum span_state state, unsigned class);
void span_map_pages(struct span *span, size_t from_page, size_t pages);
void span_destroy(struct span *span, bool dirty);

GA_INLINE uint32_t page_span_load(size_t page)
{
    return __atomic_load_n(&mheap_arena_of(page)->page_span[page % ARENA_PAGES], __ATOMIC_RELAXED);
}

GA_INLINE void page_span_store(size_t page, size_t first)
{
    __atomic_store_n(&mheap_arena_of(page)->page_span[page % ARENA_PAGES], (uint32_t)first,
                     __ATOMIC_RELAXED);
}

GA_INLINE enum span_state span_state_load(const struct span *span)
{
    return (enum span_state)__atomic_load_n(&span->state, __ATOMIC_RELAXED);
}

GA_INLINE void span_state_store(struct span *span, enum span_state state)
{
    __atomic_store_n(&span->state, (uint8_t)state, __ATOMIC_RELAXED);
}

#endif
