// SPDX-License-Identifier: MIT
/*
 * barrier.c: marking beside a program that tells which pointers it writes.
 *
 *   ga_gc_write:   old = *slot; *slot = new; if (marking) shade(old, new)
 *
 *   shade --was it marked? no: it is now--> a buffer of this thread's --full--> the list --> the
 * marker, which looks into it
 *
 * Place: src/libc's calls tell; cycle.c has the marking done. Calls mark.c, src/os for a barrier in
 * all threads.
 *
 * Blocks of the program's API calls (spans that are typed or noscan) are collected and written only
 * by these calls. All others, malloc's, are written by anybody: they are kept, and looked at once
 * more in the stop, as data is.
 *
 * Why nothing is lost. A block that was looked at is called black. In the stop everything is looked
 * at but the black ones of the API's, and what has no mark is followed. So it is enough that
 *
 *   (1) in the stop a black block of the API's holds only pointers to marked ones, or to such as a
 *       stopped thread still holds.
 *
 * It holds when marking begins, since there are no black ones. Later a black one changes by
 * ga_gc_write alone. Either its thread reads `marking` as set, and shades what it has stored:
 * marked by when the stop has emptied the buffers, or still in the thread's hands, if that was
 * stopped between the two. Or it reads it as not set. `marking` was stored, then all threads passed
 * a barrier, then mheap_marks.marking was set, and the first block became black; a thread stores
 * first, and reads afterwards: one that reads the old value has its store done before the barrier,
 * and the marker finds it.
 *
 * A block that is handed out once mheap_marks.marking is set is black, though nobody looks at it:
 * its bytes are zero, and what is stored in it is told from the first on, since `marking` came
 * before. What is told between the two is dropped: no block is black yet.
 *
 * What is copied is in the thread's hands only as a place and a length. So it is copied and shaded
 * with the buffer's lock held, which the stop takes first: no thread is stopped between the two.
 * Nor may one be while realloc moves a large block; that takes longer, so it is counted, and while
 * there are such the stop looks at all large blocks once more.
 *
 * The pointer that is overwritten is shaded so that the stop is short: what was in reach when
 * marking began is marked by the time of the stop, even where the program has taken it out of its
 * place and holds it on a stack. (Were stacks not looked at in the stop it would be needed for (1):
 * that is how Go has it.)
 *
 * Invariants: (1). A block comes into a buffer at most once in a cycle, since it is marked before:
 * so buffers can't outgrow the heap. One that found no memory to be emptied into is `lost`: then
 * the stop marks all anew. No mark is set unless mheap_marks.marking is, which doesn't change while
 * a buffer's lock is held.
 * Locking: a thread's buffer has a lock; several threads may have to share one. Inside of it that
 * of the list, inside of that the metadata's. In a stop, and to begin and end marking, the
 * collector holds them all, so that no thread is amid a change. Fork: no marking is under way then.
 * Signals: not from a handler.
 */
#include <string.h>

#include "../os/lock.h"
#include "../os/os.h"
#include "barrier.h"
#include "internal.h"

#define BUFFERS      64 /* a power of two */
#define BUFFER_WORDS 509

struct buffer {
    struct lock lock;
    unsigned count;                /* guarded by lock, as the rest */
    uintptr_t words[BUFFER_WORDS]; /* pointers to blocks that were marked for it */
    struct buffer *next;           /* in a list: guarded by its lock */
};

bool gc_barriers;

static struct {
    unsigned *marking;      /* relaxed; what orders it is said above */
    struct buffer *buffers; /* BUFFERS of them */
    struct lock lists;
    struct buffer *full, *spare; /* guarded by lists */
    bool lost;                   /* the same */
    atomic_uint resizing;        /* threads that may be moving a large block; relaxed: read in a
                                    stop, and stored by who is stopped */
} barrier;

bool barrier_enable(unsigned *marking)
{
    barrier.buffers = mheap_meta_alloc(BUFFERS * sizeof(*barrier.buffers));
    barrier.marking = marking;
    gc_barriers = barrier.buffers != NULL;
    return gc_barriers;
}

