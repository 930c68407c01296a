// SPDX-License-Identifier: MIT
/*
 * xml.c: the figures as XML, for malloc_info.
 *
 * Place: src/libc's malloc_info. Calls snapshot.c; hands each element to its caller.
 *
 *   <malloc version="goalloc-2">
 *     <class size="48" spans="1" live="3" cached="124" allocs="3" frees="0"/> ...
 *     <memory class="heap/objects" bytes="4096"/> ... <total bytes="..."/>
 *     <heap mapped="..." .../>
 *   </malloc>
 *
 * The class of size 0 are the blocks without a class.
 * Locking: none is held while the caller's function runs: its stream may allocate.
 */
#include "../os/report.h"
#include "internal.h"

struct sink {
    void (*put)(void *to, const char *text);
    void *to;
};

static void put(const struct sink *sink, const char *format, ...) GA_PRINTF(2, 3);

static void put(const struct sink *sink, const char *format, ...)
{
    char line[256];
    struct text text;
    va_list args;
    text_init(&text, line, sizeof(line));
    va_start(args, format);
    text_add_list(&text, format, args);
    va_end(args);
    sink->put(sink->to, line);
}

static void put_classes(const struct sink *sink, const struct snapshot *now)
{
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++) {
        const struct class_figures *figures = &now->classes[class];
        if (!figures->spans && !figures->allocs)
            continue;
        put(sink, "<class size=\"%zu\" spans=\"%zu\" live=\"%zu\" cached=\"%zu\"",
            class ? (size_t)size_classes[class].size : 0, (size_t)figures->spans,
            (size_t)figures->live, (size_t)figures->cached);
        put(sink, " allocs=\"%zu\" frees=\"%zu\"/>\n", (size_t)figures->allocs,
            (size_t)figures->frees);
    }
}

static void put_memory(const struct sink *sink, const char *class, uint64_t bytes)
{
    put(sink, "<memory class=\"%s\" bytes=\"%zu\"/>\n", class, (size_t)bytes);
}

static void put_memory_classes(const struct sink *sink, const struct snapshot *now)
{
    put_memory(sink, "heap/free", now->heap_free);
    put_memory(sink, "heap/objects", now->heap_objects);
    put_memory(sink, "heap/released", now->heap_released);
    put_memory(sink, "heap/stacks", now->heap_stacks);
    put_memory(sink, "heap/unused", now->heap_unused);
    put_memory(sink, "metadata/mcache/free", now->mcache_free);
    put_memory(sink, "metadata/mcache/inuse", now->mcache_inuse);
    put_memory(sink, "metadata/mspan/free", now->mspan_free);
    put_memory(sink, "metadata/mspan/inuse", now->mspan_inuse);
    put_memory(sink, "metadata/other", now->metadata_other);
    put_memory(sink, "os-stacks", now->os_stacks);
    put_memory(sink, "other", now->other);
    put_memory(sink, "profiling/buckets", now->profiling);
    put(sink, "<total bytes=\"%zu\"/>\n", (size_t)now->total);
}

void observe_write_xml(void (*function)(void *to, const char *text), void *to)
{
    const struct sink sink = {function, to};
    struct snapshot now;
    observe_snapshot(&now);
    put(&sink, "<malloc version=\"goalloc-2\">\n");
    put_classes(&sink, &now);
    put_memory_classes(&sink, &now);
    put(&sink, "<heap mapped=\"%zu\" in_use=\"%zu\" live=\"%zu\" large=\"%zu\" cached=\"%zu\"",
        (size_t)now.mapped, (size_t)now.in_use, (size_t)now.heap_objects, (size_t)now.large,
        (size_t)now.cached);
    put(&sink, " free_dirty=\"%zu\" free_released=\"%zu\"/>\n</malloc>\n", (size_t)now.heap_free,
        (size_t)now.heap_released);
}
