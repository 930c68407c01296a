// SPDX-License-Identifier: MIT
/*
 * goalloc/gc.h: the collector's interface.
 *
 * The collector frees blocks that the program can no longer reach. It finds pointers in registers,
 * stacks, static and thread-local data, in all private memory of the process and in blocks
 * themselves: at any multiple of four bytes, to any byte of a block. It works on blocks of malloc
 * and its family as well as on those of ga_gc_malloc; all may be freed explicitly too.
 *
 * It is off until GOALLOC=gc=collect or ga_gc_enable switches it on. A program must not hide
 * pointers from it: docs/gc.md says what it doesn't see, and how to pin a block.
 */
#ifndef GOALLOC_GC_H
#define GOALLOC_GC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- On and off --- */

/* Switches the collector on. 0; or -1, with errno ENOMEM, ENOTSUP
 * under a sanitizer or valgrind, or EBUSY in a process that runs under
 * GOALLOC=gc=audit or leaks, which it doesn't end. */
int ga_gc_enable(void);
/*
 * The same for a program that tells which pointers it writes, by ga_gc_write below, so that the
 * kernel needn't track its writes. Then only blocks of ga_gc_malloc and its kin are collected that
 * were made after this call. Those of malloc, which anybody may write to as ever, are kept until
 * they are freed; what they point to is kept too.
 * 0; or -1 as above, EBUSY also where the collector is on already in another way.
 */
int ga_gc_enable_barriers(void);
/* No cycle begins of itself until ga_gc_enable is called again. */
void ga_gc_disable(void);
/* A full cycle: what is out of reach at the call is freed on return. 0; or -1 where there's no
 * collector or the cycle had to be abandoned. Not from a fork handler. */
int ga_gc_collect(void);

/* GOGC: a cycle begins when the heap has grown by so many percent of what was alive. Negative:
 * none does. Returns what it was. */
int ga_set_gc_percent(int percent);

/* --- Memory --- */

/* Zeroed. NULL, with errno ENOMEM, when there's none. */
void *ga_gc_malloc(size_t size);
/* For what holds no pointers: its bytes are never looked at, and not zeroed. */
void *ga_gc_malloc_atomic(size_t size);

/*
 * Which words of a block are pointers. A type describes `size` bytes, a multiple of 8 up to 1 MB:
 * bit i % 64 of pointers[i / 64] says whether the bytes from 8 * i on are one. Types are kept for
 * ever; the same layout gives the same type. 0, with errno ENOMEM, or EINVAL: the size is none, or
 * a bit is set behind it.
 */
typedef uint32_t ga_gc_type;
ga_gc_type ga_gc_type_new(size_t size, const uint64_t *pointers);
/* Zeroed. The type describes it again and again: `size` is a multiple of the type's. Only what the
 * type says is looked at, at multiples of 8. NULL, with errno ENOMEM, or EINVAL: there's no such
 * type, or the size isn't a multiple. A block that was there before the collector was on is looked
 * at as any other. */
void *ga_gc_malloc_typed(size_t size, ga_gc_type type);

/* Keeps the bytes, and what is known of pointers in them: none are there, or where a type says. */
void *ga_gc_realloc(void *block, size_t size);
/* Explicitly, at any time; the same as free, and forgets what was to happen to the block. A block
 * that has a finalizer, a cleanup, a weak pointer or a link must not be freed by free or realloc.
 */
void ga_gc_free(void *block);

/* --- Roots --- */

/* Memory that the collector wouldn't look at otherwise: shared mappings, for instance. 0 or -1. */
int ga_gc_add_root(const void *start, size_t size);
void ga_gc_remove_root(const void *start, size_t size);
/* Keeps a block alive that the program points to only in ways that the collector can't see.
 * Counted: as many unpins undo it. 0 or -1. */
int ga_gc_pin(const void *block);
void ga_gc_unpin(const void *block);

/* The block is alive up to this call, whatever the compiler makes of the last use before it. */
static inline void ga_gc_keep_alive(const void *block)
{
    __asm__ volatile("" : : "r"(block) : "memory");
}

/* --- Telling what is written --- */

extern unsigned ga_gc_marking; /* the library's: not 0 while writes have to be told */
void ga_gc_shade(const void *old, const void *pointer); /* ga_gc_write's */
typedef const void *ga_gc_slot __attribute__((__may_alias__));

/*
 * *slot = pointer, for a program that has called ga_gc_enable_barriers. A pointer to a block is
 * stored in a block of ga_gc_malloc or ga_gc_malloc_typed by this call, or by ga_gc_write_range;
 * also the first one in a new block. Elsewhere, on stacks, in static data and in malloc's blocks,
 * pointers are stored as ever, and also those to no block: NULL, to static data. Who breaks this
 * rule loses blocks that are in use. It costs two loads and a branch, also where writes need not be
 * told. Not from a signal handler.
 *
 * The order matters: the pointer is stored first, then ga_gc_marking is read.
 */
