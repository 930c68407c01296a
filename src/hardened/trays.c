// SPDX-License-Identifier: MIT
/*
 * trays.c: freed slots on their way between threads' caches, many at a time.
 *
 * Place: cache.c gives a tray when a class's ready slots are too many, and takes one when there are
 * none. Calls slab.c when trays are emptied.
 *
 * To put a slot back into its slab, and to take it out again, costs as much as a malloc and a free.
 * What goes through a tray stays together instead, as objects do in a magazine: a thread that frees
 * a thousand blocks and then wants a thousand gets them back so, and so does another thread.
 *
 * Which tray comes next is left to chance, among the last few; which slots lie in one, and in what
 * order, was left to chance when they were freed.
 *
 * Invariants: a slot in a tray has left the quarantine, its note says NOTE_FREED, NOTE_FRESH or
 * NOTE_STALE, and its bit in its slab is set; a class has TRAYS_MAX trays with something in them at
 * most. What they hold counts as what depots do.
 * Locking: a lock a class, inside the caches' registry's, outside the slabs'.
 */
#include "../mcentral/mcentral.h"
#include "internal.h"

#define TRAYS_MAX 512
/* The next tray is one of so many. */
#define CHOICE 4

struct tray {
    struct tray *next;
    unsigned count;
    void *slots[TRAY_MAX];
};

static struct {
    struct lock lock;
    struct tray *full; /* guarded by lock, as is all else */
    struct tray *empty;
    unsigned count; /* of `full` */
    size_t slots;   /* in them; read without the lock */
} __attribute__((aligned(GA_CACHE_LINE))) stacks[SIZE_CLASS_COUNT];

/* Lock held. */
static void push(struct tray **stack, struct tray *tray)
{
    tray->next = *stack;
    *stack = tray;
}

/* Lock held. The one that `at` points at. */
static struct tray *remove_at(struct tray **at)
{
    struct tray *tray = *at;
    if (tray)
        *at = tray->next;
    return tray;
}

/* Lock held. */
static struct tray *pop_any(unsigned class, struct random *random)
{
    struct tray **at = &stacks[class].full;
    unsigned count = stacks[class].count, skip = random_below(random, CHOICE);
    for (skip = skip < count ? skip : 0; skip; skip--)
        at = &(*at)->next;
    return remove_at(at);
}

/* Lock held. Slots came, or, below 0, went. */
static void count_slots(unsigned class, long slots)
{
    stacks[class].count += slots > 0 ? 1u : -1u;
    GA_STORE_ANY(stacks[class].slots, stacks[class].slots + (size_t)slots);
    mcentral_count_spare(slots * (long)size_classes[class].size);
}

unsigned tray_take(unsigned class, void **out, struct random *random)
{
    lock_acquire(&stacks[class].lock);
    struct tray *tray = pop_any(class, random);
    unsigned count = tray ? tray->count : 0;
    if (tray) {
        memcpy(out, tray->slots, count * sizeof(*out));
        count_slots(class, -(long)count);
        push(&stacks[class].empty, tray);
    }
    lock_release(&stacks[class].lock);
    return count;
}

/* Lock held. NULL: there's none, or enough are full. */
static struct tray *empty_tray(unsigned class)
{
    if (stacks[class].count == TRAYS_MAX || mcentral_is_lean())
        return NULL;
    struct tray *tray = remove_at(&stacks[class].empty);
    return tray ? tray : mheap_meta_alloc(sizeof(*tray));
}

bool tray_give(unsigned class, void *const *slots, unsigned count)
{
    lock_acquire(&stacks[class].lock);
    struct tray *tray = empty_tray(class);
    if (tray) {
        memcpy(tray->slots, slots, count * sizeof(*slots));
        tray->count = count;
        push(&stacks[class].full, tray);
        count_slots(class, count);
    }
    lock_release(&stacks[class].lock);
    return tray != NULL;
}

static struct tray *take_full(unsigned class)
{
    lock_acquire(&stacks[class].lock);
    struct tray *tray = remove_at(&stacks[class].full);
    if (tray)
        count_slots(class, -(long)tray->count);
    lock_release(&stacks[class].lock);
    return tray;
}

/* What is wrong in a tray is reported with no lock held. */
static void flush_class(unsigned class)
{
    struct tray *tray;
    while ((tray = take_full(class)) != NULL) {
        cache_check_slots(tray->slots, tray->count);
        slab_give(class, tray->slots, tray->count);
        lock_acquire(&stacks[class].lock);
        push(&stacks[class].empty, tray);
        lock_release(&stacks[class].lock);
    }
}

void trays_flush(void)
{
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++)
        if (GA_LOAD_ANY(stacks[class].slots))
            flush_class(class);
}

size_t trays_count(unsigned class)
{
    return GA_LOAD_ANY(stacks[class].slots);
}

void trays_lock_all(void)
{
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++)
        lock_freeze(&stacks[class].lock);
}

void trays_unlock_all(void)
{
    for (unsigned class = SIZE_CLASS_COUNT; class -- > 0;)
        lock_thaw(&stacks[class].lock);
}

void trays_reset_all(void)
{
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class ++)
        lock_reset(&stacks[class].lock);
}