/* --- In the program's threads --- */

static struct buffer *own_buffer(void)
{
    uint64_t pointer;
    GA_THREAD_POINTER(pointer);
    return &barrier.buffers[pointer * UINT64_C(0x9e3779b97f4a7c15) >> 58 & (BUFFERS - 1)];
}

/* Lists held. */
static struct buffer *take_spare(void)
{
    struct buffer *spare = barrier.spare;
    if (spare)
        barrier.spare = spare->next;
    return spare ? spare : mheap_meta_alloc(sizeof(*spare));
}

/* The buffer's lock held. */
static void hand_over(struct buffer *buffer)
{
    lock_acquire(&barrier.lists);
    struct buffer *copy = take_spare();
    if (copy) {
        copy->count = buffer->count;
        memcpy(copy->words, buffer->words, buffer->count * sizeof(*copy->words));
        copy->next = barrier.full;
        barrier.full = copy;
    } else {
        barrier.lost = true;
    }
    lock_release(&barrier.lists);
    buffer->count = 0;
}

/* What isn't in the heap counts as marked. */
static bool needs_mark(uintptr_t word)
{
    return mheap_spans_address((const void *)word) && !mark_reached(word);
}

/* The buffer's lock held. */
static void shade(struct buffer *buffer, uintptr_t word)
{
    if (!needs_mark(word) || !mheap_marks.marking || !mark_claim(word))
        return;
    if (buffer->count == BUFFER_WORDS)
        hand_over(buffer);
    buffer->words[buffer->count++] = word;
}

void barrier_shade(uintptr_t old, uintptr_t new)
{
    if (!needs_mark(old) && !needs_mark(new))
        return;
    struct buffer *buffer = own_buffer();
    lock_acquire(&buffer->lock);
    shade(buffer, old);
    shade(buffer, new);
    lock_release(&buffer->lock);
}

/* In steps of four bytes, as the marker looks at a block. The buffer's lock held. */
static void shade_range(struct buffer *buffer, const void *start, size_t size)
{
    uintptr_t at = round_up((uintptr_t)start, sizeof(uint32_t)), end = (uintptr_t)start + size;
    if (!mheap_marks.marking)
        return;
    for (; at + sizeof(uintptr_t) <= end; at += sizeof(uint32_t)) {
        uintptr_t word;
        memcpy(&word, (const void *)at, sizeof(word));
        shade(buffer, word);
    }
}

void barrier_copy(void *to, const void *from, size_t size)
{
    if (size == 0)
        return; /* of nothing, perhaps to nowhere */
    if (!gc_barriers) {
        memmove(to, from, size);
        return;
    }
    struct buffer *buffer = own_buffer();
    lock_acquire(&buffer->lock);
    shade_range(buffer, to, size);
    memmove(to, from, size);
    shade_range(buffer, to, size);
    lock_release(&buffer->lock);
}

