// SPDX-License-Identifier: MIT
/*
 * marks.h: the collector's bits, one for each object, beside the spans.
 *
 * A table of its own, mapped only once a collector is switched on: who has none pays for none.
 *
 *   behind the metadata
 *      marks records   one a 64 MB arena: for each page mark bits, scan bits, and when it was swept
 *
 * As with span structs, only a span's first page's entry is used. Bit i stands for object i, bit 0
 * for a large block.
 *
 * The life of a span's entry:
 *   made    all bits clear, `swept` is the round: nothing of it waits to be swept
 *   marking mark bits rise, scan bits follow them
 *   round   mheap_marks.round rises: every older span waits to be swept
 *   swept   what is in use and not marked is freed, the bits are cleared, `swept` is the round
 *
 * While marking goes on beside the program no span ends: spans without objects stay listed, a large
 * block that is freed stays as SPAN_DEAD, until the sweep. What is allocated meanwhile is marked at
 * once, unless `unmarked` says that whatever is in reach at the end will be found then: so what
 * was allocated and dropped meanwhile needn't be looked at, nor be kept.
 *
 * A block must not be looked into while it holds what its last user left there: those pointers may
 * lead to much that is dead, and all that hangs on it. Small ones are soon written over. From
 * EMPTIED_MIN on, what can be taken is zero: a span's pages when it is made, an object when a sweep
 * finds it dead (not when the program frees it). A large block is noscan until it is zero.
 *
 * Whoever takes an object out of a span that waits to be swept sweeps it first (src/mcentral), or
 * the sweep would free what was taken.
 */
#ifndef GOALLOC_MHEAP_MARKS_H
#define GOALLOC_MHEAP_MARKS_H

#include "mheap.h"

#define MARK_WORDS (SPAN_OBJECTS_MAX / 64)

/* Two cache lines: the first is all that marking an object touches. */
struct span_marks {
    uint64_t
        mark[MARK_WORDS]; /* reached; relaxed fetch_or while marking, else the central's lock */
    uint64_t scan[MARK_WORDS]; /* reached and scanned; collector */
};

struct arena_marks {
    struct span_marks spans[ARENA_PAGES];
    uint32_t swept[ARENA_PAGES]; /* the round; the central's or the heap's lock */
    uint8_t queued[ARENA_PAGES]; /* waits in the marker's queue; collector */
    /* In an audit: what it would have freed; the central's or the heap's lock. */
    uint64_t doomed[ARENA_PAGES][MARK_WORDS];
};

#define MARKS_RECORD_SIZE round_up(sizeof(struct arena_marks), (size_t)64 << 10)

struct mheap_marks {
    uintptr_t records;    /* of the arena that the heap begins in; 0: no collector */
    size_t arenas_mapped; /* guarded by the heap's lock */
    uint32_t round;       /* relaxed; written with every allocator lock held */
    bool marking;         /* while the program runs; written with every lock held, read with one */
    bool unmarked;        /* what is allocated meanwhile isn't marked; the same */
    bool audit;           /* nothing is swept: doomed objects are noted; constant once set */
    /* What the heap grows to before the next cycle, if it comes as soon as the last ones did; and
     * until when that counts, of os_nanotime. So much needn't be given back to the kernel. Relaxed.
     */
    atomic_size_t expected;
    _Atomic(uint64_t) expected_until;
    atomic_size_t false_frees; /* doomed objects that were freed; relaxed, a statistic */
};
extern GA_HIDDEN struct mheap_marks mheap_marks;

/* Maps the table for the heap as it is; from then on it grows with the heap. false: no memory. */
bool mheap_marks_enable(bool audit);

GA_INLINE bool mheap_marks_enabled(void)
{
    return GA_LOAD_ANY(mheap_marks.records) != 0;
}

/* Whether what a collector may look into has to be emptied. Without one it needn't. */
#define EMPTIED_MIN ((size_t)4096)
GA_INLINE bool mheap_marks_want_empty(void)
{
    return GA_UNLIKELY(mheap_marks_enabled()) && !mheap_marks.audit;
}

