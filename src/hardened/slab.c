// SPDX-License-Identifier: MIT
/*
 * slab.c: slots of a size class, taken at random and given back.
 *
 * Place: cache.c takes and gives many at a time; large.c makes slabs of one slot. Calls src/mheap
 * for spans and guard.c for pads.
 *
 * A class up to 32 KB has spans cut into as many slots as src/size_classes says; above that a slab
 * is one slot with a page that traps before and behind it. What is known of a slab lies in its
 * struct, and of a slot in its note, both far from the slots themselves.
 *
 * Invariants:
 *   - a slab is on `partial` while it has slots both out and in, on `empty` while none is out, and
 *     on no list while all are; empty ones count as what depots hold, and stay until memory is
 * given back;
 *   - `out` counts the set bits; a slot comes out only by setting its bit and goes back only by
 *     clearing it.
 * Locking: one lock a class, inside the caches' registry's, outside the heap's.
 */
#include "../mcentral/mcentral.h"
#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

static struct {
    struct lock lock;
    struct slab *partial; /* guarded by lock, as is all else */
    struct slab *empty;
    size_t spans, out;
} __attribute__((aligned(GA_CACHE_LINE))) classes[SIZE_CLASS_COUNT];

/* --- The lists --- */

static void list_add(struct slab **list, struct slab *slab)
{
    slab->listed = true;
    slab->prev = NULL;
    slab->next = *list;
    if (slab->next)
        slab->next->prev = slab;
    *list = slab;
}

static void list_remove(struct slab **list, struct slab *slab)
{
    bool whole = slab->listed && (slab->prev ? slab->prev->next : *list) == slab &&
                 (!slab->next || slab->next->prev == slab);
    if (GA_UNLIKELY(!whole))
        report_fatal("broken heap: the list of slabs of size class %u", (unsigned)slab->class);
    slab->listed = false;
    if (slab->next)
        slab->next->prev = slab->prev;
    if (slab->prev)
        slab->prev->next = slab->next;
    else
        *list = slab->next;
}

static void empty_add(struct slab *slab)
{
    list_add(&classes[slab->class].empty, slab);
    mcentral_count_spare((long)(slab->stride * slab->slots));
}

static void empty_remove(struct slab *slab)
{
    list_remove(&classes[slab->class].empty, slab);
    mcentral_count_spare(-(long)(slab->stride * slab->slots));
}

/* --- Making and freeing --- */

/* The bits past the last slot are set for ever. */
static void init_bits(struct slab *slab)
{
    for (size_t i = slab->slots; i < SPAN_OBJECTS_MAX; i = (i / 64 + 1) * 64)
        slab->bits[i / 64] = ~UINT64_C(0) << i % 64;
}

static uint32_t wiped_of(const struct slab *slab)
{
    return (uint32_t)(slab->stride < hardened.zero_max ? slab->stride : hardened.zero_max);
}

/* All of a slab's slots are fresh. */
static void note_slots(struct slab *slab)
{
    unsigned note = note_free(slab->class, slab->clean ? NOTE_FRESH : NOTE_STALE);
    for (size_t i = 0; i < slab->slots; i++)
        note_store(slab_note(slab, (void *)(slab->base + i * slab->stride)), note);
}

static struct slab *make_many(struct slab *slab)
{
    const struct size_class *class = &size_classes[slab->class];
    struct span *span = mheap_alloc_owned_objects(class->pages, class->size, SPAN_HARDENED, slab);
    if (!span)
        return NULL;
    slab->span = span;
    slab->base = span_address(span);
    slab->stride = class->size;
    slab->room = class->size - hardened.canary;
    slab->inverse = class->inverse;
    slab->clean = mheap_was_clean(span);
    slab->wiped = wiped_of(slab);
    mheap_set_owner(span->page, span->pages, slab);
    note_slots(slab);
    return slab;
}

static size_t pad_behind(const struct slab *slab)
{
    uintptr_t end = span_address(slab->span) + ((size_t)slab->span->pages << HEAP_PAGE_SHIFT);
    return end - slab->base - slab->stride;
}

static enum guard install_pads(const struct slab *slab)
{
    uintptr_t start = span_address(slab->span), behind = slab->base + slab->stride;
    enum guard before = guard_install(start, slab->base - start);
    if (before == GUARD_NONE)
        return GUARD_NONE;
    enum guard after = guard_install(behind, pad_behind(slab));
    if (after == before)
        return before;
    guard_remove(before, start, slab->base - start);
    guard_remove(after, behind, pad_behind(slab));
    return GUARD_NONE;
}

/* A page of the heap before, at least, and one behind. */
struct slab *slab_make_single(struct slab *slab, size_t bytes, bool grows, size_t align)
{
    size_t pages = pages_for(bytes), before = align > HEAP_PAGE ? align >> HEAP_PAGE_SHIFT : 1;
    if (bytes > WINDOW_SIZE || before > WINDOW_PAGES)
        return NULL;
    pages += before + 1;
    struct span *span = grows ? mheap_alloc_owned_growing(pages, SPAN_HARDENED, slab)
                              : mheap_alloc_owned(pages, HEAP_PAGE, SPAN_HARDENED, slab);
    if (!span)
        return NULL;
    slab->span = span;
    slab->base = round_up(span_address(span) + HEAP_PAGE, align);
    slab->stride = slab->room = round_up(bytes, HEAP_PAGE);
    slab->inverse = 0;
    slab->clean = mheap_was_clean(span);
    slab->wiped = wiped_of(slab);
    mheap_set_owner(slab->base >> HEAP_PAGE_SHIFT, 1, slab);
    note_slots(slab);
    slab->guard = (uint8_t)install_pads(slab);
    slab->pads_zero = slab->clean || slab->guard == GUARD_MARKED; /* marking releases */
    return slab;
}

void slab_free_span(struct slab *slab, bool dirty)
{
    uintptr_t start = span_address(slab->span);
    mheap_set_owner(slab->span->page, slab->inverse ? slab->span->pages : 1, NULL);
    mheap_set_owner(slab->base >> HEAP_PAGE_SHIFT, 1, NULL);
    if (slab->inverse)
        mheap_clear_notes(slab->span->page, slab->span->pages);
    if (slab->slots == 1) {
        guard_remove((enum guard)slab->guard, start, slab->base - start);
        guard_remove((enum guard)slab->guard, slab->base + slab->stride, pad_behind(slab));
    }
    mheap_free_owned(slab->span, dirty);
}

/* The pad behind makes way for one behind the pages that come. Where that fails they stay, as pad.
 */
bool slab_extend(struct slab *slab, size_t size)
{
    size_t stride = round_up(size, HEAP_PAGE), more = stride - slab->stride;
    uintptr_t behind = slab->base + slab->stride;
    if (slab->guard == GUARD_SPLIT || size > WINDOW_SIZE)
        return false;
    bool pads_zero = slab->pads_zero && slab->guard == GUARD_MARKED;
    if (more + HEAP_PAGE > pad_behind(slab) &&
        !mheap_extend_owned(slab->span, slab->span->pages + (more >> HEAP_PAGE_SHIFT)))
        return false;
    slab->pads_zero = false; /* what came may hold something */
    if (slab->guard == GUARD_MARKED &&
        !(os_guard(slab->base + stride, HEAP_PAGE) && os_unguard(behind, more)))
        return false;
    slab->pads_zero = pads_zero;
    slab->stride = slab->room = stride;
    return true;
}

/* Lock held. */
static struct slab *make(unsigned class)
{
    struct slab *slab = slab_struct(class, size_classes[class].objects);
    if (!slab)
        return NULL;
    struct slab *made = slab->slots > 1
                            ? make_many(slab)
                            : slab_make_single(slab, size_classes[class].size, false, HEAP_PAGE);
    if (!made) {
        slab_struct_free(slab);
        return NULL;
    }
    init_bits(slab);
    classes[class].spans++;
    return slab;
}

/* Lock held. No slot is out, and it is on no list. */
static void unmake(struct slab *slab)
{
    classes[slab->class].spans--;
    slab_free_span(slab, true);
    slab_struct_free(slab);
}

