// SPDX-License-Identifier: MIT
/*
 * mark.c: from words to objects, and on.
 *
 *   word --in the heap?--> page --class entry--> object --mark bit was clear?--> its span is queued
 *
 * Place: roots.c brings words; drain.c takes spans from the queue, and brings them here. Reads
 * src/mheap's tables.
 *
 * The queue (work.h) holds spans, first in first out, each at most once: by the time a span's turn
 * comes more of its objects are marked, and they are scanned together, while their lines are in the
 * cache. Marking an object touches the mark bits' line only, neither the object nor its span. An
 * object above PIECE is queued by the piece: each stands for itself with its first page.
 *
 * Words are looked at in steps of four bytes: packed structures hold pointers so. What tells a
 * pointer is its upper half, so one compare a step refuses nearly everything.
 *
 * Several may mark at once. A mark bit is set before `queued` is looked at, and `queued` is cleared
 * before the mark bits are looked at, sequentially consistent all four: so who finds a span queued
 * knows that his object will be seen. Two may have the same span in hand, if it was queued again
 * when the first had taken it. Then scan bits may get lost, and an object may be looked into
 * twice, which does no harm.
 *
 * The heap may grow meanwhile: a word behind what is known of it is compared with its end as it is.
 *
 * Invariants: a scanned object's mark bit is set; a span with objects that are marked and not
 * scanned is in the queue, or in somebody's hands. Free objects may be marked, by stale pointers;
 * they are not scanned, and the sweep looks at used ones only.
 * Locking: those with a struct marker alone; without one, the collector's thread. Either the world
 * is stopped and the allocator's locks are held, or mheap_marks.marking is set: then no span ends,
 * and what was written while it was scanned is scanned again.
 */
#include "../mcentral/mcentral.h"
#include "../os/os.h"
#include "../os/proc.h"
#include "internal.h"
#include "work.h"

/* From this size on an object is copied before it is looked at: the program may have protected
 * pages of it. */
#define COPY_MIN ((size_t)4096)
/* From this size on pages that were never touched are left untouched. */
#define SPARSE_MIN ((size_t)1 << 20)
/* What of an object is looked at in one go. */
#define PIECE ((size_t)128 << 10)

static struct {
    size_t first_page;              /* of the heap */
    atomic_size_t pages;            /* of it that are known; relaxed, it only grows */
    size_t pages_most;              /* a word further up wouldn't be recognised as an address */
    uint32_t low, high_range;       /* upper halves of its addresses: low .. low + high_range */
    uintptr_t records, records_end; /* the span structs */
    const uint16_t *classes;
    atomic_bool overflow; /* a span was marked for which a ring had no room; relaxed */
    bool copy_directly;   /* a sandbox refuses the call that copies safely */
} heap;

/* --- The queue --- */

static void enqueue(struct marker *marker, size_t first_page)
{
    uint8_t *queued = &marks_arena(first_page)->queued[first_page % ARENA_PAGES];
    if (__atomic_load_n(queued, __ATOMIC_SEQ_CST) ||
        __atomic_exchange_n(queued, 1, __ATOMIC_SEQ_CST))
        return;
    if (GA_LIKELY(work_put(marker, first_page)))
        return;
    __atomic_store_n(queued, 0, __ATOMIC_RELAXED);
    atomic_store_explicit(&heap.overflow, true, memory_order_relaxed);
}

bool mark_prepare(void)
{
    char probe = 1, copy = 0;
    heap.copy_directly = os_copy_memory(&copy, (uintptr_t)&probe, 1) != 1;
    size_t pages = mheap_end() - mheap_view.start;
    return work_prepare(pages + pages / 2 + CHUNK_PAGES * 4);
}

void mark_begin(void)
{
    work_reset();
    atomic_store_explicit(&heap.overflow, false, memory_order_relaxed);
    mark_look();
}

/* So much may the heap grow while it is marked: as much again as there is, and a little. */
#define GROWTH_MIN ((size_t)4 << 30 >> HEAP_PAGE_SHIFT)

