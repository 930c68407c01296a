// SPDX-License-Identifier: MIT
/*
 * sample.c: guarded blocks: each on a page of its own, between pages that trap.
 *
 *   trap | page 0 | trap | page 1 | trap | ... | page n-1 | trap
 *
 * Place: hardened_malloc, and the slow path of malloc where GOALLOC=sample is on alone. Calls
 * src/os, src/mheap for the pool, and misuses.c.
 *
 * The block lies at its page's start or end, by chance, so that an overrun on that side is caught
 * at the instruction; the rest of the page holds a pattern that is checked when the block is freed.
 * A freed block's page traps until all others have been used: that is how a use after free is
 * caught. Who allocated it and who freed it is kept until then.
 *
 * Invariants: a page is in one of three states; only GUARDED_LIVE ones don't trap, and only
 * GUARDED_FREE ones are in the queue, oldest first.
 * Locking: one lock for the queue and the states. No lock is held over a system call or while a
 * trace is taken.
 */
#include <string.h>

#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

#define PAGES_MAX   256
#define PAGES_SPLIT 128 /* where trapping pages cost mappings */
#define FILL        0xa5

enum guarded_state { GUARDED_FREE, GUARDED_BUSY, GUARDED_LIVE };

struct guarded {
    uintptr_t block; /* owner, as what follows; 0: never used */
    size_t size;
    atomic_int state; /* enum guarded_state; written under the lock; read without by reports */
    struct misuse_trace allocated, freed;
};

static struct {
    struct lock lock;
    atomic_bool failed;      /* there's no pool to be had; relaxed */
    _Atomic(uintptr_t) base; /* the first trap page; 0: no pool yet; release once all is there */
    size_t page;             /* bytes; constant once base is set, as the next two */
    unsigned pages;
    bool marked;               /* pages trap by a mark, not by a mapping */
    uint16_t queue[PAGES_MAX]; /* free pages, oldest at `at`; guarded by lock */
    unsigned at, count;        /* guarded by lock */
    struct guarded *guarded;   /* by page; constant once base is set */
} pool;

/* --- The pool --- */

static bool set_trap(uintptr_t address, size_t size, bool traps)
{
    if (pool.marked)
        return traps ? os_guard(address, size) : os_unguard(address, size);
    return (!traps || os_release(address, size)) && os_protect(address, size, !traps);
}

static uintptr_t page_at(unsigned i)
{
    return atomic_load_explicit(&pool.base, memory_order_relaxed) + (2 * (size_t)i + 1) * pool.page;
}

/* Lock held. */
static bool make_pool(void)
{
    size_t page = os_page_size(), bytes = (2 * (size_t)PAGES_MAX + 1) * page;
    pool.guarded = mheap_meta_alloc(PAGES_MAX * sizeof(*pool.guarded));
    if (!pool.guarded || page > HEAP_PAGE)
        return false;
    struct span *span = mheap_alloc_owned(pages_for(bytes), HEAP_PAGE, SPAN_GUARDED, NULL);
    if (!span)
        return false;
    uintptr_t base = span_address(span);
    bytes = (size_t)span->pages << HEAP_PAGE_SHIFT;
    pool.marked = os_guard(base, bytes);
    if (!pool.marked && (!os_release(base, bytes) || !os_protect(base, bytes, false))) {
        mheap_free_owned(span, true);
        return false;
    }
    pool.page = page;
    pool.pages = pool.count = pool.marked ? PAGES_MAX : PAGES_SPLIT;
    for (unsigned i = 0; i < pool.pages; i++)
        pool.queue[i] = (uint16_t)i;
    atomic_store_explicit(&pool.base, base, memory_order_release);
    return true;
}

static bool has_pool(void)
{
    if (GA_LIKELY(atomic_load_explicit(&pool.base, memory_order_acquire) != 0))
        return true;
    if (atomic_load_explicit(&pool.failed, memory_order_relaxed))
        return false;
    lock_acquire(&pool.lock);
    bool made = atomic_load_explicit(&pool.base, memory_order_relaxed) || make_pool();
    lock_release(&pool.lock);
    if (!made)
        atomic_store_explicit(&pool.failed, true, memory_order_relaxed);
    return made;
}

static void set_state(unsigned i, enum guarded_state state)
{
    atomic_store_explicit(&pool.guarded[i].state, state, memory_order_relaxed);
}

static int state_of(unsigned i)
{
    return atomic_load_explicit(&pool.guarded[i].state, memory_order_relaxed);
}

