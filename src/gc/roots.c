// SPDX-License-Identifier: MIT
/*
 * roots.c: everything outside of the heap that may point into it.
 *
 * Place: cycle.c calls it while the world is stopped. Calls mark.c with words, src/os for mappings.
 *
 * Every private mapping that can be read is a root: data, stacks, thread-local storage, whatever
 * the program has mapped. So nobody needs to know where libraries, threads or coroutines keep
 * things. Of it only pages count that were written (a file's own bytes hold no pointers). Left out
 * are the heap and its tables, and stacks below their stack pointers: a thread's stack is known
 * from the record that libc keeps in the thread's control block, whose place is learnt from a
 * thread whose stack is known; where the record says nothing plausible the whole mapping counts.
 *
 * A stopped thread's registers lie in its stack, where the kernel put them for the handler; all of
 * it from there up is alive, the red zone included.
 *
 * Invariants: a stretch is left out only if it is ours, or known to be dead.
 * Locking: the collector's thread; roots_lock for the program's own roots, taken before the
 * allocator's.
 */
#include <string.h>

#include "../os/lock.h"
#include "../os/os.h"
#include "../os/proc.h"
#include "helpers.h"
#include "internal.h"
#include "roots.h"

struct lock roots_lock;
gc_stacks *gc_coroutine_stacks;

#define COPY_STEP ((size_t)64 << 10)
#define EXTRA_MAX 1024

static struct {
    struct mheap_range *skips; /* what isn't a root, by address */
    size_t skip_count, skip_capacity;
    bool overflow;
    char *copy;
    bool copy_directly;
    size_t bytes;
    struct mheap_range own_stack; /* the dead part of the collector's */
    struct mheap_range own_live;  /* and the other */
    ptrdiff_t stack_record;       /* from a thread pointer to the record of its stack; 0: unknown */
    struct mheap_range extra[EXTRA_MAX]; /* guarded by roots_lock */
    size_t extra_count;                  /* the same */
} roots;

/* --- What is left out --- */

static void skip(uintptr_t start, uintptr_t end, void *context)
{
    (void)context;
    if (end <= start)
        return;
    if (roots.skip_count == roots.skip_capacity) {
        roots.overflow = true; /* left in: more to look at, nothing lost */
        return;
    }
    roots.skips[roots.skip_count++] = (struct mheap_range){start, end};
}

/* Shell's sort: short, in place, and as good as sorted already. */
static void sort_skips(void)
{
    size_t n = roots.skip_count;
    for (size_t gap = n / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < n; i++) {
            struct mheap_range moving = roots.skips[i];
            size_t at = i;
            for (; at >= gap && roots.skips[at - gap].start > moving.start; at -= gap)
                roots.skips[at] = roots.skips[at - gap];
            roots.skips[at] = moving;
        }
}

void roots_set_own_stack(uintptr_t start, uintptr_t from, uintptr_t end)
{
    roots.own_stack = (struct mheap_range){start, from};
    roots.own_live = (struct mheap_range){from, end};
}

/* --- Stacks --- */

struct stack_record { /* as libc's thread control block has it: two words in a row */
    uintptr_t start;
    size_t size;
};

/* libc's control block lies before or behind the thread pointer, by processor. */
#define CONTROL_BLOCK ((size_t)4096)

void roots_learn_stacks(uintptr_t thread_pointer, uintptr_t start, size_t size)
{
    struct stack_record record;
    uintptr_t from = thread_pointer - CONTROL_BLOCK, end = start + size;
    from = from > start ? from : start;
    end = end < thread_pointer + CONTROL_BLOCK ? end : thread_pointer + CONTROL_BLOCK;
    for (uintptr_t at = from; at + sizeof(record) <= end; at += sizeof(uintptr_t)) {
        memcpy(&record, (const void *)at, sizeof(record));
        if (record.start == start && record.size == size) {
            roots.stack_record = (ptrdiff_t)(at - thread_pointer);
            return;
        }
    }
}

