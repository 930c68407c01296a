// SPDX-License-Identifier: MIT
/*
 * work.c: rings of spans, stealing, and when all is done.
 *
 * Place: mark.c puts and takes; cycle.c opens and closes; assist.c and helpers.c enter. Calls
 * src/os, and src/mheap for memory.
 *
 * A ring's head and tail only grow while anybody marks. Who takes reads head, then tail, copies
 * what lies between, and moves the head by a compare and exchange: that fails if somebody else has
 * taken it meanwhile, and then what was copied counts for nothing, be it written over or not.
 *
 * When is all done? Work comes from those alone who are inside, and the collector's thread. So:
 * none is inside, all rings are empty, and nobody has entered while that was found out. `presence`
 * counts both those that are inside and those that ever entered. tests/model/marking.pml tries it.
 *
 * Invariants: a span is in one ring at most once (mark.c sees to that), or in the hands of one that
 * is inside.
 * Locking: none; what orders what is said at each. Signals: a thread that is inside may be
 * interrupted; the world isn't stopped before it has left. One that the system lets rest there (a
 * debugger, say) has the collector wait, not the program: who waits for that gives up after a while
 * (thread.c).
 */
#include "work.h"

#include "../mheap/mheap.h"
#include "../os/os.h"

static struct marker markers[WORK_RINGS];
static unsigned ring_count; /* constant while anybody marks */

/*
 * How many of the library's threads are inside, how many of the program's, and how many ever
 * entered. All of it sequentially consistent: who enters is seen by work_is_done before what he
 * takes, and sees that it is closed, or is seen by who closes.
 *
 * A thread of the program's that found it open may count as inside a little later, when it is
 * closed: it then leaves at once. Stopped just there it stays, and has nothing; so while the world
 * is stopped those don't count.
 */
static _Atomic(uint64_t) presence;
#define OWN         UINT64_C(1)
#define PROGRAM     (UINT64_C(1) << 16)
#define ENTERED     (UINT64_C(1) << 32)
#define ALL_OWN     (PROGRAM - OWN)
#define ALL_PROGRAM (ENTERED - PROGRAM)
static atomic_bool is_open; /* as presence */

static atomic_uint pausing; /* nothing ever wakes who waits here: a sleep */

/* --- Room --- */

static bool prepare_ring(struct marker *marker, size_t capacity)
{
    if (!marker->copy)
        marker->copy = mheap_meta_alloc(COPY_STEP);
    if (marker->spans && marker->mask + 1 >= capacity)
        return marker->copy != NULL;
    atomic_uint *spans = mheap_meta_alloc(capacity * sizeof(*spans));
    if (!spans)
        return false;
    marker->spans = spans;
    marker->mask = capacity - 1;
    return marker->copy != NULL;
}

bool work_prepare(size_t spans)
{
    size_t capacity = 4096;
    unsigned wanted = os_processors();
    while (capacity < spans)
        capacity *= 2;
    wanted = wanted < 2 ? 2 : wanted > WORK_RINGS ? WORK_RINGS : wanted;
    if (wanted > ring_count)
        ring_count = wanted;
    for (unsigned i = 0; i < ring_count; i++)
        if (!prepare_ring(&markers[i], capacity))
            return false;
    return true;
}

void work_reset(void)
{
    for (unsigned i = 0; i < ring_count; i++) {
        atomic_store_explicit(&markers[i].head, 0, memory_order_relaxed);
        atomic_store_explicit(&markers[i].tail, 0, memory_order_relaxed);
        atomic_store_explicit(&markers[i].scanned, 0, memory_order_relaxed);
    }
}

struct marker *work_own(void)
{
    return &markers[0];
}

size_t work_scanned(void)
{
    size_t scanned = 0;
    for (unsigned i = 0; i < ring_count; i++)
        scanned += atomic_load_explicit(&markers[i].scanned, memory_order_relaxed);
    return scanned;
}

/* --- Rings --- */

bool work_put(struct marker *marker, size_t first_page)
{
    size_t tail = atomic_load_explicit(&marker->tail, memory_order_relaxed);
    /* Acquire: whoever took what was in this place has copied it. */
    if (tail - atomic_load_explicit(&marker->head, memory_order_acquire) > marker->mask)
        return false;
    atomic_store_explicit(&marker->spans[tail & marker->mask], (uint32_t)first_page,
                          memory_order_relaxed);
    /* Release: with the span itself, and the marks in it. */
    atomic_store_explicit(&marker->tail, tail + 1, memory_order_release);
    return true;
}

