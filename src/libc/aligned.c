// SPDX-License-Identifier: MIT
/*
 * aligned.c: memalign, aligned_alloc, posix_memalign, valloc, pvalloc.
 *
 * Place: beside malloc.c. Up to a page of alignment a size class serves whose size is a multiple of
 * it, because spans start at a page; beyond that the page heap aligns a large block.
 *
 * What each makes of a bad alignment is what glibc and POSIX say: posix_memalign and aligned_alloc
 * refuse it with EINVAL, memalign rounds it up to a power of two.
 */
#include "../mcentral/mcentral.h"
#include "../os/os.h"
#include "internal.h"
#include "stand_in.h"

static bool is_power_of_two(size_t n)
{
    return n && !(n & (n - 1));
}

/* The smallest class that holds `size` bytes and is a multiple of `align`; 0 when there's none. */
static unsigned aligned_class(size_t align, size_t size)
{
    unsigned class = size_class_of(round_up(size ? size : 1, align));
    while (class && size_classes[class].size & (align - 1))
        class = class + 1 < SIZE_CLASS_COUNT ? class + 1 : 0;
    return class;
}

void *alloc_aligned(size_t align, size_t size)
{
    if (align <= MIN_ALIGN)
        return malloc_inline(size);
    if (size > REQUEST_MAX || align > REQUEST_MAX)
        return out_of_memory();
    unsigned class = align <= HEAP_PAGE && size <= CLASS_SIZE_MAX ? aligned_class(align, size) : 0;
    void *p;
    if (class && mcache_pop(mcache_self(), class, &p))
        return p;
    if (GA_UNLIKELY(stand_in() != NULL))
        return stand_in()->aligned(align, size);
    if (GA_UNLIKELY(hardened_modes & HARDENED_ALL))
        return hardened_aligned(align, size);
    if (class)
        return malloc_of_class(class);
    return large_block(
        alloc_large(size ? size : 1, align > HEAP_PAGE ? align : HEAP_PAGE, CONTENTS_ANY));
}

/* A large block is aligned to a page, whatever the class. */
void *heap_aligned(size_t align, size_t size)
{
    unsigned class = align <= HEAP_PAGE && size <= CLASS_SIZE_MAX ? aligned_class(align, size) : 0;
    void *p = NULL;
    if (!class)
        return large_block(alloc_large(size, align > HEAP_PAGE ? align : HEAP_PAGE, CONTENTS_ANY));
    if (mheap_init())
        mcentral_fill(class, &p, 1);
    return p;
}

GA_EXPORT void *memalign(size_t align, size_t size)
{
    if (align > REQUEST_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    size_t power = MIN_ALIGN;
    while (power < align)
        power <<= 1;
    return alloc_aligned(power, size);
}

GA_EXPORT void *aligned_alloc(size_t align, size_t size)
{
    if (!is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(align, size);
}

/* Its verdict is its return value; POSIX leaves errno open, and glibc doesn't touch *out. */
GA_EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    if (!is_power_of_two(align) || align % sizeof(void *))
        return EINVAL;
    void *p = alloc_aligned(align, size);
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

GA_EXPORT void *valloc(size_t size)
{
    return alloc_aligned(os_page_size(), size);
}

GA_EXPORT void *pvalloc(size_t size)
{
    size_t page = os_page_size();
    if (size > REQUEST_MAX - page)
        return out_of_memory();
    return alloc_aligned(page, round_up(size ? size : 1, page));
}

GA_ALIASES_BEGIN
GA_EXPORT void *__libc_memalign(size_t align, size_t size) __attribute__((alias("memalign")));
GA_EXPORT void *__libc_valloc(size_t size) __attribute__((alias("valloc")));
GA_EXPORT void *__libc_pvalloc(size_t size) __attribute__((alias("pvalloc")));
GA_EXPORT int __posix_memalign(void **out, size_t align, size_t size)
    __attribute__((alias("posix_memalign")));
GA_ALIASES_END
