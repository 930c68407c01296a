// SPDX-License-Identifier: MIT
/*
 * check.c: the centrals' invariants as code, and their statistics.
 *
 * Place: tests call the checks, src/observe reads the statistics.
 * Locking: one central at a time.
 */
#include "../os/report.h"
#include "internal.h"

static void require(bool holds, const char *what, unsigned class)
{
    if (GA_UNLIKELY(!holds))
        report_fatal("broken central: %s in size class %u", what, class);
}

static unsigned bits_set(const struct span *span)
{
    unsigned set = 0;
    for (unsigned i = 0; i < SPAN_OBJECTS_MAX / 64; i++)
        set += count_bits(span->bits[i]);
    return set - (SPAN_OBJECTS_MAX - span->objects);
}

static void check_magazine(unsigned class, struct magazine *magazine)
{
    void **slots = magazine_slots(magazine);
    require(!slots[-1] && !slots[-2], "a magazine has lost its floor", class);
    require(magazine->count <= magazine->capacity, "a magazine holds too much", class);
    for (unsigned i = 0; i < magazine->count; i++) {
        struct span *span = mheap_span_of(slots[i]);
        require(span && span->class == class, "a magazine holds another class's object", class);
        size_t index = (((uintptr_t)slots[i] - span_address(span)) * span->inverse) >> 32;
        require(span->bits[index / 64] >> index % 64 & 1, "a cached object's bit is clear", class);
    }
}

static void check_class(unsigned class)
{
    struct mcentral *central = &mcentrals[class];
    size_t full = 0, objects = 0;
    for (struct magazine *m = central->full; m; m = m->next, full++) {
        require(m->count > 0, "the depot holds an empty magazine", class);
        check_magazine(class, m);
        objects += m->count;
    }
    require(full == central->full_count, "the depot is miscounted", class);
    require(objects == central->in_depot, "the depot's objects are miscounted", class);
    for (struct magazine *m = central->empty; m; m = m->next)
        require(m->count == 0, "the stock holds a full magazine", class);
    uint32_t before = 0;
    for (uint32_t at = central->spans; at; at = mheap_span_at(at)->next) {
        const struct span *span = mheap_span_at(at);
        require(span->state == SPAN_SMALL && span->class == class % SIZE_CLASS_COUNT,
                "a wrong span", class);
        require(span->listed && span->prev == before, "the list is broken", class);
        require(span->used == bits_set(span), "a span's objects are miscounted", class);
        require(span->used > 0 && span->used < span->objects, "a span shouldn't be listed", class);
        require(holes_are_empty(span), "an object in use lies in a hole", class);
        before = at;
    }
}

void mcentral_check(void)
{
    for (unsigned class = 1; class < MCENTRAL_COUNT; class ++) {
        lock_acquire(&mcentrals[class].lock);
        check_class(class);
        lock_release(&mcentrals[class].lock);
    }
}

static void add_apart(struct mcentral_stats *out, const struct mcentral *central)
{
    out->spans += GA_LOAD_ANY(central->span_count);
    out->objects_out += GA_LOAD_ANY(central->objects_out);
    out->allocs += GA_LOAD_ANY(central->allocs);
    out->frees += GA_LOAD_ANY(central->frees);
}

void mcentral_read_stats(unsigned class, struct mcentral_stats *out)
{
    struct mcentral *central = &mcentrals[class];
    lock_acquire(&central->lock);
    *out = (struct mcentral_stats){
        .spans = central->span_count,
        .objects_out = central->objects_out,
        .objects_in_depot = central->in_depot,
        .magazines = magazines_made[class],
        .allocs = central->allocs,
        .frees = central->frees,
    };
    add_apart(out, &mcentrals[mcentral_noscan(class)]);
    add_apart(out, &mcentrals[mcentral_typed(class)]);
    lock_release(&central->lock);
}
