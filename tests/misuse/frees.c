// SPDX-License-Identifier: MIT
//
// Mistakes of free, realloc and malloc_usable_size: twice, not a block, another size.

#include "cases.h"

/* --- Twice --- */

static void twice(size_t size, bool wrong)
{
    char *p = block(size);
    free(p);
    if (wrong)
        free(hidden(p));
    block(size);
}

void double_free_small(bool wrong)
{
    twice(SMALL, wrong);
}

void double_free_medium(bool wrong)
{
    twice(MEDIUM, wrong);
}

void double_free_pages(bool wrong)
{
    twice(PAGES, wrong);
}

void double_free_large(bool wrong)
{
    twice(LARGE, wrong);
}

void double_free_empty(bool wrong)
{
    void *p = hidden(malloc(0));
    free(p);
    if (wrong)
        free(hidden(p));
    free(malloc(0));
}

void double_free_aligned(bool wrong)
{
    void *p = hidden(memalign(4096, 100));
    free(p);
    if (wrong)
        free(hidden(p));
    free(hidden(memalign(4096, 100)));
}

void double_free_huge_alignment(bool wrong)
{
    void *p = hidden(memalign((size_t)1 << 20, 100));
    free(p);
    if (wrong)
        free(hidden(p));
}

void double_free_calloc(bool wrong)
{
    void *p = hidden(calloc(10, 10));
    free(p);
    if (wrong)
        free(hidden(p));
    free(hidden(calloc(10, 10)));
}

/* Another is freed in between. */
static void twice_apart(size_t size, bool wrong)
{
    char *p = block(size), *q = block(size);
    free(p);
    free(q);
    if (wrong)
        free(hidden(p));
}

void double_free_apart(bool wrong)
{
    twice_apart(SMALL, wrong);
}

void double_free_apart_pages(bool wrong)
{
    twice_apart(PAGES, wrong);
}

void double_free_apart_trimmed(bool wrong)
{
    char *p = block(SMALL);
    twice_apart(SMALL, wrong);
    malloc_trim(0);
    free(p);
}

void double_free_much_later(bool wrong)
{
    void *blocks[1000];
    char *p = block(SMALL);
    for (unsigned i = 0; i < 1000; i++)
        blocks[i] = block(SMALL);
    free(p);
    for (unsigned i = 0; i < 1000; i++)
        free(blocks[i]);
    if (wrong)
        free(hidden(p));
}

void double_free_other_thread(bool wrong)
{
    char *p = block(SMALL);
    free(p);
    if (wrong)
        run_in_thread(free_it, hidden(p));
}

void double_free_both_threads(bool wrong)
{
    char *p = block(SMALL);
    run_in_thread(free_it, p);
    if (wrong)
        free(hidden(p));
}

void double_free_after_realloc(bool wrong)
{
    char *p = block(SMALL), *old = hidden(p);
    p = realloc(p, MEDIUM);
    mark(p, MEDIUM, 1);
    if (wrong)
        free(hidden(old));
    block(SMALL);
    free(p);
}

void double_free_by_realloc(bool wrong)
{
    char *p = block(SMALL);
    expect(realloc(p, 0) == NULL, "expected realloc to 0 to free");
    if (wrong)
        free(hidden(p));
    block(SMALL);
}

/* C++'s, by the names that its compilers give them. */
static void *cxx_new(size_t size)
{
    void *(*function)(size_t);
    void *symbol = library_symbol("_Znwm");
    memcpy(&function, &symbol, sizeof(function));
    return function(size);
}

static void free_by(const char *name, void *p, size_t size)
{
    void (*function)(void *, size_t);
    void *symbol = library_symbol(name);
    memcpy(&function, &symbol, sizeof(function));
    function(p, size);
}

static void free_aligned_by(const char *name, void *p, size_t align, size_t size)
{
    void (*function)(void *, size_t, size_t);
    void *symbol = library_symbol(name);
    memcpy(&function, &symbol, sizeof(function));
    function(p, align, size);
}

void double_delete(bool wrong)
{
    void *p = hidden(cxx_new(SMALL));
    free_by("_ZdlPv", p, 0);
    if (wrong)
        free_by("_ZdlPv", hidden(p), 0);
    block(SMALL);
}

/* --- Not a block --- */

void free_stack(bool wrong)
{
    char local[64] __attribute__((aligned(16)));
    local[0] = 1;
    free(wrong ? hidden(local) : block(64));
}

void free_static(bool wrong)
{
    static char bytes[64] __attribute__((aligned(16)));
    free(wrong ? hidden(bytes) : block(64));
}

void free_literal(bool wrong)
{
    free(wrong ? hidden((void *)(uintptr_t) "a string in the program's own file") : block(64));
}

void free_mapping(bool wrong)
{
    void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (wrong)
        free(hidden(p));
    munmap(p, 65536);
}

void free_number(bool wrong)
{
    free(wrong ? hidden((void *)(uintptr_t)64) : NULL);
}

void free_beyond_heap(bool wrong)
{
    char *p = block(SMALL);
    free(wrong ? hidden((char *)p + ((size_t)1 << 40)) : p);
}

void free_untouched_heap(bool wrong)
{
    char *p = block(LARGE);
    free(p);
    malloc_trim(0);
    if (wrong)
        free(hidden(p + 65536));
}

static void free_at(size_t size, size_t offset, bool wrong)
{
    char *p = block(size);
    free(wrong ? hidden(p + offset) : p);
}

void free_misaligned_small(bool wrong)
{
    free_at(SMALL, 1, wrong);
}

