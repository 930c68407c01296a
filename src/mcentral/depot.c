// SPDX-License-Identifier: MIT
/*
 * depot.c: whole magazines, between threads.
 *
 * Place: src/mcache's slow paths exchange magazines here. Calls objects.c, and src/mheap for the
 * memory of new magazines.
 *
 * Invariants:
 *   - every magazine in `full` holds at least one object, every one in `empty` none;
 *   - full_count is the length of `full`; a magazine is added only below the class's
 *     depot_limit, which falls while memory is given back;
 *   - in_depot is the sum of their counts;
 *   - a magazine's capacity changes only while it is empty, and only from the class's first to
 *     its full one: on its way out of `empty`, or in the hands of who is about to fill it.
 * Locking: one lock a class. Fork: all of them are held, in order of class (src/libc/fork.c).
 */
#include "../mheap/marks.h"
#include "../os/report.h"
#include "internal.h"

struct mcentral mcentrals[MCENTRAL_COUNT];
uint32_t magazines_made[SIZE_CLASS_COUNT];

atomic_bool mcentral_lean;

/*
 * How many full magazines a depot keeps before it drains one into the spans. A depot hands out
 * objects in the order they were freed, at a fraction of a nanosecond each; the bits cost some ten
 * nanoseconds an object but restore the order of addresses, find double frees, and let spans go.
 */
static uint32_t depot_limit(unsigned class)
{
    if (mcentral_is_lean())
        return 0;
    return size_classes[class].size <= 1024 ? 128 : 192;
}

/* Bytes in full magazines of all classes, taken for full, but for those that even a lean depot
 * keeps; and the least that was since mcentral_take_depot_least. Relaxed: levels, not counts. */
static _Atomic(long) depot_bytes, depot_least;

static size_t at_least_zero(long bytes)
{
    return bytes > 0 ? (size_t)bytes : 0;
}

size_t mcentral_depot_bytes(void)
{
    return at_least_zero(atomic_load_explicit(&depot_bytes, memory_order_relaxed));
}

size_t mcentral_take_depot_least(void)
{
    long now = atomic_load_explicit(&depot_bytes, memory_order_relaxed);
    return at_least_zero(atomic_exchange_explicit(&depot_least, now, memory_order_relaxed));
}

static long magazine_bytes(unsigned class, const struct magazine *magazine)
{
    return (long)magazine->capacity * (long)size_classes[class].size;
}

static void count_in(long bytes)
{
    atomic_fetch_add_explicit(&depot_bytes, bytes, memory_order_relaxed);
}

static void count_out(long bytes)
{
    long left = atomic_fetch_sub_explicit(&depot_bytes, bytes, memory_order_relaxed) - bytes;
    if (left < atomic_load_explicit(&depot_least, memory_order_relaxed))
        atomic_store_explicit(&depot_least, left, memory_order_relaxed);
}

void mcentral_count_spare(long bytes)
{
    long left = atomic_fetch_add_explicit(&depot_bytes, bytes, memory_order_relaxed) + bytes;
    if (left < atomic_load_explicit(&depot_least, memory_order_relaxed))
        atomic_store_explicit(&depot_least, left, memory_order_relaxed);
}

static void push(struct magazine **list, struct magazine *magazine)
{
    magazine->next = *list;
    *list = magazine;
}

static struct magazine *pop(struct magazine **list)
{
    struct magazine *magazine = *list;
    if (magazine)
        *list = magazine->next;
    return magazine;
}

static void push_full(struct mcentral *central, unsigned class, struct magazine *magazine)
{
    push(&central->full, magazine);
    central->in_depot += magazine->count;
    if (++central->full_count > SMALL_DEPOT)
        count_in(magazine_bytes(class, magazine));
}

static bool has_right_capacity(unsigned class, const struct magazine *magazine)
{
    return magazine->capacity == size_classes[class].magazine_first ||
           magazine->capacity == size_classes[class].magazine_capacity;
}

static struct magazine *pop_full(struct mcentral *central, unsigned class)
{
    struct magazine *magazine = pop(&central->full);
    if (!magazine)
        return NULL;
    if (GA_UNLIKELY(!has_right_capacity(class, magazine) ||
                    magazine->count - 1 >= magazine->capacity))
        report_fatal("broken central: a magazine of size class %u", class);
    central->in_depot -= magazine->count;
    if (central->full_count-- > SMALL_DEPOT)
        count_out(magazine_bytes(class, magazine));
    if (central->full_count < central->least_full)
        central->least_full = central->full_count;
    return magazine;
}

/* Lock held. Takes a magazine with objects in, or, when there are too many, its objects alone. */
static void put_full(struct mcentral *central, unsigned class, struct magazine *magazine)
{
    if (central->full_count < depot_limit(class)) {
        push_full(central, class, magazine);
        return;
    }
    objects_drain(class, magazine_slots(magazine), magazine->count);
    GA_STORE_ANY(magazine->count, 0);
    push(&central->empty, magazine);
}

/*
 * So many magazines, beyond those that another thread gave, have to come back to the thread that
 * gave them, and the class's get their full capacity: with it that thread would have kept them. A
 * hundred strings that grow to 4 KB in turn take a third less time then. Where one thread makes
 * blocks and another frees them, none comes back.
 */
