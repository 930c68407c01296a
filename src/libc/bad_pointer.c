// SPDX-License-Identifier: MIT
/*
 * bad_pointer.c: the report that a pointer gets which no block starts at, and the end of the
 * process.
 *
 * Place: the slow paths of free, realloc and malloc_usable_size. Reads the page heap without a
 * lock: the process is about to end, and its heap may be in the midst of a call.
 */
#include "../os/misuse.h"
#include "../os/report.h"
#include "internal.h"

GA_NORETURN static void bad_small(const void *p, const char *function)
{
    const struct span *span = mheap_span_of(p);
    size_t offset = (uintptr_t)p - span_address(span);
    bool misaligned = (uintptr_t)p % MIN_ALIGN != 0;
    misuse_call(
        function, misaligned ? "a misaligned pointer" : "an interior pointer",
        &(struct misuse){.address = p,
                         .block = (void *)(span_address(span) + offset / span->size * span->size),
                         .size = span->size,
                         .class = span->class,
                         .class_size = span->size});
}

GA_NORETURN static void bad_large(const void *p, const char *function)
{
    const struct span *span = mheap_span_of(p);
    misuse_call(function, "an interior pointer",
                &(struct misuse){.address = p,
                                 .block = (void *)span_address(span),
                                 .size = (size_t)span->pages << HEAP_PAGE_SHIFT});
}

GA_NORETURN GA_COLD void bad_pointer(const void *p, const char *function)
{
    switch (mheap_place_of(p)) {
    case PLACE_SMALL:
        bad_small(p, function);
    case PLACE_LARGE:
        bad_large(p, function);
    case PLACE_FREE:
        misuse_call(function, "a freed block",
                    &(struct misuse){.address = p, .where = "lies in free pages: double free?"});
    case PLACE_OWNED:
    case PLACE_FOREIGN:
        break;
    }
    misuse_call(function, "a foreign pointer",
                &(struct misuse){.address = p, .where = "isn't goalloc's"});
}

GA_NORETURN GA_COLD void bad_size(const void *p, size_t size, size_t believed)
{
    unsigned class = size_class_of(size);
    char where[64];
    struct text text;
    text_init(&text, where, sizeof(where));
    text_add(&text, "freed as one of %zu bytes", believed);
    misuse_call("free", "a block of another size",
                &(struct misuse){.address = p,
                                 .where = where,
                                 .size = size,
                                 .class = class,
                                 .class_size = size_classes[class].size});
}

GA_NORETURN GA_COLD void bad_freed(const void *p, unsigned class, const char *function)
{
    const struct mcache *cache = mcache_self();
    void *const *top = cache->top[class];
    if (cache->next[class] == *(top - 2))
        misuse_report(&(struct misuse){.what = "double free",
                                       .address = p,
                                       .class = class,
                                       .class_size = size_classes[class].size});
    misuse_call(
        function, "a freed block",
        &(struct misuse){.address = p, .class = class, .class_size = size_classes[class].size});
}
