// SPDX-License-Identifier: MIT
/*
 * introspect.c: malloc_trim, mallinfo, mallopt, malloc_stats, malloc_info, and the ga_* calls.
 *
 * Place: beside malloc.c. Calls src/observe and src/scavenger. Other allocators leave some of these
 * to glibc, which then answers about a heap that isn't used.
 */
#include <stdio.h>
#include <string.h>

#include "../observe/observe.h"
#include "../os/os.h"
#include "../os/report.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

/* glibc's answer: 1 when memory went back. */
GA_EXPORT int malloc_trim(size_t keep)
{
    return mheap_init() && scavenger_release_all(keep) > 0;
}

GA_EXPORT size_t ga_free_os_memory(void)
{
    return mheap_init() ? scavenger_release_all(0) : 0;
}

GA_EXPORT const char *ga_version(void)
{
    return GA_VERSION;
}

GA_EXPORT void ga_stats(struct ga_stats *out, size_t size)
{
    struct ga_stats stats;
    observe_all(&stats);
    stats.resident = os_resident_bytes();
    memset(out, 0, size);
    memcpy(out, &stats, size < sizeof(stats) ? size : sizeof(stats));
}

/*
 * mallinfo's fields by their meaning: arena is what the heap holds, uordblks what the program
 * holds, fordblks what is free of it; hblks and hblkhd are the blocks that are too large for a
 * class.
 */
GA_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct ga_stats stats;
    struct mallinfo2 info = {0};
    observe_all(&stats);
    size_t held = stats.in_use + stats.free_dirty;
    info.arena = held > stats.large ? held - stats.large : 0;
    info.hblkhd = stats.large;
    info.uordblks = stats.live > stats.large ? stats.live - stats.large : 0;
    info.fordblks = info.arena > info.uordblks ? info.arena - info.uordblks : 0;
    info.fsmblks = stats.cached;
    info.keepcost = stats.free_dirty;
    info.ordblks = stats.spans;
    return info;
}

static int clamp_int(size_t n)
{
    return n > 0x7fffffff ? 0x7fffffff : (int)n;
}

/* The old form has ints, which end at 2 GB: clamped, where glibc's wrap. */
GA_EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo info = {0};
    info.arena = clamp_int(wide.arena);
    info.hblkhd = clamp_int(wide.hblkhd);
    info.uordblks = clamp_int(wide.uordblks);
    info.fordblks = clamp_int(wide.fordblks);
    info.fsmblks = clamp_int(wide.fsmblks);
    info.keepcost = clamp_int(wide.keepcost);
    info.ordblks = clamp_int(wide.ordblks);
    return info;
}

/*
 * 1: glibc has such a parameter, and this value does no harm: it is advice to an allocator with
 * brk, bins and arenas, which this one hasn't. 0: there's no such parameter.
 */
GA_EXPORT int mallopt(int parameter, int value)
{
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
        return 1;
    default:
        return 0;
    }
}

GA_EXPORT void malloc_stats(void)
{
    observe_print();
}

/* The caller's stream may allocate its buffer when first written to, so no lock is held here. */
GA_EXPORT int malloc_info(int options, FILE *stream)
{
    struct ga_stats stats;
    char line[256];
    struct text text;
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    observe_all(&stats);
    (void)fputs("<malloc version=\"goalloc-1\">\n", stream);
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        struct class_stats of_class;
        observe_class(class, &of_class);
        if (!of_class.spans)
            continue;
        text_init(&text, line, sizeof(line));
        text_add(&text, "<class size=\"%zu\" spans=\"%zu\" live=\"%zu\" cached=\"%zu\"/>\n",
                 (size_t)size_classes[class].size, of_class.spans, of_class.live, of_class.cached);
        (void)fputs(line, stream);
    }
    text_init(&text, line, sizeof(line));
    text_add(&text,
             "<heap mapped=\"%zu\" in_use=\"%zu\" live=\"%zu\" large=\"%zu\" cached=\"%zu\" "
             "free_dirty=\"%zu\" free_released=\"%zu\"/>\n</malloc>\n",
             stats.mapped, stats.in_use, stats.live, stats.large, stats.cached, stats.free_dirty,
             stats.free_released);
    return fputs(line, stream) < 0 ? -1 : 0;
}
