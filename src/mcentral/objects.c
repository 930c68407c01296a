// SPDX-License-Identifier: MIT
/*
 * objects.c: between magazines and the spans' allocation bits.
 *
 * Place: depot.c and src/mcache's slow path come here when whole magazines won't do. Calls
 * src/mheap for spans.
 *
 * Invariants:
 *   - a span is on its central's list exactly while it has both free and used objects; a full span
 *     is on none, one without used objects goes back to the heap;
 *   - span.used counts the set bits; objects_out is the sum of span.used;
 *   - an object comes out only by setting its bit and goes back only by clearing it: who finds the
 *     bit clear already has found a double free.
 * Locking: the class's central is locked; the heap's lock is taken inside it.
 */
#include <string.h>

#include "../os/misuse.h"
#include "../os/report.h"
#include "../mheap/marks.h"
#include "internal.h"

/* --- The list of spans with free objects --- */

void spans_add(struct mcentral *central, struct span *span)
{
    span->listed = true;
    span->prev = 0;
    span->next = central->spans;
    if (span->next)
        mheap_span_at(span->next)->prev = span->page;
    central->spans = span->page;
}

/* The span and its neighbours agree; else something wrote over what isn't its own. */
static bool is_linked(const struct mcentral *central, const struct span *span)
{
    bool before =
        span->prev ? mheap_span_at(span->prev)->next == span->page : central->spans == span->page;
    return before && (!span->next || mheap_span_at(span->next)->prev == span->page);
}

void spans_remove(struct mcentral *central, struct span *span)
{
    if (GA_UNLIKELY(!is_linked(central, span)))
        report_fatal("broken central: the list of spans at page %u", span->page);
    span->listed = false;
    if (GA_UNLIKELY(central->hole_at == span->page))
        central->hole_at = span->next;
    if (span->next)
        mheap_span_at(span->next)->prev = span->prev;
    if (span->prev)
        mheap_span_at(span->prev)->next = span->next;
    else
        central->spans = span->next;
}

void span_relist(struct mcentral *central, struct span *span)
{
    if (span->used == 0 && GA_LIKELY(!mheap_marks.marking)) {
        if (span->listed)
            spans_remove(central, span);
        central->span_count--;
        holes_forget(span);
        mheap_free_span(span);
    } else if (span->used < span->objects && !span->listed) {
        spans_add(central, span);
    }
}

/* --- Out --- */

/* Takes up to `want` free objects, lowest address first, writing backwards from `end`. */
static unsigned take_from_span(struct span *span, void **end, unsigned want)
{
    uintptr_t base = span_address(span);
    unsigned taken = 0;
    for (unsigned word = 0; taken < want && word < SPAN_OBJECTS_MAX / 64; word++) {
        uint64_t bits = span->bits[word], before = bits;
        while (~bits && taken < want) {
            unsigned bit = (unsigned)__builtin_ctzl(~bits);
            bits |= UINT64_C(1) << bit;
            *--end = (void *)(base + (size_t)(word * 64 + bit) * span->size);
            taken++;
        }
        span->bits[word] = bits;
        marks_allocated(span->page, word, bits & ~before);
    }
    span->used = (uint16_t)(span->used + taken);
    span->zero &= ~span->bits[0];
    holes_note_taken(span);
    return taken;
}

static struct span *alloc_any_span(unsigned class)
{
    if (class < SIZE_CLASS_COUNT)
        return mheap_alloc_span(class);
    if (class < mcentral_typed(0))
        return mheap_alloc_noscan_span(class - mcentral_noscan(0));
    return mheap_alloc_typed_span(class - mcentral_typed(0));
}

static struct span *alloc_span(unsigned class)
{
    struct span *span = alloc_any_span(class);
    if (span && GA_UNLIKELY(is_emptied(span)) && !span->zero) {
        mheap_zero_fresh(span);
        span->zero = ~UINT64_C(0);
    }
    return span;
}

static void note_least_free(struct mcentral *central, unsigned class)
{
    uint32_t now = central_free(central, class);
    if (now < central->least_free)
        central->least_free = now;
    if (now < central->walked)
        central->walked = now;
}

/*
 * Until its spans are this many times what a full magazine holds a class is small, and so are its
 * magazines: each thread has two or three of them, for blocks that somebody else may have made.
 * What a program that has little of a class wins by large ones isn't worth that memory.
 */
#define WIDE_FROM 8

static void count_span(struct mcentral *central, unsigned class)
{
    const struct size_class *c = &size_classes[class % SIZE_CLASS_COUNT];
    central->span_count++;
    central->wide |= ((size_t)central->span_count * c->pages << HEAP_PAGE_SHIFT) / WIDE_FROM >=
                     (size_t)c->magazine_capacity * c->size;
}

static unsigned fill(unsigned class, void **objects, unsigned want)
{
    struct mcentral *central = &mcentrals[class];
    unsigned period = lines_period(class), got = 0;
    while (got == 0 ? got < want : want - got >= period) {
        struct span *span = mheap_span_at(central->spans);
        if (!central->spans) {
            span = alloc_span(class);
            if (!span)
                break;
            count_span(central, class);
            central->least_free = 0;
            spans_add(central, span);
        }
        sweep_before_taking(central, span);
        unsigned available = (unsigned)(span->objects - span->used);
        bool ends = want - got < available;
        unsigned part = ends ? lines_whole(span, want - got, period) : available;
        got += take_from_span(span, objects + got + part, part);
        if (span->used == span->objects)
            spans_remove(central, span);
        if (ends)
            break;
    }
    central->objects_out += got;
    note_least_free(central, class);
    return got;
}

