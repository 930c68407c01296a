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

#include "../mcentral/mcentral.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

/* Whoever links malloc from the static library gets the constructor with it. */
__attribute__((used)) static const char *const linked = &init_linked;

/* A block that realloc makes at least this long is placed where it can go on growing. */
#define GROWING_MIN ((size_t)32 << 10)

/* --- Allocating --- */

void *large_block(struct span *span)
{
    return span ? (void *)span_address(span) : out_of_memory();
}

struct span *alloc_large(size_t size, size_t align)
{
    if (size > REQUEST_MAX || !mheap_init())
        return NULL;
    struct span *span = mheap_alloc_large(pages_for(size), align);
    scavenger_tick();
    if (GA_LIKELY(span != NULL) || size > WINDOW_SIZE)
        return span;
    scavenger_drain();
    return mheap_alloc_large(pages_for(size), align);
}

static void *malloc_large(size_t size)
{
    return large_block(alloc_large(size, HEAP_PAGE));
}

/* Everything of the class is in use, and no page is to be had: but other classes may hold some. */
GA_COLD static void *malloc_drained(unsigned class)
{
    scavenger_drain();
    void *p = mcache_alloc_slow(class);
    return p ? p : out_of_memory();
}

GA_NOINLINE void *malloc_slow(size_t size)
{
    if (GA_UNLIKELY(size > CLASS_SIZE_MAX))
        return malloc_large(size);
    unsigned class = size_class_of(size);
    void *p;
    if (GA_LIKELY(mcache_pop(mcache_self(), class, &p)))
        return p;
    p = mcache_alloc_slow(class);
    scavenger_tick();
    return GA_LIKELY(p != NULL) ? p : malloc_drained(class);
}

GA_EXPORT void *malloc(size_t size)
{
    return malloc_inline(size);
}

/* From this size on calloc looks for memory that is zero already, rather than touch it. */
#define ZERO_MIN ((size_t)4096)

/*
 * A block whose pages were never touched, if there's no free one at hand that was: to write zeros
 * over fresh pages would fetch them in. NULL: zero one of malloc's.
 */
static void *calloc_fresh(size_t size)
{
    if (size > CLASS_SIZE_MAX) {
        void *p = malloc_large(size);
        if (p)
            mheap_zero_fresh(mheap_span_of(p));
        return p;
    }
    unsigned class = size_class_of(size);
    if (mcache_has(class) || !mheap_init() || mcentral_has_full(class))
        return NULL;
    void *p = mcentral_take_zero(class);
    scavenger_tick();
    return p;
}

GA_EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (GA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return out_of_memory();
    if (GA_UNLIKELY(bytes > ZERO_MIN)) {
        void *fresh = calloc_fresh(bytes);
        if (fresh || bytes > CLASS_SIZE_MAX)
            return fresh;
    }
    void *p = malloc_inline(bytes);
    if (GA_LIKELY(p != NULL))
        memset(p, 0, bytes);
    return p;
}

/* --- Freeing --- */

GA_NOINLINE void free_slow(void *p, unsigned class)
{
    if (GA_LIKELY(class != 0)) {
        mcache_free_slow(p, class);
        scavenger_tick();
        return;
    }
    if (!p)
        return;
    struct span *span = mheap_span_of(p);
    if (GA_UNLIKELY(!span || span->class != 0 || (uintptr_t)p != span_address(span)))
        bad_pointer(p, "free");
    mheap_free_large(span);
    scavenger_tick();
}

GA_EXPORT void free(void *p)
{
    free_inline(p);
}

/* --- Resizing --- */

/* The span of a large block, which p must be. */
static struct span *large_span(void *p, const char *function)
{
    struct span *span = mheap_span_of(p);
    if (GA_UNLIKELY(!span || span->class != 0 || (uintptr_t)p != span_address(span)))
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

/* A block that grows out of its size class will as a rule grow on, by a little each time: it gets a
 * quarter more than it had, so that it moves half as often. */
static void *grow_small(void *p, size_t old, size_t size)
{
    void *new = NULL;
    if (size < old + old / 4)
        size = old + old / 4;
    if (size >= GROWING_MIN)
        new = large_block(mheap_alloc_growing(pages_for(size)));
    if (!new)
        new = malloc_inline(size);
    return copy_and_free(p, old, new);
}

static void *realloc_large(void *p, size_t size)
{
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
    scavenger_tick();
    return large_block(resized);
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
    size_t class = mheap_class_of(p);
    if (class == 0)
        return realloc_large(p, size);
    size_t old = size_classes[class].size;
    if (size > old)
        return grow_small(p, old, size);
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

GA_EXPORT size_t malloc_usable_size(void *p)
{
    if (!p)
        return 0;
    size_t class = mheap_class_of(p);
    if (class)
        return size_classes[class].size;
    return (size_t)large_span(p, "malloc_usable_size")->pages << HEAP_PAGE_SHIFT;
}

/* C23: the size and the alignment are hints that this allocator doesn't need. */
GA_EXPORT void free_sized(void *p, size_t size)
{
    (void)size;
    free_inline(p);
}

GA_EXPORT void free_aligned_sized(void *p, size_t align, size_t size)
{
    (void)align;
    (void)size;
    free_inline(p);
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