/* The part of its stack that a thread has left behind: below what it was stopped with. */
static void skip_dead_stack(const struct stopped *thread)
{
    struct stack_record record;
    if (!roots.stack_record || !thread->thread_pointer)
        return;
    uintptr_t at = thread->thread_pointer + (uintptr_t)roots.stack_record;
    if (os_copy_memory(&record, at, sizeof(record)) != sizeof(record))
        return;
    /* Of the first thread libc notes where its stack ends, as a size from 0. */
    if (record.start && thread->context - record.start < record.size &&
        thread->thread_pointer - record.start <= record.size)
        skip(record.start, thread->context, NULL);
}

static void scan_stretch(uintptr_t start, uintptr_t end, void *context);

/* So much of a stack as may lie above the frame of malloc's that was interrupted. */
#define HEAP_STACK ((uintptr_t)8 << 20)

/*
 * A stack that the program has allocated is marked and looked at as any block. But it is a stack:
 * what a thread has in hand it may know by its span struct only.
 */
static void scan_heap_stack(uintptr_t from)
{
    uintptr_t end = mark_end_of(from);
    from = round_down(from, MIN_ALIGN);
    if (end > from)
        scan_stretch(from, end - from < HEAP_STACK ? end : from + HEAP_STACK, NULL);
}

static void mark_thread(const struct stopped *thread)
{
    if (atomic_load_explicit(&thread->state, memory_order_relaxed) != STOP_STOPPED)
        return;
    skip_dead_stack(thread);
    mark_root_word(thread->signal_stack);
    mark_root_word(thread->context); /* a stack that the program has allocated */
    scan_heap_stack(thread->context);
    mark_root_word(thread->thread_pointer); /* and what lies at its end */
}

/* --- Looking --- */

static void scan_copied(uintptr_t start, uintptr_t end)
{
    size_t page = os_page_size();
    for (uintptr_t at = start; at < end;) {
        size_t want = end - at < COPY_STEP ? end - at : COPY_STEP;
        size_t got = os_copy_memory(roots.copy, at, want) & ~(size_t)7;
        mark_stack(roots.copy, roots.copy + got);
        if (got == want && at + got < end)
            got -= 8; /* a word that lies across the end of a step */
        at += got;
        if (got < 16 && at < end)
            at = round_down(at, page) + page; /* not readable */
    }
}

/* `context`: a range to stay within, since the kernel thinks in whole pages; or NULL. */
static void scan_stretch(uintptr_t start, uintptr_t end, void *context)
{
    const struct mheap_range *within = context;
    if (within) {
        start = start > within->start ? start : within->start;
        end = end < within->end ? end : within->end;
    }
    roots.bytes += end - start;
    if (roots.copy_directly)
        mark_stack((const void *)start, (const void *)end);
    else
        scan_copied(start, end);
}

static void scan_part(uintptr_t start, uintptr_t end)
{
    size_t page = os_page_size();
    struct mheap_range within = {round_down(start, sizeof(uintptr_t)), end};
    os_each_populated(round_down(start, page), round_up(end, page), scan_stretch, &within);
}

/* [start, end) without what is left out. */
static void scan_mapping(uintptr_t start, uintptr_t end)
{
    for (size_t i = 0; i < roots.skip_count && start < end; i++) {
        const struct mheap_range *skipped = &roots.skips[i];
        if (skipped->end <= start)
            continue;
        if (skipped->start >= end)
            break;
        if (skipped->start > start)
            scan_part(start, skipped->start);
        start = skipped->end;
    }
    if (start < end)
        scan_part(start, end);
}

/* A block of which a page is protected can't be given to others, nor be emptied: it is kept, for
 * as long as it has one. */
static void keep_protected(uintptr_t start, uintptr_t end)
{
    uintptr_t heap_start = mheap_page_address(mheap_view.start);
    uintptr_t heap_end = mheap_page_address(mheap_end());
    start = start > heap_start ? start : heap_start;
    end = end < heap_end ? end : heap_end;
    for (uintptr_t page = start; page < end; page += os_page_size())
        mark_root_word(page);
}