/* A listed span with an object that is still zero: only the list's head is looked at. */
static struct span *find_zero(struct mcentral *central)
{
    struct span *span = central->spans ? mheap_span_at(central->spans) : NULL;
    if (span)
        sweep_before_taking(central, span);
    return span && span->zero & ~span->bits[0] ? span : NULL;
}

/* A new span on the list, its dirty pages zeroed: all its objects are zero then. */
static struct span *make_zero(struct mcentral *central, unsigned class)
{
    struct span *span = mheap_alloc_span(class);
    if (!span)
        return NULL;
    mheap_zero_fresh(span);
    span->zero = ~UINT64_C(0);
    count_span(central, class);
    spans_add(central, span);
    return span;
}

void *mcentral_take_zero(unsigned class)
{
    struct mcentral *central = &mcentrals[class];
    void *p = NULL;
    lock_acquire(&central->lock);
    struct span *span = find_zero(central);
    if (!span)
        span = make_zero(central, class);
    if (span) {
        unsigned index = (unsigned)__builtin_ctzl(span->zero & ~span->bits[0]);
        p = (void *)(span_address(span) + (size_t)index * span->size);
        span->bits[0] |= UINT64_C(1) << index;
        span->zero &= ~(UINT64_C(1) << index);
        marks_allocated(span->page, 0, UINT64_C(1) << index);
        span->used++;
        holes_note_taken(span);
        central->objects_out++;
        central->allocs++;
        note_least_free(central, class);
        if (span->used == span->objects)
            spans_remove(central, span);
    }
    lock_release(&central->lock);
    return p;
}

/* --- Back --- */

/* The lock is given up before: the program's handler of SIGABRT may allocate. */
GA_NORETURN GA_COLD static void bad_object(const void *p, unsigned class, const char *kind)
{
    lock_release(&mcentrals[class].lock);
    unsigned row = class % SIZE_CLASS_COUNT;
    misuse_report(&(struct misuse){
        .what = kind, .address = p, .class = row, .class_size = size_classes[row].size});
}

static struct span *span_of_object(const void *p, unsigned class)
{
    struct span *span = mheap_span_of(p);
    if (GA_UNLIKELY(!span || span_central(span) != class))
        bad_object(p, class, "free of a block that was freed before");
    return span;
}

static void clear_bit(struct span *span, unsigned class, const void *p)
{
    size_t offset = (uintptr_t)p - span_address(span);
    size_t index = (offset * span->inverse) >> 32;
    if (GA_UNLIKELY(index * span->size != offset || index >= span->objects))
        bad_object(p, class, "free of a pointer into the middle of a block");
    uint64_t bit = UINT64_C(1) << index % 64;
    if (GA_UNLIKELY(!(span->bits[index / 64] & bit)))
        bad_object(p, class, "double free");
    if (GA_UNLIKELY(mheap_marks.audit))
        audit_free(span, index);
    span->bits[index / 64] &= ~bit;
}

/* `count` of the span's bits were cleared. */
static void gave_back(struct mcentral *central, struct span *span, unsigned count)
{
    span->used = (uint16_t)(span->used - count);
    span_relist(central, span);
}

/* Blocks are often freed in the order in which they were allocated, so that many in a row lie in
 * one span: it is looked up once for all of them. */
void objects_drain(unsigned class, void *const *objects, unsigned count)
{
    struct mcentral *central = &mcentrals[class];
    for (unsigned i = 0; i < count;) {
        struct span *span = span_of_object(objects[i], class);
        uintptr_t base = span_address(span), length = (uintptr_t)span->pages << HEAP_PAGE_SHIFT;
        unsigned from = i;
        do {
            clear_bit(span, class, objects[i]);
            i++;
        } while (i < count && (uintptr_t)objects[i] - base < length);
        gave_back(central, span, i - from);
    }
    central->objects_out -= count;
    if (!atomic_load_explicit(&mcentral_may_have_holes, memory_order_relaxed))
        atomic_store_explicit(&mcentral_may_have_holes, true, memory_order_relaxed);
}

unsigned mcentral_fill(unsigned class, void **objects, unsigned want)
{
    lock_acquire(&mcentrals[class].lock);
    unsigned got = fill(class, objects, want);
    bool near = lines_near(class);
    lock_release(&mcentrals[class].lock);
    if (near && got <= MAGAZINE_CAPACITY_MAX)
        lines_part(objects, got, size_classes[class % SIZE_CLASS_COUNT].size);
    return got;
}

void *mcentral_take_one(unsigned class)
{
    void *p = NULL;
    lock_acquire(&mcentrals[class].lock);
    mcentrals[class].allocs += fill(class, &p, 1);
    lock_release(&mcentrals[class].lock);
    return p;
}

void mcentral_give_one(unsigned class, void *p)
{
    lock_acquire(&mcentrals[class].lock);
    objects_drain(class, &p, 1);
    mcentrals[class].frees++;
    lock_release(&mcentrals[class].lock);
}

void mcentral_drain(unsigned class, void *const *objects, unsigned count)
{
    lock_acquire(&mcentrals[class].lock);
    objects_drain(class, objects, count);
    lock_release(&mcentrals[class].lock);
}

/* --- Objects that are kept apart --- */

void *mcentral_take_noscan(unsigned class)
{
    return mcentral_take_one(mcentral_noscan(class));
}

void *mcentral_take_typed(unsigned class)
{
    return mcentral_take_one(mcentral_typed(class));
}

void mcentral_free_apart(const struct span *span, void *p)
{
    mcentral_give_one(span_central(span), p);
}