static inline void ga_gc_write(void *slot, const void *pointer)
{
    const void *old = __atomic_load_n((ga_gc_slot *)slot, __ATOMIC_RELAXED);
    __atomic_store_n((ga_gc_slot *)slot, pointer, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__builtin_expect(__atomic_load_n(&ga_gc_marking, __ATOMIC_RELAXED) != 0, 0))
        ga_gc_shade(old, pointer);
}
/* memmove of `size` bytes that may hold pointers, to a block of which the same is true. */
void ga_gc_write_range(void *to, const void *from, size_t size);

/* --- Waiting --- */

/*
 * Returns call(argument), and needn't stop the thread while that runs: for long waits, and for
 * threads that can't be interrupted. What the thread's frames, its registers and `argument` point
 * to at the call is kept, and whatever that leads to.
 * In it the thread leaves the heap alone. It may read and write bytes of blocks so kept, as read
 * and write do. It must not allocate, resize or free, nor store pointers to blocks anywhere, nor
 * use blocks that it finds by pointers which others change; nor may a signal's handler that
 * interrupts it. The library doesn't notice if it does: a block in use may be freed, or handed out
 * twice. It must not be left by longjmp or by an exception; cancelling the thread, and
 * pthread_exit, are fine. Where there's no collector, and in a coroutine, it is a call like any
 * other. Not from a signal handler.
 */
void *ga_gc_blocking(void *(*call)(void *argument), void *argument);

/* --- When a block is out of reach. -1 with ENOTSUP while there's no collector. --- */

/* finalize(block, data) runs once, on a thread of the collector's with all signals blocked; the
 * block and what it points to live until then, and the block is freed by a later cycle unless the
 * function has stored it somewhere. Where one such block points to another its finalizer runs a
 * cycle earlier; in a ring none runs. What `data` points to is kept. NULL: none any more. */
int ga_gc_set_finalizer(void *block, void (*finalize)(void *block, void *data), void *data);
/* clean(argument) runs once, on the same thread; the block is freed at once. What `argument` points
 * to is kept, so it must not lead to the block. A block may have several. */
int ga_gc_add_cleanup(void *block, void (*clean)(void *argument), void *argument);

/* A pointer that keeps nothing alive: gives NULL once the block is out of reach. */
typedef struct ga_gc_weak ga_gc_weak;
ga_gc_weak *ga_gc_weak_new(void *block);
void *ga_gc_weak_get(const ga_gc_weak *weak);
void ga_gc_weak_free(ga_gc_weak *weak);
/* *word is set to NULL once the block is out of reach. The word should lie where the collector
 * doesn't look for pointers: in a block of ga_gc_malloc_atomic, which must live as long. */
int ga_gc_link(void **word, const void *block);

/* --- Where a cycle is --- */

enum ga_gc_phase {
    GA_GC_MARK_BEGIN = 1, /* a cycle begins */
    GA_GC_MARK_END,       /* all that is in reach is marked; the rest will be freed */
    GA_GC_SWEEP_END,      /* it has been; the figures of ga_gc_stats are this cycle's */
    GA_GC_ABANDONED,      /* instead of the last two: nothing was freed */
};
/*
 * call(phase, argument) runs at each of these, on the collector's thread, with all signals blocked,
 * while the other threads run and none of the library's locks is held. It may allocate, free, take
 * locks and read figures. The cycle waits for it, and so does whoever waits for the cycle: it must
 * not wait for a thread that may be in ga_gc_collect. ga_gc_collect returns -1 in it. It may fork
 * only to exec.
 * What `argument` points to is kept. Several functions are called in no certain order.
 * 0; or -1 with errno ENOTSUP while there's no collector, ENOMEM when there are 64 already, EINVAL
 * without a function.
 */
int ga_gc_on_phase(void (*call)(enum ga_gc_phase phase, void *argument), void *argument);
/* On return it isn't running, unless it is itself what calls this, and won't be called again. */
void ga_gc_off_phase(void (*call)(enum ga_gc_phase phase, void *argument), void *argument);

/* --- What it did --- */

struct ga_gc_stats {
    size_t cycles;     /* since the start */
    size_t abandoned;  /* cycles given up: a thread that didn't stop, a refusal by the kernel */
    size_t live_bytes; /* found alive by the last cycle */
    size_t live_blocks;
    size_t freed_bytes; /* by all cycles; under leaks and audit: found out of reach */
    size_t freed_blocks;
    size_t goal;       /* the heap size at which the next cycle should end */
    size_t root_bytes; /* looked at by the last cycle outside of blocks */
    size_t stopped_ns; /* the world was stopped for, by all cycles */
    size_t longest_stop_ns;
    size_t false_frees; /* audit: blocks it would have freed, and that the program used after all */
    /* Cycles by how they marked: beside the program, whose writes the kernel tracked; in a copy of
     * the process; beside a program that told what it wrote (ga_gc_write); in one long stop. */
    size_t tracked;
    size_t snapshots;
    size_t by_barriers;
    size_t in_stops;
};
/* `size` is sizeof(struct ga_gc_stats): an older program gets the fields that it knows. */
void ga_gc_stats(struct ga_gc_stats *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif
