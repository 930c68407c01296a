// SPDX-License-Identifier: MIT
/*
 * mheap.h: the page heap. It hands out spans of pages and knows which span a page belongs to.
 *
 * Two stretches of address space, chosen at random at start and far from each other. Nothing of
 * them is reserved; each part is mapped piece by piece.
 *
 *   the window, from 33 to 49 GB upward      what malloc returns, and nothing else
 *   the tables, from 16 to 40 TB upward
 *      class table    two bytes a page, from address 0 on: page number -> size class
 *      arena records  one a 64 MB arena: page -> span, dirty bits, span structs
 *      metadata       what mheap_meta_alloc gives: caches and magazines
 *
 * The window lies so low because the class table begins with the page of address 0: its first 8
 * to 12 MB describe what isn't ours, and are never written. In return a pointer's class is found
 * without subtracting a base: one compare with the heap's end and one load, for any pointer,
 * NULL too. 33 GB leaves java's compressed pointers, and whatever else wants 32 bits or a little
 * more, their room.
 *
 * Life of a page: unmapped -> free -> in use -> free -> ... It is never unmapped again: its memory
 * is released instead.
 */
#ifndef GOALLOC_MHEAP_H
#define GOALLOC_MHEAP_H

#include "../goalloc.h"
#include "../os/lock.h"
#include "../size_classes/size_classes.h"

enum span_state {
    SPAN_NONE = 0,  /* not the first page of anything */
    SPAN_FREE,      /* the first page of a free run */
    SPAN_UNSETTLED, /* nobody's, until its pages can be mapped afresh (large.c) */
    SPAN_DEAD,      /* a large block, freed while the collector marks; it ends with the sweep */
    SPAN_SMALL,     /* objects of a size class; here begins what is in use */
    SPAN_LARGE,     /* one block without a class */
    SPAN_HARDENED,  /* blocks of src/hardened's; no class entry, so every call comes to a slow path
                     */
    SPAN_GUARDED,   /* src/hardened's pool of sampled blocks; the same */
};

/*
 * What is known of the run or span that starts at a page. 128 bytes: two cache lines, the second
 * one the allocation bits.
 */
struct span {
    uint32_t page;  /* its first page's number; written under heap lock */
    uint32_t pages; /* its length; heap lock; of a span in use: constant, or its block's owner */
    uint32_t next;  /* list of free runs (heap lock) or of spans with free objects (central lock) */
    uint32_t prev;  /* the same list's other way; 0 is none */
    uint8_t state;  /* enum span_state; heap lock; atomic because bad pointers are looked up */
    uint8_t class;  /* size class; constant while in use */
    bool moved;     /* large: its pages were moved here, and its mapping won't merge; owner */
    bool listed;    /* small: it is on its central's list; central lock */
    uint16_t objects; /* small: how many fit; constant while in use */
    uint16_t used;    /* small: bits set, those past the last object aside; central lock */
    uint32_t inverse; /* small: for dividing by the size; constant while in use */
    uint32_t size;    /* small: the class's size; constant while in use */
    uint64_t zero;    /* small, at most 64 objects: not yet given out, and zero; central lock */
    void *owner;      /* of whatever page: see mheap_owner_of; constant while in use */
    union {
        bool bare;      /* free run: the span structs of its other pages were released; heap lock */
        uint64_t holes; /* small: its OS pages that went back, by number; central lock */
    };
    bool noscan;   /* the collector doesn't look inside; constant once it is handed out */
    bool typed;    /* a type says where pointers are; set once, with release, while in use */
    uint32_t type; /* large and typed: its number; constant once `typed` is set */
    uint64_t bits[SPAN_OBJECTS_MAX / 64]; /* set: with a user or in a magazine; central lock */
};

_Static_assert(sizeof(struct span) == 128, "a span is two cache lines");

/* What may lie on a huge page. */
#define MHEAP_PART ((size_t)2 << 20)
#define PART_PAGES (MHEAP_PART >> HEAP_PAGE_SHIFT)

