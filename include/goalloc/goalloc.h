// SPDX-License-Identifier: MIT
/*
 * goalloc/goalloc.h: what goalloc offers beyond malloc and its family.
 *
 * A program needs none of this to use the allocator: linking with -lgoalloc or preloading the
 * library is enough. Every function may be called from any thread at any time.
 */
#ifndef GOALLOC_GOALLOC_H
#define GOALLOC_GOALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GA_VERSION "0.1.0"

/* The version of the library that is loaded, which may differ from GA_VERSION. */
const char *ga_version(void);

/*
 * Where the memory is. Bytes, unless a name says otherwise. Taken while other threads run, the
 * figures are each true of some moment, and not all of the same one.
 *
 *   mapped = in_use + free_dirty + free_released
 *   in_use = live + cached + span_free
 */
struct ga_stats {
    size_t mapped;        /* heap address space mapped */
    size_t in_use;        /* of it in spans: pages that hold blocks, or did a moment ago */
    size_t live;          /* blocks that the program holds, rounded up to their size class */
    size_t cached;        /* free blocks in threads' caches and depots */
    size_t span_free;     /* free blocks in spans, and spans' unused ends */
    size_t free_dirty;    /* free pages that still count in RSS */
    size_t free_released; /* free pages given back to the kernel, or never touched */
    size_t large;         /* of live: blocks without a size class */
    size_t metadata;      /* address space for the library's own tables */
    size_t resident;      /* the process's RSS, as the kernel has it */
    size_t live_blocks;   /* number of blocks that the program holds */
    size_t spans;         /* number of spans */
    size_t threads;       /* threads that have a cache now */
    size_t system_calls;  /* made by the library since the start */
    size_t moved_blocks;  /* large blocks that realloc moved without copying, since the start */
};

/* `size` is sizeof(struct ga_stats): an older program gets the fields that it knows. */
void ga_stats(struct ga_stats *out, size_t size);

/* Returns all free memory to the kernel, now. How many bytes went. */
size_t ga_free_os_memory(void);

#ifdef __cplusplus
}
#endif

#endif
