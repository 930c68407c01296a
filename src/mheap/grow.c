// SPDX-License-Identifier: MIT
/*
 * grow.c: the window, the tables, and how they are mapped.
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
 *   - mheap_view.end is stored after the tables and the pages below it are there;
 *   - neighbouring mappings have the same flags, so the kernel keeps them as one.
 * Locking: the heap's lock is held by the caller, but for mheap_init which takes it.
 */
#include "../os/os.h"
#include "internal.h"
#include "marks.h"
#include "notes.h"

struct mheap mheap;
struct mheap_view mheap_view;

/* The class table is mapped by 128 KB: enough for 512 MB of heap. */
#define CLASS_TABLE_STEP ((size_t)128 << 10)
/*
 * Where in its first OS page the class table begins. A processor takes a load for dependent on an
 * earlier store when the low 12 bits of their addresses agree. A young heap's entries begin at a
 * multiple of 1 KB (the window at one of 4 MB) and its blocks' first words lie at the start of a
 * page: were the table not shifted, a write to a block would hold up the class look-up of the free
 * that follows (5 cycles of a malloc and free pair).
 */
#define CLASS_TABLE_SHIFT 0xa40
/*
 * From this size on the kernel is asked whether it would ever back so much: the heap's own mappings
 * don't count with it, and what describes a terabyte takes half a gigabyte itself.
 */
#define MUCH_PAGES ((size_t)1 << 30 >> HEAP_PAGE_SHIFT)
/* A heap that finds itself walled in gives up after this many arenas. */
#define MAX_SKIPS 4096

/* Release: who sees the pages sees the tables. A pointer travels to another thread by some
 * synchronisation of the program's, which carries this store along. */
static void set_end(size_t page)
{
    if (GA_UNLIKELY(mheap_notes.table))
        notes_set_end(page);
    __atomic_store_n(&mheap_view.end, page << PAGE_UNITS_SHIFT, __ATOMIC_RELEASE);
}

/* Maps the tables for all pages below `end`. */
static bool map_tables(size_t end)
{
    size_t class_bytes = CLASS_TABLE_SHIFT + end * sizeof(*mheap.classes);
    if (mheap.class_bytes_mapped < class_bytes) {
        size_t more = round_up(class_bytes, CLASS_TABLE_STEP) - mheap.class_bytes_mapped;
        if (os_map_at(mheap.tables + mheap.class_bytes_mapped, more) != OS_MAPPED)
            return false;
        mheap.class_bytes_mapped += more;
        mheap.stats.meta += more;
    }
    size_t arenas = (end + ARENA_PAGES - 1) / ARENA_PAGES - mheap_view.first_arena;
    if (mheap.arenas_mapped < arenas) {
        size_t more = (arenas - mheap.arenas_mapped) * ARENA_RECORD_SIZE;
        uintptr_t at = mheap_view.records + mheap.arenas_mapped * ARENA_RECORD_SIZE;
        if (os_map_at(at, more) != OS_MAPPED)
            return false;
        GA_STORE_ANY(mheap.arenas_mapped, arenas);
        mheap.stats.meta += more;
    }
    if (GA_UNLIKELY(mheap_notes.table) && !notes_map(end))
        return false;
    return !mheap_marks_enabled() || marks_map(end);
}

/* Maps `pages` at the heap's end, or tells why not. */
static enum os_map_result map_pages(size_t pages)
{
    size_t top = mheap_end();
    if (pages > mheap.limit - top || !map_tables(top + pages))
        return OS_NO_MEMORY;
    enum os_map_result result = os_map_at(mheap_page_address(top), pages << HEAP_PAGE_SHIFT);
    if (result != OS_MAPPED)
        return result;
    advise_mapping(mheap_page_address(top), pages << HEAP_PAGE_SHIFT);
    mheap.stats.mapped += pages << HEAP_PAGE_SHIFT;
    set_end(top + pages);
    run_insert(top, pages);
    return OS_MAPPED;
}

