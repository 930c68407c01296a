// SPDX-License-Identifier: MIT
/*
 * statistics.c: ga_read_mem_stats, ga_metrics_*, ga_stats; mallinfo, malloc_stats, malloc_info.
 *
 * Place: beside malloc.c. Calls src/observe. Other allocators leave some of these to glibc, which
 * then answers about a heap that isn't used. Locking, fork: see src/observe.
 */
#include <stdio.h>
#include <string.h>

#include "../observe/observe.h"
#include "../os/os.h"
#include "internal.h"

/* --- Our own --- */

/* What the caller's structure has beyond ours is zeroed. */
GA_EXPORT void ga_stats(struct ga_stats *out, size_t size)
{
    struct ga_stats stats;
    if (!out)
        return;
    observe_all(&stats);
    stats.resident = os_resident_bytes();
    memset(out, 0, size);
    memcpy(out, &stats, size < sizeof(stats) ? size : sizeof(stats));
}

/* A program built with a shorter structure: by way of a whole one, which is 8 KB of its stack. */
GA_NOINLINE static void read_part(struct ga_mem_stats *out, size_t size)
{
    struct ga_mem_stats stats;
    observe_mem_stats(&stats);
    memcpy(out, &stats, size);
}

GA_EXPORT void ga_read_mem_stats_sized(struct ga_mem_stats *out, size_t size)
{
    if (!out)
        return;
    if (size < sizeof(*out)) {
        read_part(out, size);
        return;
    }
    observe_mem_stats(out);
    memset((char *)out + sizeof(*out), 0, size - sizeof(*out));
}

GA_EXPORT void ga_metrics_read(struct ga_metric *samples, size_t n)
{
    if (samples)
        observe_metrics_read(samples, n);
}

GA_EXPORT const struct ga_metric_description *ga_metrics_all(size_t *count)
{
    return observe_metrics_all(count);
}

/* --- glibc's --- */

/*
 * mallinfo's fields by their meaning: arena is what the heap holds, uordblks what the program
 * holds, fordblks what is free of it, in ordblks pieces; hblks and hblkhd are the blocks that are
 * too large for a class; smblks and fsmblks what lies in caches, as in glibc's fast bins.
 */
GA_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct ga_stats stats;
    struct mallinfo2 info = {0};
    struct observe_blocks blocks;
    observe_all(&stats);
    observe_free_blocks(&blocks);
    size_t held = stats.in_use + stats.free_dirty;
    info.arena = held > stats.large ? held - stats.large : 0;
    info.hblks = blocks.large;
    info.hblkhd = stats.large;
    info.uordblks = stats.live > stats.large ? stats.live - stats.large : 0;
    info.fordblks = info.arena > info.uordblks ? info.arena - info.uordblks : 0;
    info.ordblks = blocks.free;
    info.smblks = blocks.cached;
    info.fsmblks = stats.cached;
    info.keepcost = stats.free_dirty;
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
    info.hblks = clamp_int(wide.hblks);
    info.hblkhd = clamp_int(wide.hblkhd);
    info.uordblks = clamp_int(wide.uordblks);
    info.fordblks = clamp_int(wide.fordblks);
    info.ordblks = clamp_int(wide.ordblks);
    info.smblks = clamp_int(wide.smblks);
    info.fsmblks = clamp_int(wide.fsmblks);
    info.keepcost = clamp_int(wide.keepcost);
    return info;
}

GA_EXPORT void malloc_stats(void)
{
    observe_print();
}

/* --- malloc_info --- */

struct xml_stream {
    FILE *stream;
    bool failed;
};

/* The caller's stream may allocate its buffer when first written to: no lock is held here. */
static void put_text(void *to, const char *text)
{
    struct xml_stream *xml = to;
    if (fputs(text, xml->stream) < 0)
        xml->failed = true;
}

GA_EXPORT int malloc_info(int options, FILE *stream)
{
    struct xml_stream xml = {stream, false};
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    observe_write_xml(put_text, &xml);
    return xml.failed ? -1 : 0;
}
