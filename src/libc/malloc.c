// SPDX-License-Identifier: MIT
/*
 * malloc.c: malloc, calloc, realloc, reallocarray, free, malloc_usable_size.
 *
 * Place: the program's way in. Calls src/mcache for blocks up to 1 MB and src/mheap for larger
 * ones.
 *
 * What glibc promises and binaries expect:
 *   - every block is aligned to 16, whatever its size; a request of 0 bytes gets a block of its
 * own;
 *   - free keeps errno; whatever fails for want of memory sets it to ENOMEM and changes nothing;
 *   - realloc(p, 0) frees p and returns NULL.
 *
 * Invariants: the fast paths make no atomic read-modify-write and no call, and free's writes
 * nothing into the block (tools/lint/hotpath counts their instructions). Locking: none here. Fork:
 * see fork.c. Signals: as with any malloc, not from a handler.
 */
#include <string.h>

#include "../gc/gc.h"
#include "../gc/types.h"
#include "../mcentral/mcentral.h"
#include "../os/os.h"
#include "../scavenger/scavenger.h"
#include "internal.h"
#include "stand_in.h"

/* Whoever links malloc from the static library gets the constructor with it. */
__attribute__((used)) static const char *const linked = &init_linked;

void after_slow_path(size_t allocated)
{
    scavenger_tick();
    gc_tick(allocated);
}

/* --- Allocating --- */

void *large_block(struct span *span)
{
    return span ? (void *)span_address(span) : out_of_memory();
}

struct span *alloc_large(size_t size, size_t align, enum mheap_contents contents)
{
    if (size > REQUEST_MAX || !mheap_init())
        return NULL;
    struct span *span = mheap_alloc_large(pages_for(size), align, contents);
    after_slow_path(size);
    if (GA_LIKELY(span != NULL) || size > WINDOW_SIZE)
        return span;
    scavenger_drain();
    return mheap_alloc_large(pages_for(size), align, contents);
}

static void *malloc_large(size_t size)
{
    return large_block(alloc_large(size, HEAP_PAGE, CONTENTS_ANY));
}

/* Everything of the class is in use, and no page is to be had: but other classes may hold some. */
GA_COLD static void *malloc_drained(unsigned class)
{
    scavenger_drain();
    void *p = mcache_alloc_slow(class);
    return p ? p : out_of_memory();
}

/* Where some blocks are guarded: a magazine's worth of mallocs has passed, or a block without a
 * class is wanted. NULL: an ordinary one will do. */
static void *malloc_sampled(size_t size, unsigned class)
{
    unsigned passed = class ? mcache_capacity(class) : 1;
    return hardened_sample(size, passed ? passed : 1);
}

/* While it looks, others, and the mallocs that it makes itself, do without. */
GA_COLD static void look_for_unwinder(const void *caller)
{
    __atomic_and_fetch(&hardened_modes, ~HARDENED_UNWINDER, __ATOMIC_RELAXED);
    if (!unwind_open(caller))
        __atomic_or_fetch(&hardened_modes, HARDENED_UNWINDER, __ATOMIC_RELAXED);
}

static void *alloc_of_class(unsigned class)
{
    void *p = mcache_alloc_slow(class);
    after_slow_path(mcache_refill_bytes(class));
    return GA_LIKELY(p != NULL) ? p : malloc_drained(class);
}

void *malloc_of_class(unsigned class)
{
    void *p;
    return mcache_pop(mcache_self(), class, &p) ? p : alloc_of_class(class);
}

/* The heap's own, where no mode that is on takes it up. */
GA_INLINE void *malloc_unhardened(size_t size, unsigned class)
{
    return GA_LIKELY(class != 0) ? alloc_of_class(class) : malloc_large(size);
}

/* Where every block is hardened, no call gets further than this. */
GA_INLINE bool all_is_hardened(void)
{
    return (hardened_modes & (HARDENED_ALL | HARDENED_UNWINDER)) == HARDENED_ALL;
}

GA_NOINLINE void *malloc_declined(size_t size, const void *caller)
{
    if (GA_UNLIKELY(all_is_hardened()) && !os_is_loader(caller))
        return hardened_malloc(size);
    return malloc_slow(size, caller);
}