GA_INLINE struct arena_marks *marks_arena(size_t page)
{
    size_t arena = page / ARENA_PAGES - mheap_view.first_arena;
    return (struct arena_marks *)(mheap_marks.records + arena * MARKS_RECORD_SIZE);
}

GA_INLINE struct span_marks *marks_of(size_t first_page)
{
    return &marks_arena(first_page)->spans[first_page % ARENA_PAGES];
}

GA_INLINE uint32_t *marks_swept(size_t first_page)
{
    return &marks_arena(first_page)->swept[first_page % ARENA_PAGES];
}

/* Of a word of bits those that stand for objects first .. last, one of which it has. */
GA_INLINE uint64_t marks_within(size_t word, size_t first, size_t last)
{
    uint64_t bits = ~UINT64_C(0);
    if (word == first / 64)
        bits <<= first % 64;
    if (word == last / 64)
        bits &= ~UINT64_C(0) >> (63 - last % 64);
    return bits;
}

/* While others may be marking. */
GA_INLINE void marks_add(size_t first_page, unsigned word, uint64_t bits)
{
    __atomic_fetch_or(&marks_of(first_page)->mark[word], bits, __ATOMIC_RELAXED);
}

/* Marks what is allocated while the marker is at work, which marks in the same words. */
GA_INLINE void marks_allocated(size_t first_page, unsigned word, uint64_t bits)
{
    if (GA_UNLIKELY(mheap_marks.marking && !mheap_marks.unmarked))
        marks_add(first_page, word, bits);
}

/* While others may be marking. */
GA_INLINE uint64_t marks_read(const struct span_marks *marks, size_t word)
{
    return __atomic_load_n(&marks->mark[word], __ATOMIC_RELAXED);
}

GA_INLINE uint64_t *marks_doomed(size_t first_page)
{
    return marks_arena(first_page)->doomed[first_page % ARENA_PAGES];
}

/* Whether the span waits to be swept. Its lock is held. */
GA_INLINE bool marks_is_unswept(size_t first_page)
{
    return mheap_marks_enabled() && *marks_swept(first_page) != mheap_marks.round;
}

/* --- For the collector, which holds every lock of the allocator and has stopped the world --- */

/* What of the process's address space is the library's own: not a root. */
struct mheap_range {
    uintptr_t start, end;
};
#define MHEAP_OWN_RANGES 5
/* The heap itself is the first; it may have holes of foreign memory, see mheap_each_hole. */
void mheap_own_ranges(struct mheap_range ranges[MHEAP_OWN_RANGES]);
/* Foreign memory that the heap goes round. */
void mheap_each_hole(void (*visit)(struct mheap_range hole, void *context), void *context);

/* Free runs of a megabyte and more, in no order; how many were written down. Lock held. */
unsigned mheap_list_runs(struct mheap_range *ranges, unsigned room);

/* From then on no large block's pages are moved: they would look as if nobody had written them.
 * false: one that is under way takes too long, or it was given up. */
bool mheap_hold_moves(const atomic_bool *give_up);
void mheap_allow_moves(void);

void mheap_acquire_all(void);
void mheap_release_all(void);

/* --- Sweeping; takes the heap's lock --- */

/* What became of a large block that starts at `page`, if one does that waits to be swept. */
struct mheap_swept {
    size_t bytes; /* of a block that nothing reached, not doomed before */
    bool live;    /* something reached it */
    size_t live_bytes;
};
/* Frees it when nothing reached it and `free_it` says so; else notes it as doomed. */
struct mheap_swept mheap_sweep_large(size_t page, bool free_it);

/* Writes down the first pages of up to `room` spans that begin at page *cursor or behind it, moves
 * the cursor behind them, and says how many they are. A span made meanwhile may be missed. */
unsigned mheap_list_spans(size_t *cursor, uint32_t *pages, unsigned room);

#endif