void mark_look(void)
{
    heap.first_page = mheap_view.start;
    size_t pages = mheap_end() - heap.first_page;
    uintptr_t start = mheap_page_address(heap.first_page);
    heap.pages_most = pages * 2 + GROWTH_MIN;
    /* One past the end counts. */
    uintptr_t last = start + (heap.pages_most << HEAP_PAGE_SHIFT);
    atomic_store_explicit(&heap.pages, pages, memory_order_relaxed);
    heap.low = (uint32_t)(start >> 32);
    heap.high_range = (uint32_t)(last >> 32) - heap.low;
    heap.classes = mheap_view.classes;
    struct mheap_range own[MHEAP_OWN_RANGES];
    mheap_own_ranges(own);
    heap.records = own[2].start;
    heap.records_end = own[2].end;
}

bool mark_knows_all(void)
{
    return mheap_end() - heap.first_page <= heap.pages_most;
}

bool mark_copies(void)
{
    return !heap.copy_directly;
}

size_t mark_scanned(void)
{
    return work_scanned();
}

static void count_scanned(struct marker *marker, size_t bytes)
{
    size_t scanned = atomic_load_explicit(&marker->scanned, memory_order_relaxed);
    atomic_store_explicit(&marker->scanned, scanned + bytes, memory_order_relaxed);
}

/* --- Marking --- */