static void *malloc_beyond_cache(size_t size, unsigned class, const void *caller)
{
    if (GA_UNLIKELY(stand_in() != NULL))
        return stand_in()->malloc(size);
    if (GA_UNLIKELY(hardened_modes)) {
        if (GA_UNLIKELY(hardened_modes & HARDENED_UNWINDER))
            look_for_unwinder(caller);
        if (hardened_modes & HARDENED_ALL)
            return hardened_malloc(size);
        void *p = malloc_sampled(size, class);
        if (p)
            return p;
    }
    return malloc_unhardened(size, class);
}

GA_COLD static void *malloc_for_loader(size_t size, unsigned class, const void *caller)
{
    os_set_serves_loader(caller);
    void *p = malloc_beyond_cache(size, class, caller);
    os_set_serves_loader(NULL);
    return p;
}

/* Without a thread cache every call comes here, and looks for the stand-in. */
GA_NOINLINE void *malloc_slow(size_t size, const void *caller)
{
    unsigned class = size_class_of(size);
    void *p;
    if (GA_LIKELY(class && mcache_pop(mcache_self(), class, &p)))
        return p;
    if (GA_UNLIKELY(os_is_loader(caller)))
        return malloc_for_loader(size, class, caller);
    return malloc_beyond_cache(size, class, caller);
}

GA_EXPORT void *malloc(size_t size)
{
    return malloc_inline(size);
}

/* From this size on calloc looks for memory that is zero already, rather than touch it. */
#define ZERO_MIN ((size_t)4096)

static void *zeroed(void *p, size_t size)
{
    return p ? memset(p, 0, size) : NULL;
}

/*
 * A block whose pages were never touched, if there's no free one at hand that was: to write zeros
 * over fresh pages would fetch them in. NULL: zero one of malloc's.
 */
static void *calloc_fresh(size_t size)
{
    if (GA_UNLIKELY(stand_in() != NULL))
        return zeroed(stand_in()->malloc(size), size);
    if (GA_UNLIKELY(hardened_modes & HARDENED_ALL))
        return hardened_calloc(size);
    if (size > CLASS_SIZE_MAX)
        return large_block(alloc_large(size, HEAP_PAGE, CONTENTS_ZERO));
    unsigned class = size_class_of(size);
    if (mcache_has(class) || !mheap_init() || mcentral_has_full(class))
        return NULL;
    void *p = mcentral_take_zero(class);
    after_slow_path(size_classes[class].size);
    return p;
}

static void *calloc_fresh_for(size_t size, const void *caller)
{
    if (GA_LIKELY(!os_is_loader(caller)))
        return calloc_fresh(size);
    os_set_serves_loader(caller);
    void *p = calloc_fresh(size);
    os_set_serves_loader(NULL);
    return p;
}

GA_EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (GA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return out_of_memory();
    if (GA_UNLIKELY(bytes > ZERO_MIN)) {
        void *fresh = calloc_fresh_for(bytes, __builtin_return_address(0));
        if (fresh || bytes > CLASS_SIZE_MAX)
            return fresh;
    }
    return zeroed(malloc_inline(bytes), bytes);
}

/* --- Freeing --- */

static bool is_large_start(const struct span *span, const void *p)
{
    return span && span->state == SPAN_LARGE && (uintptr_t)p == span_address(span);
}

/*
 * What has no class and isn't a large block: src/hardened's; where that serves all, a block from
 * before it did, which goes back to its span; or a mistake.
 */
static void free_other(struct span *span, void *p, size_t size, const char *function)
{
    if (is_noscan(span) || (is_typed(span) && span->class))
        apart_free(span, p);
    else if (GA_LIKELY(span && span->state >= SPAN_HARDENED))
        hardened_free(span, p, size, function);
    else if (span && span->state == SPAN_SMALL && hardened_modes & HARDENED_ALL)
        mcentral_drain(span->class, &p, 1);
    else
        bad_pointer(p, function);
}

void heap_free_large(void *p)
{
    struct span *span = mheap_find_span(p);
    if (GA_UNLIKELY(!is_large_start(span, p))) {
        free_other(span, p, SIZE_UNKNOWN, "free");
        return;
    }
    mheap_free_large(span);
    after_slow_path(0);
}

void free_unclassed(void *p)
{
    if (p)
        heap_free_large(p);
}

GA_NOINLINE void free_slow(void *p, unsigned class)
{
    if (GA_UNLIKELY(stand_in() != NULL)) {
        stand_in()->free(p, class);
        return;
    }
    if (GA_LIKELY(class != 0)) {
        mcache_free_slow(p, class);
        after_slow_path(0);
        return;
    }
    free_unclassed(p);
}

