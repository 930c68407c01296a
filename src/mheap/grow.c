// SPDX-License-Identifier: MIT
/*
 * grow.c: the window and how it is mapped.
 *
 * Place: runs.c's and large.c's callers come here when no run is long enough. Calls src/os.
 *
 * Why nothing is reserved: a reservation of a terabyte counts against RLIMIT_AS, and a program that
 * lowers that limit after it started (or runs under `ulimit -v`) would fail at its next mmap. The
 * window is address space that nobody else asks for; each piece is mapped with
 * MAP_FIXED_NOREPLACE, and where something does lie in the way the heap goes on behind it.
 *
 * Invariants:
 *   - the tables of every arena below the heap's end are mapped, also of arenas that are skipped;
 *   - the heap's end is stored after the tables and the pages below it are there;
 *   - neighbouring mappings have the same flags, so the kernel keeps them as one.
 * Locking: the heap's lock is held by the caller, but for mheap_init which takes it.
 */
#include "../os/os.h"
#include "internal.h"

struct mheap mheap;
struct mheap_view mheap_view;

/* The class table is mapped by 64 KB: enough for 512 MB of heap. */
#define CLASS_TABLE_STEP ((size_t)64 << 10)
/* A heap that finds itself walled in gives up after this many arenas. */
#define MAX_SKIPS 64

/*
 * The window starts at a random multiple of an arena between 16 and 48 TB: far above programs
 * linked at fixed addresses, far below where the kernel puts libraries, stacks and mmap. Processors
 * with fewer address bits (39 on some arm64) refuse that; there it starts at 160 GB or above.
 */
static uintptr_t choose_base(uint64_t seed, bool low)
{
    uintptr_t from = low ? (uintptr_t)160 << 30 : (uintptr_t)16 << 40;
    uintptr_t choices = low ? 512 : (uintptr_t)1 << 19;
    return from + (uintptr_t)(seed % choices) * ARENA_SIZE;
}

/* Release: who sees the pages sees the tables. A pointer travels to another thread by some
 * synchronisation of the program's, which carries this store along. */
static void set_end(size_t pages)
{
    __atomic_store_n(&mheap_view.end, pages << PAGE_UNITS_SHIFT, __ATOMIC_RELEASE);
}

/* Maps the tables for all pages below `end`. */
static bool map_tables(size_t end)
{
    if (mheap.class_bytes_mapped < end) {
        size_t more = round_up(end, CLASS_TABLE_STEP) - mheap.class_bytes_mapped;
        uintptr_t at = mheap_view.base - CLASS_TABLE_OFFSET + mheap.class_bytes_mapped;
        if (os_map_at(at, more) != OS_MAPPED)
            return false;
        mheap.class_bytes_mapped += more;
        mheap.stats.meta += more;
    }
    size_t arenas = (end + ARENA_PAGES - 1) / ARENA_PAGES;
    if (mheap.arenas_mapped < arenas) {
        size_t more = (arenas - mheap.arenas_mapped) * ARENA_RECORD_SIZE;
        if (os_map_at((uintptr_t)mheap_arena_of(mheap.arenas_mapped * ARENA_PAGES), more) !=
            OS_MAPPED)
            return false;
        mheap.arenas_mapped = arenas;
        mheap.stats.meta += more;
    }
    return true;
}

/* Maps `pages` at the heap's end, or tells why not. */
static enum os_map_result map_pages(size_t pages)
{
    size_t top = mheap_pages();
    if (pages > WINDOW_PAGES - top || !map_tables(top + pages))
        return OS_NO_MEMORY;
    enum os_map_result result = os_map_at(mheap_page_address(top), pages << HEAP_PAGE_SHIFT);
    if (result != OS_MAPPED)
        return result;
    mheap.stats.mapped += pages << HEAP_PAGE_SHIFT;
    set_end(top + pages);
    run_insert(top, pages);
    return OS_MAPPED;
}