/* The page that was freed longest ago; PAGES_MAX: all are in use. */
static unsigned take_page(void)
{
    unsigned i = PAGES_MAX;
    lock_acquire(&pool.lock);
    if (pool.count) {
        i = pool.queue[pool.at];
        pool.at = (pool.at + 1) % pool.pages;
        pool.count--;
        set_state(i, GUARDED_BUSY);
    }
    lock_release(&pool.lock);
    return i;
}

static void give_page(unsigned i)
{
    lock_acquire(&pool.lock);
    set_state(i, GUARDED_FREE);
    pool.queue[(pool.at + pool.count++) % pool.pages] = (uint16_t)i;
    lock_release(&pool.lock);
}

/* Asked for once a thread: a sandbox may not let it be asked later. */
static unsigned thread_id(void)
{
    struct mcache *cache = mcache_self();
    if (cache == &mcache_none)
        return os_thread_id();
    if (!cache->thread)
        cache->thread = os_thread_id();
    return cache->thread;
}

/* --- Whose turn it is --- */

/* Without a state of a thread's own: each draw takes another number. */
static struct random next_random(void)
{
    static atomic_ullong draws; /* relaxed */
    uint64_t x = atomic_fetch_add_explicit(&draws, 1, memory_order_relaxed) ^ hardened.key;
    return (struct random){x * hardened.multiplier};
}

static long draw(void)
{
    struct random random = next_random();
    random_next(&random);
    return (long)sample_draw(&random);
}

/* A guarded block costs some 15 us, most of it for who called and in the kernel. A program that
 * does little but allocate would spend a twentieth of its time on one in 100,000: where one in so
 * many or more is asked for, there's at most one in 2 ms. */
#define RATE_PACED ((size_t)10000)
#define PACE       UINT64_C(2000000)

static bool is_too_soon(void)
{
    static _Atomic(uint64_t) last; /* relaxed: one more does no harm */
    if (hardened.sample < RATE_PACED)
        return false;
    uint64_t now = os_nanotime();
    if (now - atomic_load_explicit(&last, memory_order_relaxed) < PACE)
        return true;
    atomic_store_explicit(&last, now, memory_order_relaxed);
    return false;
}

void *hardened_sample(size_t size, unsigned weight)
{
    struct mcache *cache = mcache_attached();
    if (!cache)
        return NULL;
    if (!cache->until_sample) {
        cache->until_sample = draw();
        thread_id();
    }
    cache->until_sample -= (long)weight;
    if (GA_LIKELY(cache->until_sample > 0))
        return NULL;
    cache->until_sample = draw();
    return is_too_soon() ? NULL : sample_alloc(size);
}

/* --- Blocks --- */

static void fill_around(const struct guarded *guarded, uintptr_t page)
{
    uintptr_t end = guarded->block + guarded->size;
    memset((void *)page, FILL, guarded->block - page);
    memset((void *)end, FILL, page + pool.page - end);
}

void *sample_alloc(size_t size)
{
    unsigned i = size <= os_page_size() && has_pool() ? take_page() : PAGES_MAX;
    if (i == PAGES_MAX)
        return NULL;
    uintptr_t page = page_at(i);
    if (!set_trap(page, pool.page, false)) {
        give_page(i);
        return NULL;
    }
    struct guarded *guarded = &pool.guarded[i];
    struct random random = next_random();
    bool at_end = random_below(&random, 2);
    guarded->size = size;
    guarded->block = at_end ? page + pool.page - round_up(size ? size : 1, MIN_ALIGN) : page;
    guarded->freed.thread = 0;
    fill_around(guarded, page);
    misuse_trace_now(&guarded->allocated, thread_id());
    set_state(i, GUARDED_LIVE);
    return (void *)guarded->block;
}

/* The page that an address lies in or, if in a trap page, the one behind it. */
static unsigned index_of(uintptr_t address)
{
    uintptr_t base = atomic_load_explicit(&pool.base, memory_order_relaxed);
    size_t i = (address - base) / (2 * pool.page);
    return i < pool.pages ? (unsigned)i : pool.pages - 1;
}

GA_NORETURN GA_COLD static void bad_guarded(unsigned i, const void *p, const char *function,
                                            const char *kind)
{
    const struct guarded *guarded = &pool.guarded[i];
    struct misuse misuse = {.address = p,
                            .block = (void *)guarded->block,
                            .size = guarded->size,
                            .allocated = &guarded->allocated,
                            .freed = &guarded->freed};
    misuse.what = kind;
    if (strcmp(kind, "double free") == 0 || strncmp(kind, "write", 5) == 0)
        misuse_report(&misuse);
    misuse_call(function, kind, &misuse);
}