/* --- Slots --- */

/* Lock held. A slot that is in the slab, from a random one on; there's at least one. */
static unsigned pick(const struct slab *slab, struct random *random)
{
    unsigned start = random_below(random, slab->slots), word = start / 64;
    uint64_t in = ~slab->bits[word] & ~UINT64_C(0) << start % 64;
    const unsigned words = (slab->slots + 63u) / 64;
    while (!in) {
        word = word + 1 < words ? word + 1 : 0;
        in = ~slab->bits[word];
    }
    return word * 64 + (unsigned)__builtin_ctzl(in);
}

/* Lock held. */
static unsigned take_from(struct slab *slab, void **out, unsigned want, struct random *random)
{
    unsigned taken = 0;
    for (; taken < want && slab->out < slab->slots; taken++) {
        unsigned slot = pick(slab, random);
        slab->bits[slot / 64] |= UINT64_C(1) << slot % 64;
        slab->out++;
        out[taken] = (void *)(slab->base + slot * slab->stride);
    }
    return taken;
}

/* Lock held. A slab with slots in, on no list. */
static struct slab *find(unsigned class)
{
    struct slab *slab = classes[class].partial;
    if (slab) {
        list_remove(&classes[class].partial, slab);
        return slab;
    }
    slab = classes[class].empty;
    if (slab) {
        empty_remove(slab);
        return slab;
    }
    return make(class);
}

unsigned slab_take(unsigned class, void **out, unsigned want, struct random *random)
{
    unsigned got = 0;
    lock_acquire(&classes[class].lock);
    while (got < want) {
        struct slab *slab = find(class);
        if (!slab)
            break;
        got += take_from(slab, out + got, want - got, random);
        if (slab->out < slab->slots)
            list_add(&classes[class].partial, slab);
    }
    classes[class].out += got;
    lock_release(&classes[class].lock);
    return got;
}

/* Lock held. */
static void give_one(unsigned class, const void *p)
{
    struct slab *slab = slab_of(p);
    size_t slot = slab_slot(slab, p);
    uint64_t bit = UINT64_C(1) << slot % 64;
    if (GA_UNLIKELY(slab->class != class || !(slab->bits[slot / 64] & bit)))
        report_fatal("broken heap: %p came back twice to its slab", (void *)(uintptr_t)p);
    slab->bits[slot / 64] &= ~bit;
    slab->out--;
    if (slab->out && !slab->listed)
        list_add(&classes[class].partial, slab);
    if (slab->out)
        return;
    if (slab->listed)
        list_remove(&classes[class].partial, slab);
    empty_add(slab);
}

void slab_give(unsigned class, void *const *slots, unsigned count)
{
    lock_acquire(&classes[class].lock);
    for (unsigned i = 0; i < count; i++)
        give_one(class, slots[i]);
    classes[class].out -= count;
    lock_release(&classes[class].lock);
}

void slab_trim(void)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        lock_acquire(&classes[class].lock);
        while (classes[class].empty) {
            struct slab *slab = classes[class].empty;
            empty_remove(slab);
            unmake(slab);
        }
        lock_release(&classes[class].lock);
    }
}

/* --- Fork, figures --- */

void slab_lock_all(void)
{
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++)
        lock_freeze(&classes[class].lock);
    slab_structs_lock();
}

void slab_unlock_all(void)
{
    slab_structs_unlock();
    for (unsigned class = SIZE_CLASS_COUNT; class -- > 0;)
        lock_thaw(&classes[class].lock);
}

void slab_reset_all(void)
{
    slab_structs_reset();
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++)
        lock_reset(&classes[class].lock);
}

void slab_read_stats(struct hardened_stats *out)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        lock_acquire(&classes[class].lock);
        size_t held = cache_count(class) + trays_count(class), blocks = classes[class].out;
        held = held < blocks ? held : blocks;
        out->spans += classes[class].spans;
        out->blocks += blocks - held;
        out->live += (blocks - held) * size_classes[class].size;
        out->cached += held * size_classes[class].size;
        lock_release(&classes[class].lock);
    }
}