/* What describes one arena. Mapped as a whole when the heap first reaches the arena. */
struct arena {
    /* page -> its span's first page. Stale for a page inside a free run: check against the span. */
    uint32_t page_span[ARENA_PAGES];
    /* Whether a page may hold bytes other than zero: of a free page, now; of a page in use, when it
     * was allocated. Written under heap lock; atomic because a span's owner reads its own pages'.
     */
    uint64_t dirty[ARENA_PAGES / 64];
    struct span spans[ARENA_PAGES];         /* by first page */
    int8_t looks[ARENA_PAGES / PART_PAGES]; /* of each part; dense.c's, under the heap's lock */
};

#define ARENA_RECORD_SIZE round_up(sizeof(struct arena), (size_t)64 << 10)

/*
 * Where things are. What a free reads of every pointer comes first. All constant once set but
 * `end`, which only grows, and is stored before any pointer below it is handed out. It counts units
 * of MIN_ALIGN rather than bytes: see mheap_class_offset_of.
 */
struct mheap_view {
    const uint16_t *classes; /* the class table: each page's class * SIZE_CLASS_OFFSET */
    size_t end;              /* the heap's end in units; stored with release */
    size_t start;            /* the heap's first page */
    uintptr_t records;       /* the record of the arena that `start` lies in */
    size_t first_arena;      /* that arena's number: its address / 64 MB */
};
extern GA_HIDDEN struct mheap_view mheap_view;

#define PAGE_UNITS_SHIFT (HEAP_PAGE_SHIFT - 4)
_Static_assert(MIN_ALIGN == 16, "PAGE_UNITS_SHIFT and mheap_class_offset_of take it so");

/* --- Looking up an address; no lock. --- */

/*
 * The size class of the page under p, as an offset; 0 also for what isn't ours and for what isn't
 * aligned. The address is rotated by four bits: those of a misaligned pointer become its highest,
 * so that one compare refuses both.
 */
GA_INLINE size_t mheap_class_offset_of(const void *p)
{
    size_t unit = (uintptr_t)p >> 4 | (uintptr_t)p << 60;
    if (GA_UNLIKELY(unit >= GA_LOAD_ANY(mheap_view.end)))
        return 0;
    return __atomic_load_n(&mheap_view.classes[unit >> PAGE_UNITS_SHIFT], __ATOMIC_RELAXED);
}

GA_INLINE size_t mheap_class_of(const void *p)
{
    return mheap_class_offset_of(p) / SIZE_CLASS_OFFSET;
}

/* The page behind the heap's last. */
GA_INLINE size_t mheap_end(void)
{
    return __atomic_load_n(&mheap_view.end, __ATOMIC_ACQUIRE) >> PAGE_UNITS_SHIFT;
}

/* Whether p lies between the heap's first page and its end. */
GA_INLINE bool mheap_spans_address(const void *p)
{
    size_t page = (uintptr_t)p >> HEAP_PAGE_SHIFT, end = mheap_end();
    return page < end && page >= mheap_view.start;
}

GA_INLINE uintptr_t mheap_page_address(size_t page)
{
    return page << HEAP_PAGE_SHIFT;
}

GA_INLINE struct arena *mheap_arena_of(size_t page)
{
    size_t arena = page / ARENA_PAGES - mheap_view.first_arena;
    return (struct arena *)(mheap_view.records + arena * ARENA_RECORD_SIZE);
}

GA_INLINE struct span *mheap_span_at(size_t first_page)
{
    return &mheap_arena_of(first_page)->spans[first_page % ARENA_PAGES];
}

GA_INLINE uintptr_t span_address(const struct span *span)
{
    return mheap_page_address(span->page);
}

