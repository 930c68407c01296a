// SPDX-License-Identifier: MIT
/*
 * internal.h: what the files of src/hardened share and no one else sees.
 *
 * start.c   which modes are on
 * blocks.c  malloc, free and realloc of hardened blocks
 * cache.c   a thread's ready and held blocks
 * slab.c    slots: where blocks come from, by size class
 * structs.c memory for what is known of them
 * large.c   blocks without a class
 * guard.c   pages that trap
 * canary.c  the secret word behind a block; zeroing
 * sample.c  guarded blocks on pages of their own
 * fault.c   what a page that trapped says
 * misuses.c the reports
 */
#ifndef GOALLOC_HARDENED_INTERNAL_H
#define GOALLOC_HARDENED_INTERNAL_H

#include <string.h>

#include "../mcache/mcache.h"
#include "../os/lock.h"
#include "../os/misuse.h"
#include "hardened.h"

/* --- What is switched on; constant after hardened_start --- */

struct hardened_settings {
    uint64_t key, multiplier; /* of the canaries; the latter is odd */
    size_t canary;            /* bytes of it behind a block: 8 or 0 */
    size_t zero_max;          /* so many first bytes of a freed block are zeroed; or 0 */
    size_t sample;            /* one in so many blocks is guarded; 0: none */
    bool guard_pages;
    bool quarantine;
};
extern struct hardened_settings hardened;

#define CANARY_BYTES ((size_t)8)

/* --- Random numbers: not a cipher's, but an attacker sees none of them --- */

struct random {
    uint64_t state;
};

GA_INLINE uint32_t random_next(struct random *random)
{
    random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random->state >> 32);
}

/* Below n. */
GA_INLINE uint32_t random_below(struct random *random, uint32_t n)
{
    return (uint32_t)((uint64_t)random_next(random) * n >> 32);
}

void random_seed(struct random *random, const void *salt);

/* --- guard.c --- */

enum guard {
    GUARD_NONE,   /* the pages don't trap: there's no kernel for it, or too many do already */
    GUARD_MARKED, /* they trap and cost no mapping */
    GUARD_SPLIT,  /* they trap, by a mapping of their own */
};

enum guard guard_install(uintptr_t address, size_t size);
void guard_remove(enum guard guard, uintptr_t address, size_t size);

/* --- slab.c --- */

/* What a slot's state can be. */
#define SLOT_FRESH 0 /* was never handed out since the slab was made */
#define SLOT_FREED 1 /* with nobody: held back, ready, or in the slab */
#define SLOT_IN_USE                                                                                \
    0x8000u /* with the program; the lower bits say how much less than fits was asked for */
#define SLOT_SLACK 0x7fffu

/*
 * A span cut into slots of one size, or a single slot between two pads that trap.
 *
 *   slot 0 | slot 1 | ...           pad | slot 0, a whole number of pages | pad
 *   a slot:  block, canary, slack
 */
struct slab {
    uintptr_t base;   /* where slot 0 begins; constant while in use, as what follows up to `out` */
    uint32_t inverse; /* of many slots: for dividing by stride; of a single one 0 */
    uint32_t wiped;   /* so many bytes of a freed slot are zero */
    size_t stride;    /* bytes from slot to slot; of a single one the owner's */
    size_t room;      /* what a block can have of it */
    uint16_t slots;
    uint8_t class;            /* 0: none */
    uint8_t guard;            /* enum guard of the pads */
    uint8_t bin;              /* which spares it belongs to; constant */
    bool clean;               /* its pages were zero when it was made */
    bool listed;              /* it is on a list of its class's; class's lock */
    uint16_t out;             /* bits set, those past the last slot aside; class's lock */
    size_t size;              /* of a single slot: what the program asked for; the block's owner */
    struct slab *next, *prev; /* its class's list, or one of spares; class's lock */
    struct span *span;        /* constant while in use */
    size_t counted;           /* large: what statistics have of it; large.c's lock */
    uint64_t bits[SPAN_OBJECTS_MAX / 64]; /* set: the slot isn't in the slab; class's lock */
    uint16_t state[];                     /* by slot; the block's owner */
};