void free_misaligned_by_eight(bool wrong)
{
    free_at(SMALL, 8, wrong);
}

void free_misaligned_medium(bool wrong)
{
    free_at(MEDIUM, 4, wrong);
}

void free_misaligned_pages(bool wrong)
{
    free_at(PAGES, 2, wrong);
}

void free_misaligned_large(bool wrong)
{
    free_at(LARGE, 9, wrong);
}

void free_interior_small(bool wrong)
{
    free_at(SMALL, 16, wrong);
}

void free_interior_small_trimmed(bool wrong)
{
    free_at(SMALL, 16, wrong);
    malloc_trim(0);
}

void free_interior_medium(bool wrong)
{
    free_at(MEDIUM, 1024, wrong);
}

void free_interior_pages(bool wrong)
{
    free_at(PAGES, 8192, wrong);
}

void free_interior_large(bool wrong)
{
    free_at(LARGE, 65536, wrong);
}

void free_interior_aligned(bool wrong)
{
    char *p = hidden(memalign(256, 1000));
    free(wrong ? p + 256 : p);
}

void free_before_the_start(bool wrong)
{
    char *p = block(SMALL);
    free(wrong ? hidden(p - 16) : p);
}

void free_past_the_end_large(bool wrong)
{
    char *p = block(LARGE);
    free(wrong ? hidden(p + LARGE) : p);
}

/* --- realloc, malloc_usable_size --- */

void realloc_static(bool wrong)
{
    static char bytes[64] __attribute__((aligned(16)));
    free(realloc(wrong ? hidden(bytes) : block(64), 100));
}

static void realloc_at(size_t size, size_t offset, bool wrong)
{
    char *p = block(size);
    free(realloc(wrong ? hidden(p + offset) : p, size * 2));
}

void realloc_misaligned(bool wrong)
{
    realloc_at(SMALL, 4, wrong);
}

void realloc_interior_small(bool wrong)
{
    realloc_at(SMALL, 16, wrong);
}

void realloc_interior_large(bool wrong)
{
    realloc_at(LARGE, 4096, wrong);
}

static void realloc_freed(size_t size, bool wrong)
{
    char *p = block(size);
    if (wrong)
        free(p);
    free(realloc(hidden(p), size * 2));
}

void realloc_freed_small(bool wrong)
{
    realloc_freed(SMALL, wrong);
}

void realloc_freed_pages(bool wrong)
{
    realloc_freed(PAGES, wrong);
}

void realloc_freed_large(bool wrong)
{
    realloc_freed(LARGE, wrong);
}

static void measure(const void *p)
{
    volatile size_t size = malloc_usable_size((void *)(uintptr_t)p);
    (void)size;
}

void usable_size_of_stack(bool wrong)
{
    char local[64] __attribute__((aligned(16)));
    local[0] = 1;
    measure(wrong ? hidden(local) : NULL);
}

static void measure_at(size_t size, size_t offset, bool wrong)
{
    char *p = block(size);
    measure(wrong ? p + offset : p);
    free(p);
}

void usable_size_of_interior_small(bool wrong)
{
    measure_at(SMALL, 16, wrong);
}

void usable_size_of_interior_large(bool wrong)
{
    measure_at(LARGE, 4096, wrong);
}

static void measure_freed(size_t size, bool wrong)
{
    char *p = block(size);
    if (wrong)
        free(p);
    measure(hidden(p));
}

void usable_size_of_freed_small(bool wrong)
{
    measure_freed(SMALL, wrong);
}

void usable_size_of_freed_large(bool wrong)
{
    measure_freed(LARGE, wrong);
}

void usable_size_of_freed_earlier(bool wrong)
{
    char *p = block(SMALL), *q = block(SMALL), *r = block(SMALL);
    if (wrong)
        free(p);
    free(q);
    free(r);
    measure(hidden(p));
}

/* --- Another size --- */

static void free_as(const char *name, size_t size, size_t believed)
{
    char *p = block(size);
    free_by(name, p, believed);
}

void free_sized_too_large(bool wrong)
{
    free_as("free_sized", SMALL, wrong ? 4096 : SMALL);
}

void free_sized_too_small(bool wrong)
{
    free_as("free_sized", MEDIUM, wrong ? 16 : MEDIUM);
}

void free_sized_too_large_pages(bool wrong)
{
    free_as("free_sized", PAGES, wrong ? LARGE : PAGES);
}

void free_sized_too_large_large(bool wrong)
{
    free_as("free_sized", LARGE, wrong ? 2 * LARGE : LARGE);
}

void free_sized_stack(bool wrong)
{
    char local[64] __attribute__((aligned(16)));
    local[0] = 1;
    free_by("free_sized", wrong ? hidden(local) : block(64), 64);
}

void free_aligned_sized_too_large(bool wrong)
{
    void *p = hidden(memalign(64, 128));
    free_aligned_by("free_aligned_sized", p, 64, wrong ? 5000 : 128);
}

void delete_sized_too_large(bool wrong)
{
    free_by("_ZdlPvm", hidden(cxx_new(SMALL)), wrong ? 4096 : SMALL);
}

void delete_sized_too_small(bool wrong)
{
    free_by("_ZdlPvm", hidden(cxx_new(MEDIUM)), wrong ? SMALL : MEDIUM);
}

void delete_array_sized_too_large(bool wrong)
{
    free_by("_ZdaPvm", hidden(cxx_new(SMALL)), wrong ? 4096 : SMALL);
}