static void free_any(void *p)
{
    if (GA_UNLIKELY(all_is_hardened()))
        hardened_free_any(p);
    else
        free_slow(p, (unsigned)mheap_class_of(p));
}

GA_COLD static void free_for_loader(void *p, const void *caller)
{
    os_set_serves_loader(caller);
    free_any(p);
    os_set_serves_loader(NULL);
}

GA_NOINLINE void free_declined(void *p, const void *caller)
{
    if (GA_UNLIKELY(os_may_be_loader(caller)))
        free_for_loader(p, caller);
    else
        free_any(p);
}

GA_COLD void free_sized_slow(void *p, size_t size)
{
    if (!p)
        return;
    unsigned class = (unsigned)mheap_class_of(p);
    if (stand_in() != NULL) {
        stand_in()->free(p, class);
        return;
    }
    if (class)
        bad_size(p, size_classes[class].size, size);
    struct span *span = mheap_find_span(p);
    if (!is_large_start(span, p)) {
        free_other(span, p, size, "free");
        return;
    }
    size_t whole = (size_t)span->pages << HEAP_PAGE_SHIFT;
    if (size > whole)
        bad_size(p, whole, size);
    free_slow(p, 0);
}

GA_EXPORT void free(void *p)
{
    free_inline(p);
}

/* --- Resizing --- */

/* The span of a large block, which p must be. */
static struct span *large_span(void *p, const char *function)
{
    struct span *span = mheap_find_span(p);
    if (GA_UNLIKELY(!is_large_start(span, p)))
        bad_pointer(p, function);
    return span;
}

static void *copy_and_free(void *old, size_t bytes, void *new)
{
    if (!new)
        return out_of_memory();
    memcpy(new, old, bytes);
    free_inline(old);
    return new;
}

static void *large_growing(size_t size)
{
    struct span *span = mheap_alloc_growing(pages_for(size));
    scavenger_tick();
    return large_block(span);
}

/* A block that grows out of its size class will as a rule grow on, by a little each time: it gets a
 * quarter more than it had, so that it moves half as often. */
static void *grow_small(void *p, size_t old, size_t size)
{
    void *new = NULL;
    if (size > old && size < old + old / 4)
        size = old + old / 4;
    if (size >= GROWING_MIN)
        new = large_growing(size);
    if (!new)
        new = malloc_inline(size);
    return copy_and_free(p, old < size ? old : size, new);
}

static void *grow_small_for(void *p, size_t old, size_t size, const void *caller)
{
    if (GA_LIKELY(!os_is_loader(caller)))
        return grow_small(p, old, size);
    os_set_serves_loader(caller);
    void *new = grow_small(p, old, size);
    os_set_serves_loader(NULL);
    return new;
}

/* The size of a block whose pages have no class entry though it isn't large; 0: there's none. */
static size_t size_of_other(void *p, const char *function)
{
    struct span *span = mheap_find_span(p);
    if (span && span->state >= SPAN_HARDENED)
        return hardened_usable_size(span, p, function);
    bool early = span && span->state == SPAN_SMALL && hardened_modes & HARDENED_ALL;
    return early && ((uintptr_t)p - span_address(span)) % span->size == 0 ? span->size : 0;
}

static bool is_other(const void *p)
{
    const struct span *span = mheap_find_span(p);
    return span && (span->state >= SPAN_HARDENED ||
                    (span->state == SPAN_SMALL && hardened_modes & HARDENED_ALL));
}

static void *realloc_other(void *p, size_t size)
{
    struct span *span = mheap_find_span(p);
    size_t old = size_of_other(p, "realloc");
    if (!old && span->state == SPAN_SMALL)
        bad_pointer(p, "realloc");
    if (span->state == SPAN_HARDENED && hardened_resize(span, p, size))
        return p;
    void *new =
        hardened_modes &HARDENED_ALL ? hardened_malloc_growing(old, size) : malloc_inline(size);
    if (!new &&size <= old && span->state >= SPAN_HARDENED)
        hardened_shrink(span, p, old, size);
    if (!new)
        return size <= old ? p : NULL;
    memcpy(new, p, old < size ? old : size);
    free_other(span, p, SIZE_UNKNOWN, "realloc");
    return new;
}