/* Takes up to `want` slots, chosen at random; how many it got. 0: out of memory. */
unsigned slab_take(unsigned class, void **out, unsigned want, struct random *random);
/* Slots come back; none is with the program. */
void slab_give(unsigned class, void *const *slots, unsigned count);
/* Slabs with no slot out go back to the page heap. */
void slab_trim(void);
/* A span with one slot of at least `bytes`, its address a multiple of align, and pads; the one
 * behind lets the slot grow to `most` bytes. */
struct slab *slab_make_single(struct slab *slab, size_t bytes, size_t most, size_t align);
/* Memory for a struct slab with so many slots, and back. */
struct slab *slab_struct(unsigned class, uint16_t slots);
void slab_struct_free(struct slab *slab);
void slab_structs_lock(void);
void slab_structs_unlock(void);
void slab_structs_reset(void);
void slab_free_span(struct slab *slab, bool dirty);
void slab_lock_all(void);
void slab_unlock_all(void);
void slab_reset_all(void);
void slab_read_stats(struct hardened_stats *out);

/* The slab of a slot that starts at p, and its number. */
GA_INLINE struct slab *slab_of(const void *p)
{
    return mheap_known_owner_of(p);
}

GA_INLINE size_t slab_slot(const struct slab *slab, const void *p)
{
    return ((uintptr_t)p - slab->base) * slab->inverse >> 32;
}

/* What the program asked for, of a block in use. */
GA_INLINE size_t slab_block_size(const struct slab *slab, unsigned state)
{
    return slab->inverse ? slab->room - (state & SLOT_SLACK) : slab->size;
}

/* Takes the pages behind a single slot's block, as far as its span has them. */
bool slab_extend(struct slab *slab, size_t size);

/* How much of a canary lies behind a block: what is left of its slot, if the pad behind traps. */
GA_INLINE size_t slab_canary_bytes(const struct slab *slab, size_t size)
{
    if (slab->slots > 1 || slab->guard == GUARD_NONE)
        return hardened.canary;
    return slab->stride - size < hardened.canary ? slab->stride - size : hardened.canary;
}

/* --- large.c --- */

struct slab *large_alloc(size_t size, size_t most, size_t align);
/* The block is free: it is held back, and its pages trap meanwhile. */
void large_free(struct slab *slab);
void large_flush(void);
void large_lock(void);
void large_unlock(void);
void large_reset(void);
void large_read_stats(struct hardened_stats *out);

/* --- cache.c --- */

#define READY_MAX 64
#define HELD_MAX  32

/* A class's blocks with one thread. All is the owner's. */
struct held_class {
    uint16_t ready_count, ready_most;
    uint16_t held_most; /* of `shuffle`, and of `queue` */
    uint16_t shuffled;  /* blocks in `shuffle` */
    uint16_t queued;    /* blocks in `queue` */
    uint16_t queue_at;  /* where its oldest lies, once it is full */
    void *ready[READY_MAX];
    void *shuffle[HELD_MAX]; /* freed: each that comes in throws a random one out, into the queue */
    void *queue[HELD_MAX];   /* which throws its oldest out, which then is ready */
};

struct cache {
    struct random random;
    uint32_t until_sample; /* mallocs until one is guarded */
    struct cache *next;    /* all caches; constant once it is in the list */
    struct held_class classes[SIZE_CLASS_COUNT];
};

/* This thread's, or NULL: then there's one to be made, or none to be had. */
GA_INLINE struct cache *cache_at_hand(void)
{
    return mcache_self()->hardened;
}
/* Makes it if need be. */
struct cache *cache_self(void);
/* Takes slots out of slabs; false: out of memory. */
bool cache_refill(struct cache *cache, unsigned class);
/* Room in `ready` for another. */
void cache_unload(struct held_class *held, unsigned class);
/* While there's room in `shuffle` or `queue`, or where nothing is held back. */
void cache_give_slow(struct held_class *held, unsigned class, void *p);
/* Checks what is held back, then gives all of it to the slabs. */
void cache_flush(struct mcache *owner);
void cache_check(struct cache *cache);
size_t cache_count(unsigned class);

/* A free slot of the class; NULL: out of memory. */
GA_INLINE void *cache_take(struct cache *cache, unsigned class)
{
    struct held_class *held = &cache->classes[class];
    if (GA_UNLIKELY(!held->ready_count) && !cache_refill(cache, class))
        return NULL;
    return held->ready[--held->ready_count];
}

