// SPDX-License-Identifier: MIT
/*
 * internal.h: what the files of src/hardened share and no one else sees.
 *
 * start.c   which modes are on
 * blocks.c  malloc, free and realloc of hardened blocks
 * cache.c   a thread's ready and held blocks
 * trays.c   freed slots between caches
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
#include "../mheap/notes.h"
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
    bool wide; /* the processor has vectors of 32 bytes */
};
extern struct hardened_settings hardened;

#define CANARY_BYTES ((size_t)8)

/* --- Random numbers: not a cipher's, but an attacker sees none of them --- */

struct random {
    uint64_t state;
};

GA_INLINE uint32_t random_next(struct random *random)
{
    random->state = random->state * UINT64_C(6364136223846793005) + 1;
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

/*
 * What is known of a slot lies in the note of the unit where it begins (src/mheap/notes.h), or, of
 * a single slot, in its slab. All other notes are 0, or those behind a NOTE_MORE, which look like
 * no slot's.
 *
 *   bit 15       with the program
 *   bits 8 - 14  the class; 0: a block without one
 *   bits 0 - 7   with the program: how much less than fits was asked for, or NOTE_MORE: the next
 *                two notes say it, 15 bits each. Else one of:
 */
#define NOTE_FRESH     1u /* was never handed out since the slab was made, and zero */
#define NOTE_STALE     2u /* the same, but its memory may hold something */
#define NOTE_FREED     3u /* with nobody: held back, ready, or in the slab */
#define NOTE_IN_USE    0x8000u
#define NOTE_CLASS     0x7f00u
#define NOTE_CLASS_ONE 0x100u
#define NOTE_MORE      0xffu
#define NOTE_NEVER     0xffffu /* there's no such class */

GA_INLINE unsigned note_load(const uint16_t *note)
{
    return __atomic_load_n(note, __ATOMIC_RELAXED);
}

/* Relaxed: the block travels from thread to thread by the program's own synchronisation. */
GA_INLINE void note_store(uint16_t *note, unsigned value)
{
    __atomic_store_n(note, (uint16_t)value, __ATOMIC_RELAXED);
}

GA_INLINE unsigned note_free(unsigned class, unsigned how)
{
    return class * NOTE_CLASS_ONE | how;
}

/* Of a block in use with a class, whose note holds `value`. */
GA_INLINE size_t note_slack(const uint16_t *note, unsigned value)
{
    size_t slack = value & 0xff;
    if (GA_UNLIKELY(slack == NOTE_MORE))
        slack = note_load(note + 1) | (size_t)note_load(note + 2) << 15;
    return slack;
}

/* A slot's note once it is in use; `was` is what it was before. A slot that may have so much slack
 * that one note doesn't hold it is three units long. */
GA_INLINE void note_use(uint16_t *note, unsigned was, size_t slack)
{
    if (GA_UNLIKELY(slack >= NOTE_MORE)) {
        note_store(note + 1, slack & 0x7fff);
        note_store(note + 2, (unsigned)(slack >> 15));
        slack = NOTE_MORE;
    }
    note_store(note, NOTE_IN_USE | (was & NOTE_CLASS) | (unsigned)slack);
}

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
    bool clean;               /* its pages were zero when it was made */
    bool pads_zero;           /* of a single slot: what isn't of the slot holds nothing; owner */
    bool forbidden;           /* large: freed, and no access is allowed; large.c's */
    bool listed;              /* it is on a list of its class's; class's lock */
    uint16_t out;             /* bits set, those past the last slot aside; class's lock */
    size_t size;              /* without a class: what the program asked for; the block's owner */
    struct slab *next, *prev; /* its class's list, or the spares; that one's lock */
    struct span *span;        /* constant while in use */
    size_t counted;           /* large: what statistics have of it; large.c's lock */
    uint16_t own_note[3];     /* of a single slot, in the place of the table's; the block's owner */
    uint64_t bits[SPAN_OBJECTS_MAX / 64]; /* set: the slot isn't in the slab; class's lock */
};

/* Takes up to `want` slots, chosen at random; how many it got. 0: out of memory. */
unsigned slab_take(unsigned class, void **out, unsigned want, struct random *random);
/* Slots come back; none is with the program. */
void slab_give(unsigned class, void *const *slots, unsigned count);
/* Slabs with no slot out go back to the page heap. */
void slab_trim(void);
/* A span with one slot of at least `bytes`, its address a multiple of align, and pads; if it grows,
 * placed where it can, and aligned to no more than a page. */