#define WIDE_RETURNS 32

/* Lock held. */
static void note_taker(struct mcentral *central, const struct magazine *magazine, const void *taker)
{
    if (GA_LIKELY(central->wide))
        return;
    if (magazine->giver != taker)
        central->returns -= central->returns > 0;
    else
        central->wide = ++central->returns == WIDE_RETURNS;
}

struct magazine *mcentral_take_full(unsigned class, struct magazine *empty, const void *taker)
{
    struct mcentral *central = &mcentrals[class];
    lock_acquire(&central->lock);
    struct magazine *full = pop_full(central, class);
    if (full)
        note_taker(central, full, taker);
    if (full && empty)
        push(&central->empty, empty);
    lock_release(&central->lock);
    return full;
}

bool mcentral_has_full(unsigned class)
{
    lock_acquire(&mcentrals[class].lock);
    bool has = mcentrals[class].full != NULL;
    lock_release(&mcentrals[class].lock);
    return has;
}

static size_t floor_and_slots_of(unsigned class)
{
    return (size_classes[class].magazine_capacity + MAGAZINE_FLOOR) * sizeof(void *);
}

size_t magazine_footprint(unsigned class)
{
    return round_up(floor_and_slots_of(class) + sizeof(struct magazine), GA_CACHE_LINE);
}

/* Lock held. */
static struct magazine *make_magazine(unsigned class)
{
    size_t floor_and_slots = floor_and_slots_of(class);
    char *memory = mheap_meta_alloc(floor_and_slots + sizeof(struct magazine));
    if (!memory)
        return NULL;
    struct magazine *magazine = (struct magazine *)(memory + floor_and_slots);
    magazine->all = mcentrals[class].all;
    mcentrals[class].all = magazine;
    magazines_made[class]++;
    return magazine;
}

/* Lock held. Statistics may be reading it. */
static void fit(const struct mcentral *central, unsigned class, struct magazine *empty)
{
    const struct size_class *c = &size_classes[class];
    GA_STORE_ANY(empty->capacity, central->wide ? c->magazine_capacity : c->magazine_first);
}

/* Lock held. A magazine that fits the class as it is now. */
static struct magazine *take_stock(struct mcentral *central, unsigned class)
{
    struct magazine *empty = pop(&central->empty);
    if (!empty)
        empty = make_magazine(class);
    if (empty)
        fit(central, class, empty);
    return empty;
}

void mcentral_refit(unsigned class, struct magazine *empty)
{
    if (empty->capacity == size_classes[class].magazine_capacity)
        return;
    lock_acquire(&mcentrals[class].lock);
    fit(&mcentrals[class], class, empty);
    lock_release(&mcentrals[class].lock);
}

struct magazine *mcentral_take_empty(unsigned class, struct magazine *full)
{
    struct mcentral *central = &mcentrals[class];
    lock_acquire(&central->lock);
    struct magazine *empty = take_stock(central, class);
    if (empty && full)
        put_full(central, class, full);
    lock_release(&central->lock);
    return empty;
}

void mcentral_give(unsigned class, struct magazine *magazine)
{
    struct mcentral *central = &mcentrals[class];
    lock_acquire(&central->lock);
    if (magazine->count)
        put_full(central, class, magazine);
    else
        push(&central->empty, magazine);
    lock_release(&central->lock);
}

/* Lock held. */
static void trim(struct mcentral *central, unsigned class, uint32_t keep)
{
    while (central->full_count > keep) {
        struct magazine *magazine = pop_full(central, class);
        objects_drain(class, magazine_slots(magazine), magazine->count);
        GA_STORE_ANY(magazine->count, 0);
        push(&central->empty, magazine);
    }
}

void mcentral_trim(unsigned class, uint32_t keep)
{
    struct mcentral *central = &mcentrals[class];
    lock_acquire(&central->lock);
    trim(central, class, keep);
    lock_release(&central->lock);
}

void mcentral_trim_unneeded(unsigned class)
{
    struct mcentral *central = &mcentrals[class];
    lock_acquire(&central->lock);
    uint32_t unneeded = central->least_full;
    trim(central, class, central->full_count - unneeded);
    central->least_full = central->full_count;
    lock_release(&central->lock);
}

void mcentral_set_lean(bool lean)
{
    atomic_store_explicit(&mcentral_lean, lean, memory_order_relaxed);
}

/* --- Fork --- */

static unsigned
    frozen; /* how many centrals are, over a fork: the second half only with a collector */

void mcentral_lock_all(void)
{
    frozen = mheap_marks_enabled() ? MCENTRAL_COUNT : SIZE_CLASS_COUNT;
    for (unsigned class = 0; class < frozen; class ++)
        lock_freeze(&mcentrals[class].lock);
}

void mcentral_unlock_all(void)
{
    for (unsigned class = frozen; class -- > 0;)
        lock_thaw(&mcentrals[class].lock);
}

void mcentral_reset_in_child(void)
{
    for (unsigned class = 0; class < frozen; class ++)
        lock_reset(&mcentrals[class].lock);
}