/* The span in use that covers p, or NULL. p may be any address. */
struct span *mheap_span_of(const void *p);
/* The same, in line. */
GA_INLINE struct span *mheap_find_span(const void *p)
{
    if (!mheap_spans_address(p))
        return NULL;
    size_t page = (uintptr_t)p >> HEAP_PAGE_SHIFT;
    size_t first =
        __atomic_load_n(&mheap_arena_of(page)->page_span[page % ARENA_PAGES], __ATOMIC_RELAXED);
    if (!first)
        return NULL;
    struct span *span = mheap_span_at(first);
    bool in_use = __atomic_load_n(&span->state, __ATOMIC_RELAXED) >= SPAN_SMALL;
    return in_use && page - span->page < span->pages ? span : NULL;
}

/* What p is, for the report of a bad pointer. */
enum mheap_place {
    PLACE_FOREIGN, /* not in the heap */
    PLACE_FREE,    /* in pages that no span uses */
    PLACE_SMALL,   /* in a span of objects */
    PLACE_LARGE,   /* in a large block */
    PLACE_OWNED,   /* in a span of src/hardened's */
};
enum mheap_place mheap_place_of(const void *p);

/* --- Spans of objects; called with the class's central locked. --- */

/* A span for the class, no bit set but those past the last object; NULL when out of memory. Its
 * `zero` bits are set if all its pages are clean. */
struct span *mheap_alloc_span(unsigned class);
/* The same for objects without pointers: its pages' class entries stay 0. */
struct span *mheap_alloc_noscan_span(unsigned class);
/* The same for objects with a type. */
struct span *mheap_alloc_typed_span(unsigned class);
/* The span has no bit set and is on no list. */
void mheap_free_span(struct span *span);

/* --- Large blocks; any size that is a whole number of pages. --- */

/* What a block holds when it is handed out. */
enum mheap_contents {
    CONTENTS_ANY,         /* whatever its last user left there; zeros where a collector may look */
    CONTENTS_ZERO,        /* zeros */
    CONTENTS_NO_POINTERS, /* whatever, and no collector looks inside, then or later */
};

/* A block of `pages`, its address a multiple of `align` (a power of two, at least HEAP_PAGE). NULL
 * when out of memory. */
struct span *mheap_alloc_large(size_t pages, size_t align, enum mheap_contents contents);
/* The same, of any contents, for a block that is expected to grow: placed where many free pages
 * follow. */
struct span *mheap_alloc_growing(size_t pages);
/* Makes a large block longer or shorter. Where it can't grow in place its pages are moved, without
 * copying where the kernel can. Returns its span, or NULL with the block as it was. */
struct span *mheap_resize_large(struct span *span, size_t pages);
void mheap_free_large(struct span *span);
/* From here on the block's type says which of its words may be pointers. */
void mheap_set_type(struct span *span, uint32_t type);

/* --- Spans for src/hardened, which keeps its own books of what is in them. --- */

/* As mheap_alloc_large, in state SPAN_HARDENED or SPAN_GUARDED. */
struct span *mheap_alloc_owned(size_t pages, size_t align, enum span_state state, void *owner);
/* The same, aligned to a page, for objects of `size` bytes, of which all will soon be touched. */
struct span *mheap_alloc_owned_objects(size_t pages, size_t size, enum span_state state,
                                       void *owner);
/* The same, aligned to a page, placed where many free pages follow; and taking some of these. */
struct span *mheap_alloc_owned_growing(size_t pages, enum span_state state, void *owner);
bool mheap_extend_owned(struct span *span, size_t pages);
/* Has mheap_owner_of find the span's owner from each of these pages, or, with NULL, no more: before
 * the span is freed. From its first page it is found anyway. */