struct slab *slab_make_single(struct slab *slab, size_t bytes, bool grows, size_t align);
/* Memory for a struct slab, and back. */
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

/* The note of a slot that starts at p. A single one's lies in its slab: in the table each would
 * take a page of the system's. */
GA_INLINE uint16_t *slab_note(struct slab *slab, const void *p)
{
    return slab->inverse ? mheap_known_note(p) : slab->own_note;
}

/* What the program asked for, of a block in use whose note holds `value`. */
GA_INLINE size_t slab_block_size(const struct slab *slab, const uint16_t *note, unsigned value)
{
    return slab->class ? slab->room - note_slack(note, value) : slab->size;
}

/* Takes the pages behind a single slot's block, if nobody has them. */
bool slab_extend(struct slab *slab, size_t size);

/* How much of a canary lies behind a block: what is left of its slot, if the pad behind traps. */
GA_INLINE size_t slab_canary_bytes(const struct slab *slab, size_t size)
{
    if (slab->slots > 1 || slab->guard == GUARD_NONE)
        return hardened.canary;
    return slab->stride - size < hardened.canary ? slab->stride - size : hardened.canary;
}

/* --- large.c --- */

struct slab *large_alloc(size_t size, bool grows, size_t align);
/* Makes room for so much where it lies. */
bool large_extend(struct slab *slab, size_t size);
/* The block is free: it is held back, and its pages trap meanwhile. */
void large_free(struct slab *slab);
void large_flush(void);
void large_lock(void);
void large_unlock(void);
void large_reset(void);
void large_read_stats(struct hardened_stats *out);

/* --- trays.c --- */

#define TRAY_MAX 32

/* A tray's worth of the class's slots; 0: there's none. */
unsigned tray_take(unsigned class, void **out, struct random *random);
/* Up to TRAY_MAX; false: they are the caller's still, since there are trays enough. */
bool tray_give(unsigned class, void *const *slots, unsigned count);
/* Checks what lies in trays and gives it to the slabs. */
void trays_flush(void);
size_t trays_count(unsigned class);
void trays_lock_all(void);
void trays_unlock_all(void);
void trays_reset_all(void);

/* --- cache.c --- */

#define READY_MAX (2 * (size_t)TRAY_MAX)
#define HELD_MAX  32

/* Why a free of a class goes the general way. */
#define GENERAL_ALWAYS  1u /* single slots, or something is switched off; mallocs do too */
#define GENERAL_FILLING 2u /* `shuffle` or `queue` has room, or nothing is held back */

/* What the short ways of malloc and free look at of a class. All is the owner's. */
struct held_class {
    void **ready_top; /* behind the last of `ready`; below the first lies a NULL */
    void **ready_end; /* where it is full; constant, as all that follows but queue_at, general */
    void **shuffle;
    void **queue, **queue_end;
    void **queue_at; /* its oldest, once it is full */
    uint32_t room;   /* what a block can have of a slot */
    uint16_t wiped;  /* so many bytes of a freed slot are zero */
    uint16_t held_most;
    uint16_t usual; /* the note of a slot that malloc takes the short way */
    uint8_t general;
} __attribute__((aligned(GA_CACHE_LINE)));

/* A class's blocks with one thread. */
struct held_blocks {
    void *floor; /* NULL */
    void *ready[READY_MAX];
    void *shuffle[HELD_MAX]; /* freed: each that comes in throws a random one out, into the queue */
    void *queue[HELD_MAX];   /* which throws its oldest out, which then is ready */
    uint16_t shuffled, queued; /* how many are in either */
};

struct cache {
    struct random random;
    long until_sample;  /* mallocs until one is guarded; below 0: this one */
    struct cache *next; /* all caches; constant once it is in the list */
    struct held_class classes[SIZE_CLASS_COUNT];
    struct held_blocks blocks[SIZE_CLASS_COUNT];
};

/* This thread's, or NULL: then there's one to be made, or none to be had. */
GA_INLINE struct cache *cache_at_hand(void)
{
    return mcache_self()->hardened;
}
/* Makes it if need be. */
struct cache *cache_self(void);
/* A free slot of the class; NULL: out of memory. */
void *cache_take(struct cache *cache, unsigned class);
/* A block of the class was freed, and its slot's note says so. */
void cache_give(struct cache *cache, unsigned class, void *p);
/* Checks what is held back, then gives all of it to the slabs. */
void cache_flush(struct mcache *owner);
void cache_check(struct cache *cache);
void cache_check_slots(void *const *slots, unsigned count);
size_t cache_count(unsigned class);

