// SPDX-License-Identifier: MIT
/*
 * mark.c: from words to objects, and on.
 *
 *   word --in the heap?--> page --class entry--> object --mark bit was clear?--> its span is queued
 *
 * Place: roots.c brings words; cycle.c has the queue drained. Reads src/mheap's tables.
 *
 * The queue holds spans, first in first out, each at most once: by the time a span's turn comes
 * more of its objects are marked, and they are scanned together, while their lines are in the
 * cache. Marking an object touches the mark bits' line only, neither the object nor its span.
 *
 * Words are looked at in steps of four bytes: packed structures hold pointers so. What tells a
 * pointer is its upper half, so one compare a step refuses nearly everything.
 *
 * Invariants: a scanned object's mark bit is set; a span with objects that are marked and not
 * scanned is in the queue. Free objects may be marked, by stale pointers; they are not scanned, and
 * the sweep looks at used ones only.
 * Locking: the collector's thread alone. Either the world is stopped and the allocator's locks are
 * held, or mheap_marks.marking is set: then no span ends, and what was written while it was scanned
 * is scanned again.
 */
#include "../mcentral/mcentral.h"
#include "../os/os.h"
#include "../os/proc.h"
#include "internal.h"

/* From this size on an object is copied before it is looked at: the program may have protected
 * pages of it. */
#define COPY_MIN  ((size_t)4096)
#define COPY_STEP ((size_t)64 << 10)
/* From this size on pages that were never touched are left untouched. */
#define SPARSE_MIN ((size_t)1 << 20)

static struct {
    size_t first_page, pages;       /* of the heap, for this cycle */
    uint32_t low, high_range;       /* upper halves of its addresses: low .. low + high_range */
    uintptr_t records, records_end; /* the span structs */
    const uint16_t *classes;
    uint32_t *queue; /* first pages of spans */
    size_t capacity; /* a power of two */
    size_t head, tail;
    bool overflow; /* a span was marked for which the queue had no room */
    size_t scanned;
    char *copy;         /* COPY_STEP bytes */
    bool copy_directly; /* a sandbox refuses the call that copies safely */
} marker;

/* --- The queue --- */

static void enqueue(size_t first_page)
{
    uint8_t *queued = &marks_arena(first_page)->queued[first_page % ARENA_PAGES];
    if (*queued)
        return;
    if (GA_UNLIKELY(marker.tail - marker.head == marker.capacity)) {
        marker.overflow = true;
        return;
    }
    *queued = 1;
    marker.queue[marker.tail++ & (marker.capacity - 1)] = (uint32_t)first_page;
}

static bool grow_queue(size_t pages)
{
    size_t capacity = marker.capacity ? marker.capacity : 4096;
    while (capacity < pages)
        capacity *= 2;
    if (capacity == marker.capacity)
        return true;
    uint32_t *queue = mheap_meta_alloc(capacity * sizeof(*queue));
    if (!queue)
        return false;
    marker.queue = queue;
    marker.capacity = capacity;
    return true;
}

bool mark_prepare(void)
{
    char probe = 1, copy = 0;
    if (!marker.copy) {
        marker.copy = mheap_meta_alloc(COPY_STEP);
        marker.copy_directly = os_copy_memory(&copy, (uintptr_t)&probe, 1) != 1;
    }
    size_t pages = mheap_end() - mheap_view.start;
    return marker.copy && grow_queue(pages + pages / 2 + CHUNK_PAGES * 4);
}

void mark_begin(void)
{
    marker.head = marker.tail = marker.scanned = 0;
    marker.overflow = false;
    mark_look();
}

void mark_look(void)
{
    marker.first_page = mheap_view.start;
    marker.pages = mheap_end() - mheap_view.start;
    uintptr_t start = mheap_page_address(marker.first_page);
    uintptr_t last = start + (marker.pages << HEAP_PAGE_SHIFT); /* one past the end counts */
    marker.low = (uint32_t)(start >> 32);
    marker.high_range = (uint32_t)(last >> 32) - marker.low;
    marker.classes = mheap_view.classes;
    struct mheap_range own[MHEAP_OWN_RANGES];
    mheap_own_ranges(own);
    marker.records = own[2].start;
    marker.records_end = own[2].end;
}

