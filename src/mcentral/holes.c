// SPDX-License-Identifier: MIT
/*
 * holes.c: memory of free objects whose span can't go back as a whole.
 *
 *   span    | used | free | free | free | used | free | free | free |
 *   memory  |    page 0   |    page 1   |    page 2   |    page 3   |
 *                           goes back                   goes back
 *
 * Place: src/scavenger walks through a class from time to time, and when the program asks for
 * everything to go back. Calls src/mheap.
 *
 * Where a random nine tenths of a heap were freed nearly every span still holds something; of 1 KB
 * blocks two pages of three then hold nothing, of 4 KB nine of ten.
 *
 * What goes first: objects are taken from the front of a central's list, so a walk leaves as many
 * free ones alone there as were needed since the last walk, and gives back what lies behind them.
 * A walk through spans in which nothing has changed finds nothing: there's none until the free
 * objects that nobody needs have become an eighth more than the last one was about. Nor is there
 * one where chance leaves no page empty: small objects that go together leave empty spans.
 *
 * Invariants: an OS page that `holes` names holds no object in use, and has gone back: who takes an
 * object from it takes it off, before it touches the object. (The kernel may have filled it again,
 * with the rest of a huge page; a walk about all gives it back once more.) Where the OS's page is
 * larger than ours there are none.
 * Locking: the central is locked, for up to SPANS_A_STEP spans; the heap's lock is taken inside it,
 * not while the kernel works. Fork: a child's walk ends where the parent's stood.
 */
#include "../os/os.h"
#include "internal.h"

#define SPANS_A_STEP 32
/* Some of a program's memory may be locked, where others are worth a try, or all of it. */
#define MAX_REFUSALS 8
/* A class is worth a walk if so much is to be expected. */
#define WORTH_BYTES ((size_t)64 << 10)

_Static_assert(SIZE_CLASS_SPAN_PAGES_MAX << HEAP_PAGE_SHIFT >> 12 <= 64, "a bit for each OS page");

atomic_bool mcentral_may_have_holes;

/* --- Which pages --- */

static bool no_bit_is_set(const struct span *span, size_t first, size_t last)
{
    for (size_t word = first / 64; word <= last / 64; word++) {
        uint64_t mask = ~UINT64_C(0);
        if (word == first / 64)
            mask <<= first % 64;
        if (word == last / 64)
            mask &= ~UINT64_C(0) >> (63 - last % 64);
        if (span->bits[word] & mask)
            return false;
    }
    return true;
}

/* The OS pages that hold no object in use, nor what is left of the span behind its last. */
static uint64_t empty_pages(const struct span *span)
{
    const size_t page_size = os_page_size();
    const size_t end = (size_t)span->objects * span->size;
    uint64_t pages = 0;
    for (size_t at = 0, i = 0; at + page_size <= end; at += page_size, i++) {
        size_t first = at * span->inverse >> 32;
        size_t last = (at + page_size - 1) * span->inverse >> 32;
        if (no_bit_is_set(span, first, last))
            pages |= UINT64_C(1) << i;
    }
    return pages;
}

static size_t bytes_of(uint64_t pages)
{
    return (size_t)count_bits(pages) * os_page_size();
}

void holes_fill(struct span *span)
{
    uint64_t taken = span->holes & ~empty_pages(span);
    if (!taken)
        return;
    span->holes &= ~taken;
    mheap_take_holes(bytes_of(taken));
}

void holes_forget(struct span *span)
{
    if (GA_LIKELY(!span->holes))
        return;
    mheap_take_holes(bytes_of(span->holes));
    span->holes = 0;
}

bool holes_are_empty(const struct span *span)
{
    return (span->holes & ~empty_pages(span)) == 0;
}

/* --- A step --- */

/* Gives back one stretch after the other, but for those that the kernel refuses. */
static void give_pages(struct mcentral *central, struct span *span, uint64_t pages, size_t *bytes)
{
    const size_t page_size = os_page_size();
    while (pages && central->hole_tries) {
        unsigned first = (unsigned)__builtin_ctzl(pages);
        uint64_t behind = pages + (UINT64_C(1) << first); /* carries through the stretch */
        uint64_t stretch = pages & ~behind;
        size_t size = bytes_of(stretch), fresh = bytes_of(stretch & ~span->holes);
        if (mheap_give_hole(span_address(span) + first * page_size, size, fresh)) {
            span->holes |= stretch;
            *bytes += fresh;
        } else {
            central->hole_tries--;
        }
        pages &= behind;
    }
}

/* Lock held. Whether there's more, further on. */
static bool step(struct mcentral *central, size_t *bytes)
{
    for (unsigned i = 0; i < SPANS_A_STEP && central->hole_at; i++) {
        struct span *span = mheap_span_at(central->hole_at);
        unsigned available = (unsigned)(span->objects - span->used);
        central->hole_at = span->next;
        uint64_t pages = central->hole_skip ? 0 : empty_pages(span);
        give_pages(central, span, central->hole_all ? pages : pages & ~span->holes, bytes);
        central->hole_skip -= available < central->hole_skip ? available : central->hole_skip;
    }
    return central->hole_at && central->hole_tries;
}

bool mcentral_give_holes(unsigned class, size_t *bytes)
{
    struct mcentral *central = &mcentrals[class];
    lock_acquire(&central->lock);
    bool more = step(central, bytes);
    lock_release(&central->lock);
    return more;
}

/* --- A walk --- */

/* How many bytes of empty OS pages there are about, if `unneeded` objects at random are free: the
 * share that is, to the power of the objects on a page. */
static size_t expected_bytes(const struct mcentral *central, unsigned class, uint32_t unneeded)
{
    const struct size_class *row = &size_classes[class];
    const size_t objects = (size_t)central->span_count * row->objects;
    const uint64_t share = ((uint64_t)unneeded << 16) / objects; /* of 2^16 */
    uint64_t chance = (uint64_t)objects * row->size;
    for (size_t bytes = 0; bytes < os_page_size(); bytes += row->size)
        chance = chance * share >> 16;
    return chance;
}

static bool is_worth_it(const struct mcentral *central, unsigned class, uint32_t unneeded)
{
    return unneeded > central->walked + central->walked / 8 &&
           expected_bytes(central, class, unneeded) >= WORTH_BYTES;
}

/* Lock held. `now` objects are free; `unneeded` of them were all the time. */
static enum mcentral_look look(struct mcentral *central, unsigned class, uint32_t now,
                               uint32_t unneeded)
{
    if (!now)
        return LOOK_NOTHING;
    if (central->hole_all || is_worth_it(central, class, unneeded))
        return LOOK_WALK;
    return is_worth_it(central, class, now) ? LOOK_LATER : LOOK_NOTHING;
}

enum mcentral_look mcentral_begin_holes(unsigned class, bool all)
{
    struct mcentral *central = &mcentrals[class];
    if (os_page_size() > HEAP_PAGE || class >= SIZE_CLASS_FIRST_PAGE_CLASS)
        return LOOK_NOTHING;
    lock_acquire(&central->lock);
    uint32_t now = central_free(central, class);
    uint32_t unneeded = all || now < central->least_free ? now : central->least_free;
    central->hole_all = all;
    central->hole_tries = MAX_REFUSALS;
    central->walked = central->walked < now ? central->walked : now;
    enum mcentral_look found = look(central, class, now, unneeded);
    central->least_free = now;
    central->hole_at = found == LOOK_WALK ? central->spans : 0;
    central->hole_skip = now - unneeded;
    if (found == LOOK_WALK)
        central->walked = unneeded;
    lock_release(&central->lock);
    return found;
}