/* The same as cache_give, where all of the class's arrays are full but `ready`. */
GA_INLINE void cache_pass(struct cache *cache, struct held_class *held, void *p)
{
    void **shuffled = &held->shuffle[random_below(&cache->random, held->held_most)];
    void *queued = *shuffled, **at = held->queue_at, *ready = *at;
    *shuffled = p;
    *at++ = queued;
    held->queue_at = at == held->queue_end ? held->queue : at;
    *held->ready_top++ = ready;
    GA_PREFETCH_WRITE(ready);
}

/* --- zero.c --- */

/* Up to so many bytes are zeroed, and looked at, in line. */
#define ZERO_INLINE_MAX ((size_t)128)

typedef uint64_t zero_unit __attribute__((vector_size(16), may_alias));

void zero_long(void *p, size_t bytes);

/* Asks for all the lines that zero_long will write, at once: they may lie in no near cache. */
GA_INLINE void zero_prefetch(char *p, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += GA_CACHE_LINE)
        GA_PREFETCH_WRITE(p + at);
}

bool is_zero_long(const void *p, size_t bytes);

/* `bytes` is a multiple of 16, and 0 where nothing is wiped; p too. */
GA_INLINE void zero_fill(void *p, size_t bytes)
{
    zero_unit *first = p, *end = (zero_unit *)((char *)p + bytes);
    const zero_unit zero = {0};
    if (GA_UNLIKELY(bytes > ZERO_INLINE_MAX)) {
        zero_long(p, bytes);
    } else if (bytes > 64) {
        first[0] = first[1] = first[2] = first[3] = zero;
        end[-1] = end[-2] = end[-3] = end[-4] = zero;
    } else if (bytes > 32) {
        first[0] = first[1] = end[-1] = end[-2] = zero;
    } else if (bytes) {
        first[0] = end[-1] = zero;
    }
}

GA_INLINE bool zero_is(const void *p, size_t bytes)
{
    const zero_unit *first = p, *end = (const zero_unit *)((const char *)p + bytes);
    zero_unit any;
    if (GA_UNLIKELY(bytes > ZERO_INLINE_MAX))
        return is_zero_long(p, bytes);
    if (bytes > 64)
        any = (first[0] | first[1]) | (first[2] | first[3]) | (end[-1] | end[-2]) |
              (end[-3] | end[-4]);
    else if (bytes > 32)
        any = (first[0] | first[1]) | (end[-1] | end[-2]);
    else if (bytes)
        any = first[0] | end[-1];
    else
        return true;
    return !(any[0] | any[1]);
}

/* --- canary.c --- */

GA_INLINE uint64_t canary_of(const void *end)
{
    return (((uintptr_t)end ^ hardened.key) * hardened.multiplier) | 1;
}

void canary_write_slow(const struct slab *slab, void *p, size_t size);
/* Ends the process if the canary behind a block of `size` isn't whole. */
void canary_check_slow(const struct slab *slab, const void *p, size_t size);
/* Ends the process: a freed slot isn't as wipe left it. */
GA_NORETURN void wipe_broken(const void *p);

GA_INLINE void canary_write(const struct slab *slab, void *p, size_t size)
{
    char *end = (char *)p + size;
    uint64_t canary = canary_of(end);
    if (GA_LIKELY(slab->inverse && hardened.canary))
        memcpy(end, &canary, CANARY_BYTES);
    else
        canary_write_slow(slab, p, size);
}

GA_INLINE bool canary_is_whole(const void *p, size_t size)
{
    const char *end = (const char *)p + size;
    uint64_t found;
    memcpy(&found, end, CANARY_BYTES);
    return found == canary_of(end);
}

GA_INLINE void canary_check(const struct slab *slab, const void *p, size_t size)
{
    if (!slab->inverse || !canary_is_whole(p, size))
        canary_check_slow(slab, p, size);
}

/* Ends the process if a freed slot isn't zero as far as it was wiped. */
GA_INLINE void wipe_check(const struct slab *slab, const void *p)
{
    if (GA_UNLIKELY(!zero_is(p, slab->wiped)))
        wipe_broken(p);
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
/* The block that starts at p is live, and longer. */
void sample_shrink(const void *p, size_t size);
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