/* Something lies at the heap's end: go on at the next arena. */
static bool skip_arena(void)
{
    size_t next = mheap_end() / ARENA_PAGES * ARENA_PAGES + ARENA_PAGES;
    if (next >= mheap.limit || !map_tables(next))
        return false;
    set_end(next);
    return true;
}

/* The free pages right at the heap's end, which new ones will be merged with. */
static size_t free_at_end(void)
{
    size_t top = mheap_end();
    size_t run = page_span_load(top - 1);
    if (!run)
        return 0; /* foreign memory that the heap goes round */
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
    if (pages >= MUCH_PAGES && !os_would_hold(pages << HEAP_PAGE_SHIFT))
        return false;
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

/*
 * Chooses where the window and the tables begin. The window begins at a chunk, not an arena, which
 * makes its place harder to guess; no higher than needed, since what lies below it takes 256 KB of
 * the class table for each gigabyte, which RLIMIT_AS counts. The tables lie far above programs
 * linked at fixed addresses, far below where the kernel puts libraries, stacks and mmap. Where the
 * processor has fewer address bits than 47 (39 on some arm64), and where a sanitizer claims the
 * middle of the address space, `low` puts them at 256 GB and ends the window before.
 */
static void choose_places(uint64_t seed, bool low)
{
    const uintptr_t gigabyte = (uintptr_t)1 << 30;
    uintptr_t window = 33 * gigabyte + (uintptr_t)(seed % 4096) * CHUNK_SIZE;
    uintptr_t choice = (uintptr_t)(seed >> 16) * ARENA_SIZE;
    uintptr_t tables = low ? 256 * gigabyte + choice % (64 * gigabyte)
                           : 16384 * gigabyte + choice % (24576 * gigabyte);
    uintptr_t limit = low ? 256 * gigabyte : window + WINDOW_SIZE;
    mheap.tables = tables;
    mheap.classes = (uint16_t *)(tables + CLASS_TABLE_SHIFT);
    mheap.limit = limit >> HEAP_PAGE_SHIFT;
    mheap.meta_start = mheap.meta_at = mheap.meta_end = tables + CLASS_TABLE_MAX + RECORDS_MAX;
    mheap_view.classes = mheap.classes;
    mheap_view.start = window >> HEAP_PAGE_SHIFT;
    mheap_view.first_arena = window >> ARENA_SHIFT;
    mheap_view.records = tables + CLASS_TABLE_MAX;
}

static bool map_first_chunk(void)
{
    size_t start = mheap_view.start;
    if (!map_tables(start + CHUNK_PAGES) ||
        os_map_at(mheap_page_address(start), CHUNK_SIZE) != OS_MAPPED)
        return false;
    advise_mapping(mheap_page_address(start), CHUNK_SIZE);
    mheap.stats.mapped = CHUNK_SIZE;
    set_end(start + CHUNK_PAGES);
    run_insert(start, CHUNK_PAGES);
    return true;
}

/* Undoes what a failed try mapped. */
static void unmap_tables(void)
{
    if (mheap.class_bytes_mapped)
        os_unmap(mheap.tables, mheap.class_bytes_mapped);
    if (mheap.arenas_mapped)
        os_unmap(mheap_view.records, mheap.arenas_mapped * ARENA_RECORD_SIZE);
    mheap.class_bytes_mapped = mheap.arenas_mapped = mheap.stats.meta = 0;
}

static bool init_locked(void)
{
    uint64_t seed = os_random_seed();
    for (unsigned try = 0; try < 8; try++) {
        choose_places(seed >> try * 2, GA_LOW_ADDRESSES || try >= 3);
        if (map_first_chunk())
            return true;
        unmap_tables();
    }
    return false;
}

bool mheap_init(void)
{
    /* Acquire: pairs with the release below, so that mheap_view is seen with it. */
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
    lock_freeze(&mheap.lock);
    lock_freeze(&mheap.meta_lock);
}

void mheap_unlock_after_fork(void)
{
    lock_thaw(&mheap.meta_lock);
    lock_thaw(&mheap.lock);
}

void mheap_reset_in_child(void)
{
    lock_reset(&mheap.meta_lock);
    lock_reset(&mheap.lock);
    large_reset_in_child();
}