size_t mark_scanned(void)
{
    return marker.scanned;
}

/* --- Marking --- */

static void set_mark(size_t first_page, size_t index)
{
    uint64_t *word = &marks_of(first_page)->mark[index / 64], bit = UINT64_C(1) << index % 64;
    if (__atomic_load_n(word, __ATOMIC_RELAXED) & bit)
        return;
    __atomic_fetch_or(word, bit, __ATOMIC_RELAXED); /* the program's refills mark here too */
    enqueue(first_page);
}

static uint32_t first_page_of(size_t page)
{
    return mheap_arena_of(page)->page_span[page % ARENA_PAGES];
}

/* Rounded down to 16 the division is exact; see size_classes.h. */
static size_t object_index(size_t class, size_t offset)
{
    const struct size_class *row = &size_classes[class];
    return row->objects == 1 ? 0 : ((offset & ~(MIN_ALIGN - 1)) * row->inverse) >> 32;
}

/* Class 0: a large block, or one of those whose pages have no class entry; or nothing. */
static GA_NOINLINE void mark_unclassed(uintptr_t word)
{
    const struct span *span = mheap_span_of((const void *)word);
    if (!span)
        return;
    size_t index = object_index(span->class, word - span_address(span));
    if (span->class == 0)
        set_mark(span->page, 0);
    else if (index < span->objects)
        set_mark(span->page, index);
}

/*
 * A page's first byte may be right behind a block that has no byte to spare: a large one, or one of
 * the largest class. (Others have; see size_classes_pad.)
 */
static GA_NOINLINE void mark_before(uintptr_t word)
{
    const struct span *span = mheap_span_of((const void *)(word - 1));
    if (span && (span->class == 0 || span->class == SIZE_CLASS_COUNT - 1))
        set_mark(span->page, 0);
}

static inline void mark_word(uintptr_t word)
{
    size_t page = word >> HEAP_PAGE_SHIFT;
    if (page - marker.first_page >= marker.pages)
        return;
    if (GA_UNLIKELY(!(word & (HEAP_PAGE - 1))))
        mark_before(word);
    size_t class = marker.classes[page] / SIZE_CLASS_OFFSET;
    if (class == 0) {
        mark_unclassed(word);
        return;
    }
    uint32_t first = first_page_of(page);
    size_t index = object_index(class, word - mheap_page_address(first));
    if (index < size_classes[class].objects)
        set_mark(first, index);
}

void mark_heap_word(uintptr_t word)
{
    marker.scanned += sizeof(word);
    mark_word(word);
}

void mark_root_word(uintptr_t word)
{
    mark_word(word);
    mark_word(word - 1);
}

void mark_leaf(void *object, void *context)
{
    (void)context;
    size_t page = (uintptr_t)object >> HEAP_PAGE_SHIFT;
    uint32_t first = first_page_of(page);
    size_t class = marker.classes[page] / SIZE_CLASS_OFFSET;
    size_t index = object_index(class, (uintptr_t)object - mheap_page_address(first));
    struct span_marks *marks = marks_of(first);
    marks->mark[index / 64] |= UINT64_C(1) << index % 64;
    marks->scan[index / 64] |= UINT64_C(1) << index % 64;
}

/* --- One object --- */

struct found {
    const struct span *span; /* NULL: none */
    size_t index;
};

static struct found find_object(uintptr_t address)
{
    const struct span *span = mheap_span_of((const void *)address);
    if (!span || span->class == 0)
        return (struct found){span, 0};
    size_t index = object_index(span->class, address - span_address(span));
    bool used = index < span->objects && span->bits[index / 64] >> index % 64 & 1;
    return (struct found){used ? span : NULL, index};
}

static bool is_marked(struct found found)
{
    return marks_read(marks_of(found.span->page), found.index / 64) >> found.index % 64 & 1;
}

bool mark_reached(uintptr_t address)
{
    struct found found = find_object(address);
    return !found.span || is_marked(found);
}

