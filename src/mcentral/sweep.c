// SPDX-License-Identifier: MIT
/*
 * sweep.c: what the collector needs of the centrals: cached objects, and freeing what is dead.
 *
 * Place: src/gc calls it; objects.c comes here before it takes objects from a span. Calls
 * src/mheap.
 *
 * Sweeping a span turns the bits of objects that are in use but not marked into free ones. The
 * collector's thread does it for one span after another while the program runs; a span that
 * somebody wants to take from meanwhile is swept by him first.
 *
 * Cached objects are in use as far as their span's bits know, and nothing reaches them: a sweep
 * would free them a second time. So they are marked; and so that none is missed every magazine
 * ever made is on a list: one that is in no depot, no stock and no cache is in a stopped thread's
 * hands, and whatever its slots hold is marked.
 *
 * Invariants: an object is taken only from a swept span; so a sweep frees only what was handed out
 * before the round began and wasn't reached then.
 * Locking: as said at each; a central's lock guards its spans' bits and marks.
 */
#include "../mheap/marks.h"
#include "../os/os.h"
#include "internal.h"

/* --- Cached objects --- */

static void visit_slots(struct magazine *magazine, size_t count, mcentral_visit *visit,
                        void *context)
{
    void **slots = magazine_slots(magazine);
    for (size_t i = 0; i < count; i++)
        if (slots[i])
            visit(slots[i], context);
}

void mcentral_visit_depots(uint32_t round, mcentral_visit *visit, void *context)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        for (struct magazine *m = mcentrals[class].empty; m; m = m->next)
            m->seen = round;
        for (struct magazine *m = mcentrals[class].full; m; m = m->next) {
            m->seen = round;
            visit_slots(m, m->count, visit, context);
        }
    }
}

void mcentral_visit_in_hand(uint32_t round, mcentral_visit *visit, void *context)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        for (struct magazine *m = mcentrals[class].all; m; m = m->all)
            if (m->seen != round)
                visit_slots(m, m->capacity, visit, context);
}

size_t mcentral_bytes_out(void)
{
    size_t bytes = 0;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        size_t objects = GA_LOAD_ANY(mcentrals[class].objects_out) +
                         GA_LOAD_ANY(mcentrals[mcentral_noscan(class)].objects_out) +
                         GA_LOAD_ANY(mcentrals[mcentral_typed(class)].objects_out);
        bytes += objects * size_classes[class].size;
    }
    return bytes;
}

/* --- Locks --- */

void mcentral_acquire_all(void)
{
    for (unsigned class = 0; class < MCENTRAL_COUNT; class ++)
        lock_acquire(&mcentrals[class].lock);
}

void mcentral_release_all(void)
{
    for (unsigned class = MCENTRAL_COUNT; class -- > 0;)
        lock_release(&mcentrals[class].lock);
}

/* --- Sweeping; lock held --- */

/* Those of the word's bits that stand for objects. */
static uint64_t objects_mask(const struct span *span, unsigned word)
{
    unsigned first = word * 64;
    if (span->objects >= first + 64)
        return ~UINT64_C(0);
    return span->objects <= first ? 0 : (UINT64_C(1) << (span->objects - first)) - 1;
}

/* Notes them as doomed; returns those that weren't before. */
static uint64_t doom(size_t page, unsigned word, uint64_t dead)
{
    uint64_t *doomed = &marks_doomed(page)[word], fresh = dead & ~*doomed;
    *doomed |= dead;
    return fresh;
}

bool is_emptied(const struct span *span)
{
    return mheap_marks_want_empty() && span->size >= EMPTIED_MIN && !span->noscan;
}

/* Of a span with at most 64 objects, as those have that are emptied. */
static void empty_objects(struct span *span, uint64_t dead)
{
    span->zero |= dead;
    for (; dead; dead &= dead - 1) {
        size_t index = (unsigned)__builtin_ctzl(dead);
        os_zero_touched((char *)span_address(span) + index * span->size, span->size);
    }
}

static struct mcentral_swept sweep_bits(struct mcentral *central, struct span *span, bool free_them)
{
    struct span_marks *marks = marks_of(span->page);
    struct mcentral_swept swept = {0};
    for (unsigned i = 0; i < MARK_WORDS; i++) {
        uint64_t used = span->bits[i] & objects_mask(span, i);
        uint64_t dead = used & ~marks->mark[i];
        swept.live_objects += count_bits(used & ~dead);
        if (mheap_marks.audit)
            dead = doom(span->page, i, dead);
        swept.objects += count_bits(dead);
        if (free_them && dead && GA_UNLIKELY(is_emptied(span)))
            empty_objects(span, dead);
        span->bits[i] &= free_them ? ~dead : ~UINT64_C(0);
        marks->mark[i] = marks->scan[i] = 0;
    }
    *marks_swept(span->page) = mheap_marks.round;
    swept.bytes = swept.objects * span->size;
    swept.live_bytes = swept.live_objects * span->size;
    if (free_them) {
        span->used = (uint16_t)(span->used - swept.objects);
        central->objects_out -= swept.objects;
        central->frees += swept.objects;
    }
    return swept;
}

void sweep_before_taking(struct mcentral *central, struct span *span)
{
    if (GA_UNLIKELY(marks_is_unswept(span->page)))
        sweep_bits(central, span, !mheap_marks.audit);
}

void audit_free(const struct span *span, size_t index)
{
    uint64_t *word = &marks_doomed(span->page)[index / 64], bit = UINT64_C(1) << index % 64;
    if (!(*word & bit))
        return;
    *word &= ~bit;
    atomic_fetch_add_explicit(&mheap_marks.false_frees, 1, memory_order_relaxed);
}

/*
 * What is read of the span before the lock is held may be stale: but a span of this class begins
 * and ends only with this lock held.
 */
struct mcentral_swept mcentral_sweep(size_t page, bool free_them)
{
    struct mcentral_swept swept = {0};
    struct span *span = mheap_span_at(page);
    unsigned class = span_central(span);
    if (class % SIZE_CLASS_COUNT == 0)
        return swept;
    struct mcentral *central = &mcentrals[class];
    lock_acquire(&central->lock);
    bool same = __atomic_load_n(&span->state, __ATOMIC_RELAXED) == SPAN_SMALL &&
                span_central(span) == class;
    if (same && marks_is_unswept(page)) {
        swept = sweep_bits(central, span, free_them);
        if (free_them)
            span_relist(central, span);
    }
    lock_release(&central->lock);
    return swept;
}
