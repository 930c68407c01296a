// SPDX-License-Identifier: MIT
/*
 * bad_pointer.c: the line that a pointer gets which no block starts at, and the end of the process.
 *
 * Place: the slow paths of free, realloc and malloc_usable_size. Reads the page heap without a
 * lock: the process is about to end, and its heap may be in the midst of a call.
 */
#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

GA_NORETURN static void bad_small(const void *p, const char *function)
{
    const struct span *span = mheap_span_of(p);
    size_t offset = (uintptr_t)p - span_address(span);
    uintptr_t block = span_address(span) + offset / span->size * span->size;
    bool misaligned = (uintptr_t)p % MIN_ALIGN != 0;
    report_fatal("%s of a %s pointer: %p is %zu bytes into the block at %p (size class %u of %u "
                 "bytes, thread %u)",
                 function, misaligned ? "misaligned" : "interior", (void *)(uintptr_t)p,
                 (size_t)((uintptr_t)p - block), (void *)block, span->class, span->size,
                 os_thread_id());
}

GA_NORETURN static void bad_large(const void *p, const char *function)
{
    const struct span *span = mheap_span_of(p);
    report_fatal("%s of an interior pointer: %p is %zu bytes into the large block at %p of %zu "
                 "bytes (thread %u)",
                 function, (void *)(uintptr_t)p, (size_t)((uintptr_t)p - span_address(span)),
                 (void *)span_address(span), (size_t)span->pages << HEAP_PAGE_SHIFT,
                 os_thread_id());
}

GA_NORETURN GA_COLD void bad_pointer(const void *p, const char *function)
{
    switch (mheap_place_of(p)) {
    case PLACE_SMALL:
        bad_small(p, function);
    case PLACE_LARGE:
        bad_large(p, function);
    case PLACE_FREE:
        report_fatal("%s of a freed block: %p lies in free pages (double free? thread %u)",
                     function, (void *)(uintptr_t)p, os_thread_id());
    case PLACE_FOREIGN:
        break;
    }
    report_fatal("%s of a foreign pointer: %p isn't goalloc's (thread %u)", function,
                 (void *)(uintptr_t)p, os_thread_id());
}