/* `divide`: takes what is there divided by so much, rounded up. */
static unsigned take_from(struct marker *from, uint32_t *spans, unsigned most, unsigned divide)
{
    size_t head = atomic_load_explicit(&from->head, memory_order_acquire);
    for (;;) {
        size_t there = atomic_load_explicit(&from->tail, memory_order_acquire) - head;
        size_t count = (there + divide - 1) / divide;
        count = count < most ? count : most;
        for (size_t i = 0; i < count; i++)
            spans[i] =
                atomic_load_explicit(&from->spans[(head + i) & from->mask], memory_order_relaxed);
        /* Release: the owner may write over what was copied. */
        if (count == 0 ||
            atomic_compare_exchange_weak_explicit(&from->head, &head, head + count,
                                                  memory_order_seq_cst, memory_order_acquire))
            return (unsigned)count;
    }
}

unsigned work_take(struct marker *marker, uint32_t *spans, unsigned most)
{
    unsigned own = (unsigned)(marker - markers), got = take_from(marker, spans, most, 1);
    for (unsigned i = 1; i < ring_count && !got; i++)
        got = take_from(&markers[(own + i) % ring_count], spans, most, 2);
    return got;
}

size_t work_peek(const struct marker *marker, size_t ahead)
{
    size_t at = atomic_load_explicit(&marker->head, memory_order_relaxed) + ahead;
    if (at >= atomic_load_explicit(&marker->tail, memory_order_relaxed))
        return 0;
    return atomic_load_explicit(&marker->spans[at & marker->mask], memory_order_relaxed);
}

static bool rings_are_empty(void)
{
    for (unsigned i = 0; i < ring_count; i++) {
        size_t head = atomic_load_explicit(&markers[i].head, memory_order_seq_cst);
        if (atomic_load_explicit(&markers[i].tail, memory_order_seq_cst) != head)
            return false;
    }
    return true;
}

/* --- Coming and going --- */

static bool is_inside(uint64_t present, bool stopped)
{
    return (present & (stopped ? ALL_OWN : ALL_OWN | ALL_PROGRAM)) != 0;
}

void work_open(void)
{
    atomic_store_explicit(&is_open, true, memory_order_seq_cst);
}

bool work_is_open(void)
{
    return atomic_load_explicit(&is_open, memory_order_relaxed);
}

void work_close(bool stopped)
{
    atomic_store_explicit(&is_open, false, memory_order_seq_cst);
    while (is_inside(atomic_load_explicit(&presence, memory_order_seq_cst), stopped))
        work_wait();
}

static struct marker *enter(uint64_t as)
{
    if (!atomic_load_explicit(&is_open, memory_order_relaxed))
        return NULL;
    atomic_fetch_add_explicit(&presence, ENTERED + as, memory_order_seq_cst);
    bool open = atomic_load_explicit(&is_open, memory_order_seq_cst);
    for (unsigned i = 1; open && i < ring_count; i++)
        if (!atomic_exchange_explicit(&markers[i].lent, true, memory_order_acquire)) {
            markers[i].plain = as == PROGRAM;
            return &markers[i];
        }
    atomic_fetch_sub_explicit(&presence, as, memory_order_seq_cst);
    return NULL;
}

static void leave(struct marker *marker, uint64_t as)
{
    atomic_store_explicit(&marker->lent, false, memory_order_release);
    atomic_fetch_sub_explicit(&presence, as, memory_order_seq_cst);
}

struct marker *work_enter(void)
{
    return enter(PROGRAM);
}

void work_leave(struct marker *marker)
{
    leave(marker, PROGRAM);
}

struct marker *work_enter_own(void)
{
    return enter(OWN);
}

void work_leave_own(struct marker *marker)
{
    leave(marker, OWN);
}

bool work_is_done(bool stopped)
{
    uint64_t present = atomic_load_explicit(&presence, memory_order_seq_cst);
    return !is_inside(present, stopped) && rings_are_empty() &&
           atomic_load_explicit(&presence, memory_order_seq_cst) == present;
}

#define WAIT_NANOSECONDS 20000

void work_wait(void)
{
    os_futex_wait_for(&pausing, 0, WAIT_NANOSECONDS);
}

void work_reset_in_child(void)
{
    atomic_store_explicit(&presence, 0, memory_order_relaxed);
    atomic_store_explicit(&is_open, false, memory_order_relaxed);
    for (unsigned i = 0; i < WORK_RINGS; i++)
        atomic_store_explicit(&markers[i].lent, false, memory_order_relaxed);
}