/* The page of the block that must start at p and be live. */
static unsigned live_page(const void *p, const char *function)
{
    unsigned i = index_of((uintptr_t)p);
    const struct guarded *guarded = &pool.guarded[i];
    if ((uintptr_t)p != guarded->block || !guarded->block)
        bad_guarded(i, p, function, "an interior pointer");
    if (state_of(i) != GUARDED_LIVE)
        bad_guarded(i, p, function,
                    strcmp(function, "free") == 0 ? "double free" : "a freed block");
    return i;
}

size_t sample_usable_size(const void *p, const char *function)
{
    return pool.guarded[live_page(p, function)].size;
}

void sample_shrink(const void *p, size_t size)
{
    struct guarded *guarded = &pool.guarded[index_of((uintptr_t)p)];
    memset((void *)(guarded->block + size), FILL, guarded->size - size);
    guarded->size = size;
}

/* The first byte that isn't FILL; NULL: all are, which is so if the first is and each equals the
 * next. */
static const unsigned char *find_other(uintptr_t from, uintptr_t to)
{
    const unsigned char *at = (const unsigned char *)from;
    if (from == to || (*at == FILL && memcmp(at, at + 1, to - from - 1) == 0))
        return NULL;
    while (*at == FILL)
        at++;
    return at;
}

static void check_around(unsigned i)
{
    const struct guarded *guarded = &pool.guarded[i];
    uintptr_t page = page_at(i), end = guarded->block + guarded->size;
    const unsigned char *before = find_other(page, guarded->block);
    const unsigned char *behind = find_other(end, page + pool.page);
    if (before)
        bad_guarded(i, before, NULL, "write before the start of a block");
    if (behind)
        bad_guarded(i, behind, NULL, "write past the end of a block");
}

/* false: another thread frees it too, and came first. */
static bool claim(unsigned i)
{
    int live = GUARDED_LIVE;
    return atomic_compare_exchange_strong_explicit(&pool.guarded[i].state, &live, GUARDED_BUSY,
                                                   memory_order_relaxed, memory_order_relaxed);
}

/* Without HARDENED_ALL, realloc asks for more than the program did. */
static bool is_size(size_t believed, size_t size)
{
    return believed == size || (believed < size && !(hardened_modes & HARDENED_ALL));
}

void sample_free(void *p, size_t believed, const char *function)
{
    unsigned i = live_page(p, function);
    if (believed != SIZE_UNKNOWN && !is_size(believed, pool.guarded[i].size))
        bad_guarded(i, p, function, "a block of another size");
    check_around(i);
    if (!claim(i))
        bad_guarded(i, p, function, "double free");
    misuse_trace_now(&pool.guarded[i].freed, thread_id());
    set_trap(page_at(i), pool.page, true);
    give_page(i);
}

/* --- What a page that trapped says --- */

/* Of a trap page's two neighbours, the one whose block was overrun: the nearer. */
static unsigned overrun_page(uintptr_t address, unsigned i)
{
    if (!i || state_of(i - 1) != GUARDED_LIVE)
        return i;
    if (state_of(i) != GUARDED_LIVE)
        return i - 1;
    uintptr_t end = pool.guarded[i - 1].block + pool.guarded[i - 1].size;
    return address - end <= pool.guarded[i].block - address ? i - 1 : i;
}

bool sample_describe(uintptr_t address, struct fault *out)
{
    uintptr_t base = atomic_load_explicit(&pool.base, memory_order_acquire);
    if (!base || address < base || address >= base + (2 * (size_t)pool.pages + 1) * pool.page)
        return false;
    unsigned i = index_of(address);
    if (address < page_at(i))
        i = overrun_page(address, i);
    const struct guarded *guarded = &pool.guarded[i];
    if (!guarded->block)
        return false;
    out->allocated = guarded->allocated;
    out->freed = guarded->freed;
    out->misuse.block = (void *)guarded->block;
    out->misuse.size = guarded->size;
    out->misuse.allocated = &out->allocated;
    out->misuse.freed = &out->freed;
    bool live = state_of(i) == GUARDED_LIVE;
    out->misuse.where = NULL;
    out->misuse.what = !live                      ? "after free"
                       : address < guarded->block ? "before the start of a block"
                                                  : "past the end of a block";
    return true;
}

void sample_read_stats(struct hardened_stats *out)
{
    uintptr_t base = atomic_load_explicit(&pool.base, memory_order_acquire);
    for (unsigned i = 0; base && i < pool.pages; i++) {
        if (state_of(i) != GUARDED_LIVE)
            continue;
        out->blocks++;
        out->live += pool.page;
    }
}

void sample_lock(void)
{
    lock_freeze(&pool.lock);
}

void sample_unlock(void)
{
    lock_thaw(&pool.lock);
}

void sample_reset(void)
{
    lock_reset(&pool.lock);
}