void mheap_set_owner(size_t page, size_t pages, void *owner);
/* The owner of a page for which one was set; NULL for any other, and for what isn't the heap's. */
GA_INLINE void *mheap_owner_of(const void *p)
{
    if (GA_UNLIKELY(!mheap_spans_address(p)))
        return NULL;
    return __atomic_load_n(&mheap_span_at((uintptr_t)p >> HEAP_PAGE_SHIFT)->owner,
                           __ATOMIC_RELAXED);
}
/* The same, of a page for which one was set. */
GA_INLINE void *mheap_known_owner_of(const void *p)
{
    return __atomic_load_n(&mheap_span_at((uintptr_t)p >> HEAP_PAGE_SHIFT)->owner,
                           __ATOMIC_RELAXED);
}
/* `dirty`: the pages may hold bytes other than zero. */
void mheap_free_owned(struct span *span, bool dirty);
/* Every span of objects that was handed out so far loses its class entries: frees of its objects
 * come to the slow path from now on. Once, before other threads run. */
void mheap_hide_classes(void);
/* Whether all of a span's pages were zero when it was allocated. */
bool mheap_was_clean(const struct span *span);

/* Zeroes those pages of a span that weren't zero when it was allocated. Only before its first use.
 */
void mheap_zero_fresh(struct span *span);

/* --- Giving memory back. --- */

/* Releases free dirty pages, the longest runs first, until `bytes` went. Returns how many did. */
size_t mheap_release(size_t bytes);

/* A stretch of a span of objects in which none is in use goes back; `fresh` bytes of it hadn't
 * before. The central that the span belongs to is locked. false: the kernel refused. */
bool mheap_give_hole(uintptr_t address, size_t size, size_t fresh);
void mheap_take_holes(size_t bytes);

/* --- Huge pages. One thread at a time. --- */

/* From *at on, 0: from the start, the next part that is worth a huge page: all of it is in use, as
 * at the look before. 0: none is left, and *at is 0. */
uintptr_t mheap_find_dense(size_t *at);
/* Whether the kernel has put it on one. */
void mheap_note_collapse(uintptr_t part, bool done);

/* --- Memory for this library's own structures: zeroed, aligned to 64, never given back. --- */
void *mheap_meta_alloc(size_t size);

/* --- Life. --- */

/* Maps the first chunk; false when even that isn't to be had. Idempotent, any thread. */
bool mheap_init(void);
/* Once, when the options are known: tells the kernel about huge pages under what is mapped. */
void mheap_advise(void);
void mheap_lock_for_fork(void);
void mheap_unlock_after_fork(void);
void mheap_reset_in_child(void);

/* How much is held, read without the lock: each figure is true of some moment. */
struct mheap_levels {
    size_t in_use, free_dirty;
    size_t holes; /* of in_use: has no memory */
};
void mheap_read_levels(struct mheap_levels *out);
/* The same for the library's own structures: metadata handed out and arena records, but not the
 * class table, of which little is touched. */
size_t mheap_own_bytes(void);
/* The most that was in use since the last call. */
size_t mheap_take_peak(void);

/* --- For statistics and checks. --- */
struct mheap_stats {
    size_t mapped;     /* bytes of heap mapped */
    size_t in_use;     /* bytes in spans */
    size_t holes;      /* bytes of them that went back, and weren't taken again */
    size_t free_dirty; /* bytes of free pages that have memory */
    size_t large;      /* bytes in large blocks */
    size_t large_blocks;
    size_t meta;                /* bytes mapped for metadata, tables and records */
    size_t moves;               /* large blocks that were moved without copying */
    size_t moves_refused;       /* copied, since the kernel would not split a mapping */
    uint64_t large_allocs;      /* large blocks allocated, ever ... */
    uint64_t large_alloc_bytes; /* ... and their bytes, with what blocks grew by in place */
    size_t released;            /* bytes given back to the kernel since the start */
    size_t collapsed;           /* bytes put on huge pages, ever */
    size_t span_bytes; /* of meta: span structs, in use or not; only mheap_read_stats sets it */
};
void mheap_read_stats(struct mheap_stats *out);
/* Bytes that have memory, by the kernel's account of each page. Some system calls. */
struct mheap_resident {
    size_t heap, metadata;
};
void mheap_read_resident(struct mheap_resident *out);
/* Aborts with a line when an invariant is broken. */
void mheap_check(void);

#endif