bool mark_is_dead(uintptr_t address)
{
    return !mark_reached(address);
}

void mark_alone(uintptr_t address)
{
    struct found found = find_object(address);
    if (!found.span)
        return;
    struct span_marks *marks = marks_of(found.span->page);
    marks->mark[found.index / 64] |= UINT64_C(1) << found.index % 64;
    marks->scan[found.index / 64] |= UINT64_C(1) << found.index % 64;
}

bool mark_claim(uintptr_t address)
{
    struct found found = find_object(address);
    if (!found.span)
        return false;
    uint64_t *word = &marks_of(found.span->page)->mark[found.index / 64];
    uint64_t bit = UINT64_C(1) << found.index % 64;
    return !(__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit);
}

void mark_claimed(uintptr_t address)
{
    const struct span *span = mheap_span_of((const void *)address);
    if (span)
        enqueue(span->page);
}

/* --- Looking at words --- */

/* Steps of four bytes: `upper` is the upper half of the word that began a step before. */
static void scan_heap_words(const void *start, const void *end)
{
    const uint32_t *at = start, *stop = end;
    uint32_t low = marker.low, range = marker.high_range;
    for (at++; at < stop; at++) {
        uint32_t upper = *at;
        if (GA_UNLIKELY(upper - low <= range))
            mark_word((uintptr_t)upper << 32 | at[-1]);
    }
    marker.scanned += (size_t)((const char *)end - (const char *)start);
}

void mark_roots(const void *start, const void *end)
{
    const uint32_t *at = start, *stop = end;
    uint32_t low = marker.low, range = marker.high_range;
    for (at++; at < stop; at++) {
        uint32_t upper = *at;
        if (GA_UNLIKELY(upper - low <= range))
            mark_root_word((uintptr_t)upper << 32 | at[-1]);
    }
    marker.scanned += (size_t)((const char *)end - (const char *)start);
}

/*
 * A thread that was stopped on its way out of the page heap may know a large block by its span
 * struct only.
 */
static void mark_span_struct(uintptr_t word)
{
    if (word < marker.records || word >= marker.records_end)
        return;
    size_t arena = (word - marker.records) / ARENA_RECORD_SIZE;
    uintptr_t spans = marker.records + arena * ARENA_RECORD_SIZE + offsetof(struct arena, spans);
    if (word < spans || word >= spans + sizeof(struct span) * ARENA_PAGES)
        return;
    size_t page =
        (mheap_view.first_arena + arena) * ARENA_PAGES + (word - spans) / sizeof(struct span);
    if (page - marker.first_page < marker.pages && mheap_span_at(page)->state == SPAN_LARGE)
        set_mark(page, 0);
}

void mark_stack(const void *start, const void *end)
{
    mark_roots(start, end);
    for (const uintptr_t *at = start; at + 1 <= (const uintptr_t *)end; at++)
        mark_span_struct(*at);
}

/* --- Following --- */

static void scan_copied(uintptr_t start, uintptr_t end)
{
    size_t page = os_page_size();
    /* Four bytes more than a step, for the word that lies across its end. */
    for (uintptr_t at = start; at < end;) {
        size_t want = end - at < COPY_STEP ? end - at : COPY_STEP;
        size_t got = os_copy_memory(marker.copy, at, want) & ~(size_t)3;
        scan_heap_words(marker.copy, marker.copy + got);
        if (got == want && at + got < end)
            got -= 4;
        at += got;
        if (got < 8 && at < end)
            at = round_down(at, page) + page; /* not readable */
    }
}

static void scan_range(uintptr_t start, uintptr_t end, void *context)
{
    (void)context;
    if (marker.copy_directly)
        scan_heap_words((const void *)start, (const void *)end);
    else
        scan_copied(start, end);
}

static void scan_object(const struct span *span, uintptr_t start, size_t size)
{
    if (GA_UNLIKELY(span->typed) && typed_scan(span, start, start, start + size))
        return;
    if (size < COPY_MIN)
        scan_heap_words((const void *)start, (const void *)(start + size));
    else if (size <= SPARSE_MIN)
        scan_range(start, start + size, NULL);
    else
        os_each_populated(start, start + size, scan_range, NULL);
}