void *realloc_large(void *p, size_t size)
{
    if (is_other(p))
        return realloc_other(p, size);
    struct span *span = large_span(p, "realloc");
    size_t old = (size_t)span->pages << HEAP_PAGE_SHIFT;
    if (size < GROWING_MIN && size < old / 2) {
        void *small = malloc_inline(size);
        return small ? copy_and_free(p, size, small) : p;
    }
    size_t pages = pages_for(size);
    if (pages == span->pages)
        return p;
    struct span *resized = mheap_resize_large(span, pages);
    if (GA_UNLIKELY(!resized && size <= WINDOW_SIZE)) {
        scavenger_drain();
        resized = mheap_resize_large(span, pages);
    }
    after_slow_path(0);
    return large_block(resized);
}

static void *realloc_unclassed(void *p, size_t size)
{
    struct span *span = mheap_span_of(p);
    if (GA_UNLIKELY(is_noscan(span)))
        return noscan_realloc(span, p, size);
    return GA_UNLIKELY(is_typed(span)) ? typed_realloc(span, p, size) : realloc_large(p, size);
}

GA_EXPORT void *realloc(void *p, size_t size)
{
    if (!p)
        return malloc_inline(size);
    if (size == 0) {
        free_inline(p);
        return NULL;
    }
    if (GA_UNLIKELY(size > REQUEST_MAX))
        return out_of_memory();
    if (GA_UNLIKELY(stand_in() != NULL))
        return stand_in()->realloc(p, size);
    size_t class = mheap_class_of(p);
    if (class == 0)
        return realloc_unclassed(p, size);
    if (GA_UNLIKELY(mcache_freed_last(class, p)))
        bad_freed(p, (unsigned)class, "realloc");
    size_t old = size_classes[class].size;
    if (size + size_class_padding > old)
        return grow_small_for(p, old, size, __builtin_return_address(0));
    /* A block that shrinks to less than half moves, if there's something to be had by it. */
    if (size >= old / 2 || size_class_of(size) == class)
        return p;
    void *new = malloc_inline(size);
    return new ? copy_and_free(p, size, new) : p;
}

GA_EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return out_of_memory();
    return realloc(p, bytes);
}

static size_t usable_size_of_other(void *p)
{
    size_t size = size_of_other(p, "malloc_usable_size");
    if (!size && mheap_find_span(p)->state == SPAN_SMALL)
        bad_pointer(p, "malloc_usable_size");
    return size;
}

size_t heap_usable_size(void *p)
{
    size_t class = mheap_class_of(p);
    if (class && GA_UNLIKELY(mcache_freed_last(class, p)))
        bad_freed(p, (unsigned)class, "malloc_usable_size");
    if (class)
        return size_classes[class].size;
    const struct span *span = mheap_span_of(p);
    if (GA_UNLIKELY(is_noscan(span)))
        return span->size;
    if (GA_UNLIKELY(is_typed(span) && span->class))
        return span->size - TYPE_TAG;
    if (is_other(p))
        return usable_size_of_other(p);
    return (size_t)large_span(p, "malloc_usable_size")->pages << HEAP_PAGE_SHIFT;
}

GA_EXPORT size_t malloc_usable_size(void *p)
{
    if (!p)
        return 0;
    if (GA_UNLIKELY(stand_in() != NULL))
        return stand_in()->usable_size(p);
    return heap_usable_size(p);
}

/* C23: a size larger than the block is a mistake that every mode reports; one that isn't exactly
 * what was asked for, only src/hardened can tell: realloc leaves blocks in larger classes. */
GA_EXPORT void free_sized(void *p, size_t size)
{
    free_sized_inline(p, size);
}

GA_EXPORT void free_aligned_sized(void *p, size_t align, size_t size)
{
    (void)align;
    free_sized_inline(p, size);
}

/* --- The names by which glibc's own parts, and some programs, call these --- */

GA_ALIASES_BEGIN
GA_EXPORT void cfree(void *p) __attribute__((alias("free")));
GA_EXPORT void *__libc_malloc(size_t size) __attribute__((alias("malloc")));
GA_EXPORT void *__libc_calloc(size_t count, size_t size) __attribute__((alias("calloc")));
GA_EXPORT void *__libc_realloc(void *p, size_t size) __attribute__((alias("realloc")));
GA_EXPORT void *__libc_reallocarray(void *p, size_t count, size_t size)
    __attribute__((alias("reallocarray")));
GA_EXPORT void __libc_free(void *p) __attribute__((alias("free")));
GA_EXPORT void __libc_cfree(void *p) __attribute__((alias("free")));
GA_ALIASES_END
