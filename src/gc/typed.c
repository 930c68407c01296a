// SPDX-License-Identifier: MIT
/*
 * typed.c: looking into a block by its type.
 *
 * Place: mark.c asks for a block in a typed span; calls it back with words. Calls src/os.
 *
 * Of such a block exactly those words are looked at that its type says may be pointers, whole and
 * aligned. What the type doesn't say, because it was written over or not yet written, mark.c looks
 * at as at any block.
 *
 * Why a type that is just being written does no harm: it is written before the block is handed out,
 * and so before any pointer is stored in it. Until then nothing is kept by the block alone. Who
 * sees such a pointer while the program runs has protected its page after it was stored, which
 * makes what its thread had stored before visible too (src/libc/typed.c has a fence between the
 * two).
 *
 * Invariants: none of its own. Locking: whoever marks, as mark.c.
 */
#include <string.h>

#include "../os/os.h"
#include "../os/proc.h"
#include "internal.h"
#include "types.h"

/* From this size on an object is copied before it is looked at: the program may have protected
 * pages of it; and from this on pages that were never touched are left untouched. */
#define COPY_MIN   ((size_t)4096)
#define COPY_WORDS 512
#define SPARSE_MIN ((size_t)1 << 20)

struct view {
    struct marker *marker;
    const struct gc_type *type;
    uintptr_t object, from, to; /* what of it is wanted */
    bool copies;
};

/* --- Words --- */

static void visit_words(const struct view *view, uintptr_t address, const uintptr_t *words,
                        size_t count)
{
    const struct gc_type *type = view->type;
    size_t at = (address - view->object) / sizeof(*words) % type->words;
    for (size_t i = 0; i < count; i++) {
        if (type->bits[at / 64] >> at % 64 & 1)
            mark_heap_word(view->marker, words[i]);
        at = at + 1 == type->words ? 0 : at + 1;
    }
}

static void visit_copied(const struct view *view, uintptr_t from, uintptr_t to)
{
    uintptr_t words[COPY_WORDS];
    size_t page = os_page_size();
    while (from < to) {
        size_t want = to - from < sizeof(words) ? to - from : sizeof(words);
        size_t count = os_copy_memory(words, from, want) / sizeof(*words);
        visit_words(view, from, words, count);
        from += count * sizeof(*words);
        if (count == 0)
            from = round_down(from, page) + page; /* not readable */
    }
}

static void visit_range(uintptr_t start, uintptr_t end, void *context)
{
    const struct view *view = context;
    uintptr_t from = start > view->from ? start : view->from;
    uintptr_t to = end < view->to ? end : view->to;
    if (from < to && view->copies)
        visit_copied(view, from, to);
    else if (from < to)
        visit_words(view, from, (const uintptr_t *)from, (to - from) / sizeof(uintptr_t));
}

/* --- Blocks --- */

static const struct gc_type *type_of(const struct span *span, uintptr_t object, bool copies)
{
    uint64_t tag = 0;
    uintptr_t at = object + span->size - TYPE_TAG;
    if (span->class == 0)
        return types_find(span->type);
    if (!copies)
        tag = __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
    else if (os_copy_memory(&tag, at, sizeof(tag)) != sizeof(tag))
        return NULL;
    return types_find(type_of_tag(tag, object));
}

bool typed_scan(struct marker *marker, const struct span *span, uintptr_t object, uintptr_t from,
                uintptr_t to)
{
    if (!__atomic_load_n(&span->typed, __ATOMIC_ACQUIRE)) /* pairs with mheap_set_type */
        return false;
    size_t size = span->class ? span->size - TYPE_TAG : (size_t)span->pages << HEAP_PAGE_SHIFT;
    bool copies = size + TYPE_TAG >= COPY_MIN && mark_copies();
    const struct gc_type *type = type_of(span, object, copies);
    if (!type)
        return false;
    uintptr_t end = object + size;
    struct view view = {
        marker, type, object, round_up(from, sizeof(uintptr_t)), to < end ? to : end, copies};
    if (!type->has_pointers)
        return true;
    if (size > SPARSE_MIN)
        os_each_populated(round_down(view.from, os_page_size()), round_up(view.to, os_page_size()),
                          visit_range, &view);
    else
        visit_range(view.from, view.to, &view);
    return true;
}