void mark_behind(uintptr_t address)
{
    struct found found = find_object(address);
    if (!found.span || found.span->noscan)
        return;
    size_t size =
        found.span->class ? found.span->size : (size_t)found.span->pages << HEAP_PAGE_SHIFT;
    scan_object(found.span, span_address(found.span) + found.index * size, size);
}

static void scan_large(const struct span *span, struct span_marks *marks)
{
    if (!(marks_read(marks, 0) & ~marks->scan[0] & 1))
        return;
    marks->scan[0] |= 1;
    scan_object(span, span_address(span), (size_t)span->pages << HEAP_PAGE_SHIFT);
}

/* Of a span's bits, those words that stand for objects. */
static unsigned words_of(const struct span *span)
{
    return (span->objects + 63u) / 64;
}

/* Has the objects fetched that a span would scan now: one after the other each would be waited for.
 */
static void fetch_objects(size_t first_page)
{
    const struct span *span = mheap_span_at(first_page);
    const struct span_marks *marks = marks_of(first_page);
    if (span->noscan || span->state == SPAN_LARGE)
        return;
    size_t fetched = span->size < GA_CACHE_LINE ? span->size : GA_CACHE_LINE;
    for (unsigned i = 0; i < words_of(span); i++)
        for (uint64_t fresh = marks_read(marks, i) & ~marks->scan[i]; fresh; fresh &= fresh - 1) {
            size_t index = i * 64 + (unsigned)__builtin_ctzl(fresh);
            uintptr_t object = span_address(span) + index * span->size;
            GA_PREFETCH(object);
            GA_PREFETCH(object + fetched - 1);
        }
}

static void scan_span(size_t first_page)
{
    const struct span *span = mheap_span_at(first_page);
    struct span_marks *marks = marks_of(first_page);
    marks_arena(first_page)->queued[first_page % ARENA_PAGES] = 0;
    if (span->noscan)
        return;
    if (span->state == SPAN_LARGE) {
        scan_large(span, marks);
        return;
    }
    for (unsigned i = 0; i < words_of(span); i++) {
        uint64_t marked = marks_read(marks, i); /* once: others mark meanwhile */
        uint64_t fresh = marked & ~marks->scan[i] & span->bits[i];
        marks->scan[i] |= marked;
        for (; fresh; fresh &= fresh - 1) {
            size_t index = i * 64 + (unsigned)__builtin_ctzl(fresh);
            scan_object(span, span_address(span) + index * span->size, span->size);
        }
    }
}

/* How far ahead of its turn a span's bits are fetched, and then its objects. */
#define FETCH_AHEAD   6
#define OBJECTS_AHEAD 2
/* So many spans are scanned between two looks at whether to go on. */
#define LOOK_EVERY 64

static void drain_some(size_t count)
{
    size_t mask = marker.capacity - 1;
    for (; count > 0 && marker.head != marker.tail; count--) {
        if (marker.tail - marker.head > FETCH_AHEAD) {
            uint32_t next = marker.queue[(marker.head + FETCH_AHEAD) & mask];
            GA_PREFETCH(marks_of(next));
            GA_PREFETCH(marks_of(next)->scan);
            GA_PREFETCH(mheap_span_at(next));
            GA_PREFETCH(mheap_span_at(next)->bits);
        }
        if (marker.tail - marker.head > OBJECTS_AHEAD)
            fetch_objects(marker.queue[(marker.head + OBJECTS_AHEAD) & mask]);
        scan_span(marker.queue[marker.head++ & mask]);
    }
}

bool mark_drain_beside(const atomic_bool *give_up)
{
    while (marker.head != marker.tail) {
        if (atomic_load_explicit(give_up, memory_order_relaxed))
            return false;
        drain_some(LOOK_EVERY);
    }
    return true;
}