static void set_mark(struct marker *marker, size_t first_page, size_t index)
{
    uint64_t *word = &marks_of(first_page)->mark[index / 64], bit = UINT64_C(1) << index % 64;
    if (__atomic_load_n(word, __ATOMIC_RELAXED) & bit)
        return;
    __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
    enqueue(marker, first_page);
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
static GA_NOINLINE void mark_unclassed(struct marker *marker, uintptr_t word)
{
    const struct span *span = mheap_span_of((const void *)word);
    if (!span)
        return;
    size_t index = object_index(span->class, word - span_address(span));
    if (span->class == 0)
        set_mark(marker, span->page, 0);
    else if (index < span->objects)
        set_mark(marker, span->page, index);
}

/*
 * A page's first byte may be right behind a block that has no byte to spare: a large one, or one of
 * the largest class. (Others have; see size_classes_pad.)
 */
static GA_NOINLINE void mark_before(struct marker *marker, uintptr_t word)
{
    const struct span *span = mheap_span_of((const void *)(word - 1));
    if (span && (span->class == 0 || span->class == SIZE_CLASS_COUNT - 1))
        set_mark(marker, span->page, 0);
}

/* Whether the heap has that page by now. */
static GA_NOINLINE bool has_grown_to(size_t page)
{
    size_t pages = mheap_end() - heap.first_page;
    if (page - heap.first_page >= pages)
        return false;
    atomic_store_explicit(&heap.pages, pages, memory_order_relaxed);
    return true;
}

static inline void mark_word(struct marker *marker, uintptr_t word)
{
    size_t page = word >> HEAP_PAGE_SHIFT;
    if (GA_UNLIKELY(page - heap.first_page >=
                    atomic_load_explicit(&heap.pages, memory_order_relaxed)) &&
        !has_grown_to(page))
        return;
    if (GA_UNLIKELY(!(word & (HEAP_PAGE - 1))))
        mark_before(marker, word);
    size_t class = heap.classes[page] / SIZE_CLASS_OFFSET;
    if (class == 0) {
        mark_unclassed(marker, word);
        return;
    }
    uint32_t first = first_page_of(page);
    size_t index = object_index(class, word - mheap_page_address(first));
    if (index < size_classes[class].objects)
        set_mark(marker, first, index);
}

void mark_heap_word(struct marker *marker, uintptr_t word)
{
    count_scanned(marker, sizeof(word));
    mark_word(marker, word);
}

void mark_root_word(uintptr_t word)
{
    mark_word(work_own(), word);
    if (GA_LOAD_ANY(gc_tight))
        mark_word(work_own(), word - 1);
}

void mark_leaf(void *object, void *context)
{
    (void)context;
    size_t page = (uintptr_t)object >> HEAP_PAGE_SHIFT;
    uint32_t first = first_page_of(page);
    size_t class = heap.classes[page] / SIZE_CLASS_OFFSET;
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
        enqueue(work_own(), span->page);
}

/* --- Looking at words --- */

/* Steps of four bytes: `upper` is the upper half of the word that began a step before. */
static void scan_heap_words(struct marker *marker, const void *start, const void *end)
{
    const uint32_t *at = start, *stop = end;
    uint32_t low = heap.low, range = heap.high_range;
    for (at++; at < stop; at++) {
        uint32_t upper = *at;
        if (GA_UNLIKELY(upper - low <= range))
            mark_word(marker, (uintptr_t)upper << 32 | at[-1]);
    }
    count_scanned(marker, (size_t)((const char *)end - (const char *)start));
}

void mark_roots(const void *start, const void *end)
{
    const uint32_t *at = start, *stop = end;
    uint32_t low = heap.low, range = heap.high_range;
    for (at++; at < stop; at++) {
        uint32_t upper = *at;
        if (GA_UNLIKELY(upper - low <= range))
            mark_root_word((uintptr_t)upper << 32 | at[-1]);
    }
    count_scanned(work_own(), (size_t)((const char *)end - (const char *)start));
}

/*
 * A thread that was stopped on its way out of the page heap may know a large block by its span
 * struct only.
 */
static void mark_span_struct(uintptr_t word)
{
    if (word < heap.records || word >= heap.records_end)
        return;
    size_t arena = (word - heap.records) / ARENA_RECORD_SIZE;
    uintptr_t spans = heap.records + arena * ARENA_RECORD_SIZE + offsetof(struct arena, spans);
    if (word < spans || word >= spans + sizeof(struct span) * ARENA_PAGES)
        return;
    size_t page =
        (mheap_view.first_arena + arena) * ARENA_PAGES + (word - spans) / sizeof(struct span);
    size_t pages = atomic_load_explicit(&heap.pages, memory_order_relaxed);
    if (page - heap.first_page < pages && mheap_span_at(page)->state == SPAN_LARGE)
        set_mark(work_own(), page, 0);
}

void mark_stack(const void *start, const void *end)
{
    mark_roots(start, end);
    for (const uintptr_t *at = start; at + 1 <= (const uintptr_t *)end; at++)
        mark_span_struct(*at);
}

/* --- Following --- */

static void scan_copied(struct marker *marker, uintptr_t start, uintptr_t end)
{
    size_t page = os_page_size();
    /* Four bytes more than a step, for the word that lies across its end. */
    for (uintptr_t at = start; at < end;) {
        size_t want = end - at < COPY_STEP ? end - at : COPY_STEP;
        size_t got = os_copy_memory(marker->copy, at, want) & ~(size_t)3;
        scan_heap_words(marker, marker->copy, marker->copy + got);
        if (got == want && at + got < end)
            got -= 4;
        at += got;
        if (got < 8 && at < end)
            at = round_down(at, page) + page; /* not readable */
    }
}

static void scan_range(uintptr_t start, uintptr_t end, void *marker)
{
    if (heap.copy_directly)
        scan_heap_words(marker, (const void *)start, (const void *)end);
    else
        scan_copied(marker, start, end);
}

/* Of an object what is to be looked at. */
struct part {
    const struct span *span;
    uintptr_t object;
    size_t size; /* the object's */
    uintptr_t start, end;
    bool sparse; /* pages of it may never have been touched; it begins with a page */
};

static void scan_part(struct marker *marker, const struct part *part)
{
    uintptr_t start = part->start, end = part->end;
    if (GA_UNLIKELY(part->span->typed) && typed_scan(marker, part->span, part->object, start, end))
        return;
    if (part->size < COPY_MIN)
        scan_heap_words(marker, (const void *)start, (const void *)end);
    else if (part->sparse)
        os_each_populated(start, end, scan_range, marker);
    else
        scan_range(start, end, marker);
}

static void scan_object(struct marker *marker, const struct span *span, uintptr_t start,
                        size_t size)
{
    if (GA_LIKELY(size < COPY_MIN && !span->typed)) {
        scan_heap_words(marker, (const void *)start, (const void *)(start + size));
        return;
    }
    scan_part(marker, &(struct part){span, start, size, start, start + size, size > SPARSE_MIN});
}

static size_t size_of(const struct span *span)
{
    return span->class ? span->size : (size_t)span->pages << HEAP_PAGE_SHIFT;
}

uintptr_t mark_end_of(uintptr_t address)
{
    struct found found = find_object(address);
    if (!found.span || (found.span->state != SPAN_SMALL && found.span->state != SPAN_LARGE))
        return 0;
    return span_address(found.span) + (found.index + 1) * size_of(found.span);
}

void mark_behind(uintptr_t address)
{
    struct found found = find_object(address);
    if (!found.span || found.span->noscan)
        return;
    size_t size = size_of(found.span);
    uintptr_t object = span_address(found.span) + found.index * size;
    scan_object(work_own(), found.span, object, size);
}

/* Of a large block, from a page on; with what of a word may lie across the end. */
static void scan_piece(struct marker *marker, const struct span *span, size_t page)
{
    uintptr_t object = span_address(span), start = mheap_page_address(page);
    size_t size = (size_t)span->pages << HEAP_PAGE_SHIFT;
    if (start - object >= size)
        return; /* it is shorter by now */
    uintptr_t end = object + size;
    if (end - start > PIECE + sizeof(uint32_t))
        end = start + PIECE + sizeof(uint32_t);
    scan_part(marker, &(struct part){span, object, size, start, end, size > SPARSE_MIN});
}

/* Those behind the first are left to whoever comes by. */
static void scan_large(struct marker *marker, const struct span *span, struct span_marks *marks)
{
    uint64_t marked = __atomic_load_n(&marks->mark[0], __ATOMIC_SEQ_CST) & 1;
    if (!marked || __atomic_fetch_or(&marks->scan[0], 1, __ATOMIC_RELAXED) & 1)
        return;
    size_t step = PIECE >> HEAP_PAGE_SHIFT, end = (size_t)span->page + span->pages;
    for (size_t page = span->page + step; page < end; page += step)
        if (!work_put(marker, page))
            scan_piece(marker, span, page);
    scan_piece(marker, span, span->page);
}

/* Of a span's bits, those words that stand for objects. */
static unsigned words_of(const struct span *span)
{
    return (span->objects + 63u) / 64;
}

void mark_fetch_objects(size_t first_page)
{
    const struct span *span = mheap_span_at(first_page);
    const struct span_marks *marks = marks_of(first_page);
    if (span->noscan || span->state != SPAN_SMALL)
        return;
    size_t fetched = span->size < GA_CACHE_LINE ? span->size : GA_CACHE_LINE;
    bool small = span->size < GA_CACHE_LINE / 2; /* several have a line in common */
    uintptr_t last = 0;
    for (unsigned i = 0; i < words_of(span); i++)
        for (uint64_t fresh = marks_read(marks, i) & ~marks->scan[i]; fresh; fresh &= fresh - 1) {
            size_t index = i * 64 + (unsigned)__builtin_ctzl(fresh);
            uintptr_t object = span_address(span) + index * span->size;
            if (small && object / GA_CACHE_LINE == last)
                continue;
            last = object / GA_CACHE_LINE;
            GA_PREFETCH(object);
            if (!small)
                GA_PREFETCH(object + fetched - 1);
        }
}

/* Those objects of a word that are in use and were marked since it was last looked at. Two that
 * have the same span in hand may both get one, and look into it twice. */
static uint64_t claim(const struct span *span, struct span_marks *marks, unsigned word)
{
    uint64_t marked = __atomic_load_n(&marks->mark[word], __ATOMIC_SEQ_CST);
    uint64_t used = __atomic_load_n(&span->bits[word], __ATOMIC_RELAXED);
    uint64_t scanned = __atomic_load_n(&marks->scan[word], __ATOMIC_RELAXED);
    uint64_t fresh = marked & used & ~scanned;
    if (fresh)
        __atomic_store_n(&marks->scan[word], scanned | fresh, __ATOMIC_RELAXED);
    return fresh;
}

static void scan_small(struct marker *marker, const struct span *span, struct span_marks *marks)
{
    for (unsigned i = 0; i < words_of(span); i++)
        for (uint64_t fresh = claim(span, marks, i); fresh; fresh &= fresh - 1) {
            size_t index = i * 64 + (unsigned)__builtin_ctzl(fresh);
            uintptr_t object = span_address(span) + index * span->size;
            scan_object(marker, span, object, span->size);
        }
}

/*
 * What takes a system call, to copy or to ask for its pages, is left to the library's own threads:
 * the program's may have shut themselves in since the first cycle.
 */
static bool is_left(struct marker *marker, const struct span *span, size_t page)
{
    bool plain = span->noscan || (span->state == SPAN_SMALL && span->size < COPY_MIN);
    if (GA_LIKELY(!marker->plain || plain))
        return false;
    marker->left[marker->left_count++] = (uint32_t)page;
    return true;
}

void mark_queued(struct marker *marker, size_t page)
{
    size_t first = first_page_of(page);
    const struct span *span = mheap_span_at(first);
    if (is_left(marker, span, page))
        return;
    if (first != page) {
        if (span->state == SPAN_LARGE && !span->noscan)
            scan_piece(marker, span, page);
        return;
    }
    __atomic_exchange_n(&marks_arena(page)->queued[page % ARENA_PAGES], 0, __ATOMIC_SEQ_CST);
    if (span->noscan)
        return;
    if (span->state == SPAN_LARGE)
        scan_large(marker, span, marks_of(page));
    else if (span->state == SPAN_SMALL)
        scan_small(marker, span, marks_of(page));
}

void each_span(void (*visit)(size_t first_page))
{
    size_t end = heap.first_page + atomic_load_explicit(&heap.pages, memory_order_relaxed);
    for (size_t page = heap.first_page; page < end;) {
        const struct span *span = mheap_span_at(page);
        if (span->state >= SPAN_DEAD)
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
        enqueue(work_own(), first_page);
}

void mark_again(size_t first_page)
{
    struct span_marks *marks = marks_of(first_page);
    for (unsigned i = 0; i < MARK_WORDS; i++)
        marks->scan[i] = 0;
    enqueue(work_own(), first_page);
}

void mark_in_use(size_t first_page)
{
    const struct span *span = mheap_span_at(first_page);
    if (span->state == SPAN_LARGE)
        marks_add(first_page, 0, 1);
    for (unsigned i = 0; span->state == SPAN_SMALL && i < words_of(span); i++) {
        uint64_t used = __atomic_load_n(&span->bits[i], __ATOMIC_RELAXED);
        marks_add(first_page, i, used & marks_within(i, 0, span->objects - 1u));
    }
    mark_again(first_page);
}

bool mark_enqueue_missed(void)
{
    bool missed = atomic_exchange_explicit(&heap.overflow, false, memory_order_relaxed);
    if (missed)
        each_span(enqueue_unscanned);
    return missed;
}

/* --- Again, what was written --- */

/* The part of [start, end) that lies in an object, with what of a word may lie before and behind.
 */
static void rescan_part(const struct span *span, uintptr_t object, size_t size, uintptr_t start,
                        uintptr_t end)
{
    uintptr_t from = start > object + 8 ? start - 8 : object;
    uintptr_t to = end + 8 < object + size ? end + 8 : object + size;
    if (from < to)
        scan_part(work_own(), &(struct part){span, object, size, from, to, false});
}

static void rescan_objects(const struct span *span, uintptr_t start, uintptr_t end)
{
    const struct span_marks *marks = marks_of(span->page);
    uintptr_t base = span_address(span);
    size_t first = object_index(span->class, start - base);
    size_t last = object_index(span->class, end - 1 - base);
    last = last < span->objects ? last : span->objects - 1u;
    for (size_t word = first / 64; word <= last / 64; word++) {
        uint64_t marked = __atomic_load_n(&marks->mark[word], __ATOMIC_RELAXED) & span->bits[word];
        marked &= marks_within(word, first, last);
        for (; marked; marked &= marked - 1) {
            size_t index = word * 64 + (unsigned)__builtin_ctzl(marked);
            rescan_part(span, base + index * span->size, span->size, start, end);
        }
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
    work_reset();
    each_span(clear_marks);
}