void barrier_resize_begin(void)
{
    atomic_fetch_add_explicit(&barrier.resizing, 1, memory_order_relaxed);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void shade_moved(const void *block, size_t size)
{
    struct buffer *buffer = own_buffer();
    lock_acquire(&buffer->lock);
    shade_range(buffer, block, size);
    lock_release(&buffer->lock);
}

void barrier_resize_end(const void *block, size_t size)
{
    if (gc_barriers && block)
        shade_moved(block, size);
    atomic_fetch_sub_explicit(&barrier.resizing, 1, memory_order_relaxed);
}

/* --- In the marker --- */

static size_t take_words(struct buffer *buffer)
{
    size_t count = buffer->count;
    for (size_t i = 0; i < count; i++)
        mark_claimed(buffer->words[i]);
    buffer->count = 0;
    return count;
}

/* Lists held. */
static struct buffer *pop_full(void)
{
    struct buffer *full = barrier.full;
    if (full)
        barrier.full = full->next;
    return full;
}

static void push_spare(struct buffer *buffer)
{
    buffer->next = barrier.spare;
    barrier.spare = buffer;
}

static struct buffer *take_full(void)
{
    lock_acquire(&barrier.lists);
    struct buffer *full = pop_full();
    lock_release(&barrier.lists);
    return full;
}

static void give_spare(struct buffer *buffer)
{
    lock_acquire(&barrier.lists);
    push_spare(buffer);
    lock_release(&barrier.lists);
}

/* How many words there were. */
static size_t take_all(void)
{
    size_t count = 0;
    for (struct buffer *full; (full = take_full());) {
        count += take_words(full);
        give_spare(full);
    }
    for (unsigned i = 0; i < BUFFERS; i++) {
        lock_acquire(&barrier.buffers[i].lock);
        count += take_words(&barrier.buffers[i]);
        lock_release(&barrier.buffers[i].lock);
    }
    return count;
}

static void mark_if_mallocs(size_t first_page)
{
    const struct span *span = mheap_span_at(first_page);
    if (!span->noscan && !span->typed)
        mark_in_use(first_page);
}

static void mark_again_if_large(size_t first_page)
{
    if (mheap_span_at(first_page)->state == SPAN_LARGE)
        mark_again(first_page);
}

#define SPAN_BATCH 128

static void mark_mallocs_beside(void)
{
    uint32_t pages[SPAN_BATCH];
    size_t cursor = 0;
    for (unsigned count; (count = mheap_list_spans(&cursor, pages, SPAN_BATCH)) > 0;)
        for (unsigned i = 0; i < count; i++)
            mark_if_mallocs(pages[i]);
}

/* Where the kernel has no such barriers a stop is one. */
static bool pass_barrier(void)
{
    if (os_barrier_prepare() && os_barrier())
        return true;
    if (!stop_world())
        return false;
    resume_world();
    return true;
}

/* Words of a cycle that was given up do no harm: what they point to has no mark any more. */
bool barrier_begin(void)
{
    lock_acquire(&barrier.lists);
    barrier.lost = false;
    lock_release(&barrier.lists);
    __atomic_store_n(barrier.marking, 1, __ATOMIC_RELAXED);
    return pass_barrier();
}

void barrier_end(void)
{
    if (gc_barriers)
        __atomic_store_n(barrier.marking, 0, __ATOMIC_RELAXED);
}

/* What is told while the last was followed is left to the stop once it is little, or has come for
 * so many times. */
#define FEW_WORDS  1000
#define MAX_PASSES 8

bool barrier_mark_beside(const atomic_bool *yield)
{
    size_t words = SIZE_MAX;
    mark_mallocs_beside();
    bool going = roots_mark(false) && mark_drain_beside(yield);
    for (unsigned pass = 0; going && words > FEW_WORDS && pass < MAX_PASSES; pass++) {
        words = take_all();
        going = mark_drain_beside(yield);
    }
    return going;
}

void barrier_mark_stopped(void)
{
    if (barrier.lost)
        mark_undo();
    for (struct buffer *full; (full = pop_full());) {
        take_words(full);
        push_spare(full);
    }
    for (unsigned i = 0; i < BUFFERS; i++)
        take_words(&barrier.buffers[i]);
    each_span(mark_if_mallocs);
    if (atomic_load_explicit(&barrier.resizing, memory_order_relaxed))
        each_span(mark_again_if_large);
}

/* --- Locks --- */

static void each_lock(void (*change)(struct lock *lock))
{
    for (unsigned i = 0; gc_barriers && i < BUFFERS; i++)
        change(&barrier.buffers[i].lock);
    change(&barrier.lists);
}

static void acquire(struct lock *lock)
{
    lock_acquire(lock);
}

static void release(struct lock *lock)
{
    lock_release(lock);
}

void barrier_acquire_all(void)
{
    each_lock(acquire);
}

void barrier_release_all(void)
{
    each_lock(release);
}

void barrier_lock_for_fork(void)
{
    each_lock(lock_freeze);
}

void barrier_unlock_after_fork(void)
{
    each_lock(lock_thaw);
}

void barrier_reset_in_child(void)
{
    atomic_store_explicit(&barrier.resizing, 0, memory_order_relaxed);
    each_lock(lock_reset);
}