void each_span(void (*visit)(size_t first_page))
{
    for (size_t page = marker.first_page; page < marker.first_page + marker.pages;) {
        const struct span *span = mheap_span_at(page);
        if (span->state == SPAN_SMALL || span->state == SPAN_LARGE)
            visit(page);
        page += span->state == SPAN_NONE ? 1 : span->pages;
    }
}

static void enqueue_unscanned(size_t first_page)
{
    const struct span_marks *marks = marks_of(first_page);
    uint64_t unscanned = 0;
    for (unsigned i = 0; i < MARK_WORDS; i++)
        unscanned |= marks_read(marks, i) & ~marks->scan[i];
    if (unscanned)
        enqueue(first_page);
}

void mark_again(size_t first_page)
{
    struct span_marks *marks = marks_of(first_page);
    for (unsigned i = 0; i < MARK_WORDS; i++)
        marks->scan[i] = 0;
    enqueue(first_page);
}

void mark_in_use(size_t first_page)
{
    const struct span *span = mheap_span_at(first_page);
    if (span->state == SPAN_LARGE)
        marks_add(first_page, 0, 1);
    for (unsigned i = 0; span->state == SPAN_SMALL && i < words_of(span); i++)
        marks_add(first_page, i, __atomic_load_n(&span->bits[i], __ATOMIC_RELAXED));
    mark_again(first_page);
}

void mark_drain(void)
{
    drain_some(SIZE_MAX);
    while (marker.overflow) {
        marker.overflow = false;
        each_span(enqueue_unscanned);
        drain_some(SIZE_MAX);
    }
}

/* --- Again, what was written --- */

/* The part of [start, end) that lies in an object, with what of a word may lie before and behind.
 */
static void rescan_part(const struct span *span, uintptr_t object, size_t size, uintptr_t start,
                        uintptr_t end)
{
    uintptr_t from = start > object + 8 ? start - 8 : object;
    uintptr_t to = end + 8 < object + size ? end + 8 : object + size;
    if (GA_UNLIKELY(span->typed) && typed_scan(span, object, from, to))
        return;
    if (from < to && size < COPY_MIN)
        scan_heap_words((const void *)from, (const void *)to);
    else if (from < to)
        scan_range(from, to, NULL);
}

static void rescan_objects(const struct span *span, uintptr_t start, uintptr_t end)
{
    const struct span_marks *marks = marks_of(span->page);
    uintptr_t base = span_address(span);
    size_t first = object_index(span->class, start - base);
    size_t last = object_index(span->class, end - 1 - base);
    for (size_t i = first; i <= last && i < span->objects; i++) {
        uint64_t bit = UINT64_C(1) << i % 64;
        uint64_t marked = __atomic_load_n(&marks->mark[i / 64], __ATOMIC_RELAXED);
        if (marked & span->bits[i / 64] & bit)
            rescan_part(span, base + i * span->size, span->size, start, end);
    }
}

/*
 * What is marked and lies in [start, end), whether it was scanned or not. While the program runs
 * what is read of a span may be stale; the last time it isn't.
 */
void mark_rescan(uintptr_t start, uintptr_t end, void *bytes)
{
    *(size_t *)bytes += end - start;
    for (uintptr_t at = start; at < end;) {
        const struct span *span = mheap_span_of((const void *)at);
        uintptr_t next = round_down(at, HEAP_PAGE) + HEAP_PAGE;
        if (span)
            next = span_address(span) + ((size_t)span->pages << HEAP_PAGE_SHIFT);
        uintptr_t stop = next < end ? next : end;
        if (span && !span->noscan && span->state == SPAN_SMALL)
            rescan_objects(span, at, stop);
        else if (span && !span->noscan && marks_of(span->page)->mark[0] & 1)
            rescan_part(span, span_address(span), next - span_address(span), at, stop);
        at = next;
    }
}

static void clear_marks(size_t first_page)
{
    *marks_of(first_page) = (struct span_marks){{0}, {0}};
    marks_arena(first_page)->queued[first_page % ARENA_PAGES] = 0;
}

void mark_undo(void)
{
    mark_look();
    marker.head = marker.tail;
    each_span(clear_marks);
}