static void visit_mapping(const struct os_mapping *mapping, void *context)
{
    (void)context;
    if (!mapping->readable || !mapping->writable)
        keep_protected(mapping->start, mapping->end);
    if (!mapping->readable || mapping->shared)
        return;
    uintptr_t start = mapping->start;
    for (unsigned i = 0; mapping->main_stack && i < stop_count(); i++) {
        uintptr_t alive = stop_thread(i)->context;
        if (alive >= start && alive < mapping->end)
            start = round_down(alive, MIN_ALIGN);
    }
    scan_mapping(start, mapping->end);
}

/* --- All of it --- */

bool roots_prepare(void)
{
    char probe = 1, copy = 0;
    size_t capacity = MHEAP_OWN_RANGES + 64 + stop_capacity();
    if (!roots.copy) {
        roots.copy = mheap_meta_alloc(COPY_STEP);
        roots.copy_directly = os_copy_memory(&copy, (uintptr_t)&probe, 1) != 1;
    }
    if (capacity > roots.skip_capacity) {
        struct mheap_range *skips = mheap_meta_alloc(capacity * sizeof(*skips));
        roots.skips = skips ? skips : roots.skips;
        roots.skip_capacity = skips ? capacity : roots.skip_capacity;
    }
    return roots.copy && roots.skips;
}

static void visit_hole(struct mheap_range hole, void *last)
{
    uintptr_t *from = last;
    skip(*from, hole.start, NULL);
    *from = hole.end;
}

static void skip_own(void)
{
    struct mheap_range own[MHEAP_OWN_RANGES];
    mheap_own_ranges(own);
    uintptr_t from = own[0].start;
    mheap_each_hole(visit_hole, &from); /* foreign memory amid the heap is a root */
    skip(from, own[0].end, NULL);
    for (unsigned i = 1; i < MHEAP_OWN_RANGES; i++)
        skip(own[i].start, own[i].end, NULL);
    skip(roots.own_stack.start, roots.own_stack.end, NULL);
}

bool roots_mark(bool stopped)
{
    roots.skip_count = roots.bytes = 0;
    roots.overflow = false;
    if (!stopped)
        mheap_acquire_all();
    skip_own();
    if (!stopped)
        mheap_release_all();
    if (roots.overflow)
        return false; /* the heap itself must not be a root */
    for (unsigned i = 0; i < stop_count(); i++)
        mark_thread(stop_thread(i));
    if (gc_coroutine_stacks)
        gc_coroutine_stacks(skip, NULL);
    sort_skips();
    if (!os_each_mapping(visit_mapping, NULL))
        return false;
    mark_stack((const void *)roots.own_live.start, (const void *)roots.own_live.end);
    helpers_each_stack(mark_stack);
    roots_mark_added();
    return true;
}

bool roots_mark_added(void)
{
    for (size_t i = 0; i < roots.extra_count; i++)
        scan_stretch(roots.extra[i].start, roots.extra[i].end, NULL);
    return roots.extra_count > 0;
}

size_t roots_bytes(void)
{
    return roots.bytes;
}

/* --- The program's own --- */

bool gc_add_root(uintptr_t start, uintptr_t end)
{
    start = round_up(start, sizeof(uint32_t));
    end = round_down(end, sizeof(uint32_t));
    lock_acquire(&roots_lock);
    bool room = roots.extra_count < EXTRA_MAX && start < end;
    if (room)
        roots.extra[roots.extra_count++] = (struct mheap_range){start, end};
    lock_release(&roots_lock);
    return room;
}

void gc_remove_root(uintptr_t start, uintptr_t end)
{
    start = round_up(start, sizeof(uint32_t));
    end = round_down(end, sizeof(uint32_t));
    lock_acquire(&roots_lock);
    for (size_t i = 0; i < roots.extra_count; i++)
        if (roots.extra[i].start == start && roots.extra[i].end == end) {
            roots.extra[i] = roots.extra[--roots.extra_count];
            break;
        }
    lock_release(&roots_lock);
}