/* A block of the class was freed, and its slot's state says so. */
GA_INLINE void cache_give(struct cache *cache, unsigned class, void *p)
{
    struct held_class *held = &cache->classes[class];
    unsigned most = held->held_most, at = held->queue_at;
    if (GA_UNLIKELY(held->queued < most || !most)) {
        cache_give_slow(held, class, p);
        return;
    }
    void **shuffled = &held->shuffle[random_below(&cache->random, most)];
    void *queued = *shuffled, *ready = held->queue[at];
    *shuffled = p;
    held->queue[at] = queued;
    held->queue_at = (uint16_t)(at + 1 < most ? at + 1 : 0);
    if (GA_UNLIKELY(held->ready_count == held->ready_most))
        cache_unload(held, class);
    held->ready[held->ready_count++] = ready;
    GA_PREFETCH_WRITE(ready);
}

/* --- canary.c --- */

GA_INLINE uint64_t canary_of(const void *end)
{
    return (((uintptr_t)end ^ hardened.key) * hardened.multiplier) | 1;
}

void canary_write_slow(const struct slab *slab, void *p, size_t size);
/* Ends the process if the canary behind a block of `size` isn't whole. */
void canary_check_slow(const struct slab *slab, const void *p, size_t size);
/* A block of `size` goes: what may be known of it is wiped out. */
GA_INLINE void wipe(const struct slab *slab, void *p, size_t size)
{
    size_t bytes = size + CANARY_BYTES;
    memset(p, 0, bytes < slab->wiped ? bytes : slab->wiped);
}
/* Ends the process: a freed slot isn't as wipe left it. */
GA_NORETURN void wipe_broken(const struct slab *slab, const void *p);

GA_INLINE void canary_write(const struct slab *slab, void *p, size_t size)
{
    char *end = (char *)p + size;
    uint64_t canary = canary_of(end);
    if (GA_LIKELY(slab->inverse && hardened.canary))
        memcpy(end, &canary, CANARY_BYTES);
    else
        canary_write_slow(slab, p, size);
}

GA_INLINE void canary_check(const struct slab *slab, const void *p, size_t size)
{
    const char *end = (const char *)p + size;
    uint64_t found = 0;
    if (GA_LIKELY(slab->inverse != 0))
        memcpy(&found, end, CANARY_BYTES);
    if (GA_UNLIKELY(found != canary_of(end)))
        canary_check_slow(slab, p, size);
}

/* Ends the process if a freed slot isn't as wipe left it. */
GA_INLINE void wipe_check(const struct slab *slab, const void *p)
{
    typedef uint64_t pair __attribute__((vector_size(16)));
    const pair *at = p, *end = at + slab->wiped / sizeof(pair); /* slots are multiples of 16 */
    pair any = {0, 0};
    for (; end - at >= 4; at += 4)
        any |= (at[0] | at[1]) | (at[2] | at[3]);
    for (; at < end; at++)
        any |= *at;
    if (GA_UNLIKELY((any[0] | any[1]) != 0))
        wipe_broken(slab, p);
}

/* --- sample.c --- */

/* How many mallocs until one is guarded: from 1 to twice the rate, so that the mean is the rate and
 * nothing beats in time with it. */
GA_INLINE uint32_t sample_draw(struct random *random)
{
    return 1 + random_below(random, (uint32_t)(2 * hardened.sample - 1));
}
/* NULL: it is too large, or all pages are in use. */
void *sample_alloc(size_t size);
void sample_free(void *p, size_t size, const char *function);
size_t sample_usable_size(const void *p, const char *function);
void sample_read_stats(struct hardened_stats *out);
void sample_lock(void);
void sample_unlock(void);
void sample_reset(void);

/* What an address in the pool has to do with: fills in the report. */
struct fault {
    struct misuse misuse;
    struct misuse_trace allocated, freed;
};
bool sample_describe(uintptr_t address, struct fault *out);

/* --- fault.c --- */
void fault_start(void);

/* --- misuses.c --- */

GA_NORETURN void misuse_block(const char *what, const struct slab *slab, const void *address,
                              const void *block, size_t size);

#endif
