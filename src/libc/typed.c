// SPDX-License-Identifier: MIT
/*
 * typed.c: blocks with a type, which says where pointers are, where a collector is on.
 *
 * Place: gc.c's ga_gc_malloc_typed, and malloc.c for those that realloc is given. Calls
 * src/mcentral, and src/gc for the types.
 *
 * As those without pointers they lie in spans of their own, without class entries. A block keeps
 * its type when it is resized, and is zero where nothing was written.
 *
 * Invariants: a block's tag or type is written before the block is handed out.
 * Locking: none here.
 */
#include <string.h>

#include "../gc/barrier.h"
#include "../gc/types.h"
#include "../mcentral/mcentral.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

static uint64_t *tag_of(void *p, size_t size)
{
    return (uint64_t *)((char *)p + size - TYPE_TAG);
}

/* Release: what is stored in the block comes later also for the marker. */
static void set_tag(void *p, size_t size, uint32_t type)
{
    __atomic_store_n(tag_of(p, size), type_tag(type, (uintptr_t)p), __ATOMIC_RELAXED);
    atomic_thread_fence(memory_order_release);
}

static void *typed_large(size_t size, uint32_t type)
{
    struct span *span = alloc_large(size, HEAP_PAGE, CONTENTS_ZERO);
    if (span) {
        mheap_set_type(span, type);
        atomic_thread_fence(memory_order_release);
    }
    return large_block(span);
}

void *typed_malloc(size_t size, uint32_t type)
{
    if (size > CLASS_SIZE_MAX - TYPE_TAG || !mheap_init())
        return typed_large(size, type);
    unsigned class = size_class_of(size + TYPE_TAG - size_class_padding);
    void *p = mcentral_take_typed(class);
    if (!p)
        return out_of_memory();
    memset(p, 0, size_classes[class].size - TYPE_TAG);
    set_tag(p, size_classes[class].size, type);
    after_slow_path(size_classes[class].size);
    return p;
}

/* The new block holds what the old one held; the old one is the caller's to free. */
static void *copy_to_new(const void *p, size_t old, size_t size, uint32_t type)
{
    void *new = typed_malloc(size, type);
    if (new)
        barrier_copy(new, p, old < size ? old : size);
    return new;
}

/* Where it grows it may move, without our copying it. */
static void *resize_large(void *p, size_t size, size_t old)
{
    barrier_resize_begin();
    void *resized = realloc_large(p, size);
    barrier_resize_end(resized, old < size ? old : size);
    return resized;
}

static void *realloc_typed_large(struct span *span, void *p, size_t size)
{
    size_t old = (size_t)span->pages << HEAP_PAGE_SHIFT;
    if ((uintptr_t)p != span_address(span))
        bad_pointer(p, "realloc");
    if (size >= GROWING_MIN || size >= old / 2) {
        char *resized = resize_large(p, size, old);
        size_t now = resized ? malloc_usable_size(resized) : 0;
        if (now > old)
            memset(resized + old, 0, now - old);
        return resized;
    }
    void *new = copy_to_new(p, old, size, span->type);
    if (!new)
        return p;
    mheap_free_large(span);
    after_slow_path(0);
    return new;
}

void *typed_realloc(struct span *span, void *p, size_t size)
{
    if (span->class == 0)
        return realloc_typed_large(span, p, size);
    if (((uintptr_t)p - span_address(span)) % span->size != 0)
        bad_pointer(p, "realloc");
    size_t old = span->size - TYPE_TAG;
    if (size <= old && (size >= old / 2 || size + TYPE_TAG > span->size / 2))
        return p;
    /* What was written behind the block's end has hit its tag: it has no type any more. */
    uint32_t type = type_of_tag(*tag_of(p, span->size), (uintptr_t)p);
    bool apart = type || gc_barriers;
    void *new = apart ? copy_to_new(p, old, size, type) : malloc_inline(size);
    if (!new)
        return size <= old ? p : NULL;
    if (!apart)
        memcpy(new, p, old < size ? old : size);
    apart_free(span, p);
    return new;
}