/* Something lies at the heap's end: go on at the next arena. */
static bool skip_arena(void)
{
    size_t next = mheap_pages() / ARENA_PAGES * ARENA_PAGES + ARENA_PAGES;
    if (next >= WINDOW_PAGES || !map_tables(next))
        return false;
    set_end(next);
    return true;
}

/* The free pages right at the heap's end, which new ones will be merged with. */
static size_t free_at_end(void)
{
    size_t top = mheap_pages();
    size_t run = page_span_load(top - 1);
    struct span *span = mheap_span_at(run);
    bool is_run = span->state == SPAN_FREE && run + span->pages == top;
    return is_run ? span->pages : 0;
}

/*
 * Grows by half of what there is, 4 MB to 64 MB at a time, so that a small process stays small in
 * address space and a large one makes few calls. Where that is refused: as little as will do.
 */
bool grow_heap(size_t pages)
{
    size_t half = round_down(mheap.stats.mapped / 2, CHUNK_SIZE) >> HEAP_PAGE_SHIFT;
    size_t usual = half < CHUNK_PAGES ? CHUNK_PAGES : half > ARENA_PAGES ? ARENA_PAGES : half;
    for (int skips = 0; skips < MAX_SKIPS; skips++) {
        size_t at_end = free_at_end();
        size_t need = pages > at_end ? pages - at_end : 1;
        size_t step = round_up(need > usual ? need : usual, CHUNK_PAGES);
        size_t least = round_up(need, ((size_t)64 << 10) / HEAP_PAGE);
        enum os_map_result result = map_pages(step);
        if (result == OS_NO_MEMORY && least < step)
            result = map_pages(least);
        if (result != OS_OCCUPIED)
            return result == OS_MAPPED;
        if (!skip_arena())
            return false;
    }
    return false;
}

static bool map_first_chunk(uintptr_t base)
{
    mheap_view.base = base;
    mheap.class_bytes_mapped = 0;
    mheap.arenas_mapped = 0;
    if (!map_tables(CHUNK_PAGES) || os_map_at(base, CHUNK_SIZE) != OS_MAPPED)
        return false;
    mheap.stats.mapped = CHUNK_SIZE;
    mheap.meta_at = mheap.meta_end = base - META_OFFSET;
    set_end(CHUNK_PAGES);
    run_insert(1, CHUNK_PAGES - 1); /* page 0 stays unused, so that 0 can mean "none" */
    return true;
}

/* Undoes what a failed try mapped. */
static void unmap_tables(void)
{
    if (mheap.class_bytes_mapped)
        os_unmap(mheap_view.base - CLASS_TABLE_OFFSET, mheap.class_bytes_mapped);
    if (mheap.arenas_mapped)
        os_unmap(mheap_view.base - RECORDS_OFFSET, mheap.arenas_mapped * ARENA_RECORD_SIZE);
    mheap.stats.meta = 0;
    mheap_view.base = 0;
}

static bool init_locked(void)
{
    uint64_t seed = os_random_seed();
    for (unsigned try = 0; try < 8; try++) {
        if (map_first_chunk(choose_base(seed >> try * 4, try >= 3)))
            return true;
        unmap_tables();
    }
    return false;
}

bool mheap_init(void)
{
    /* Acquire: pairs with the release below, so that base is seen with it. */
    if (GA_LIKELY(atomic_load_explicit(&mheap.ready, memory_order_acquire)))
        return true;
    lock_acquire(&mheap.lock);
    bool ready = atomic_load_explicit(&mheap.ready, memory_order_relaxed) || init_locked();
    atomic_store_explicit(&mheap.ready, ready, memory_order_release);
    lock_release(&mheap.lock);
    return ready;
}

void mheap_lock_for_fork(void)
{
    lock_acquire(&mheap.lock);
    lock_acquire(&mheap.meta_lock);
}

void mheap_unlock_after_fork(void)
{
    lock_release(&mheap.meta_lock);
    lock_release(&mheap.lock);
}

void mheap_reset_in_child(void)
{
    lock_reset(&mheap.meta_lock);
    lock_reset(&mheap.lock);
}
