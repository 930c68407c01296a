// SPDX-License-Identifier: MIT
/*
 * internal.h: what the files of src/gc share.
 *
 * pacer.c   when to collect: pure functions
 * thread.c  the collector's thread, requests, the process's fork and end
 * cycle.c   one cycle from its beginning to the end of its sweep
 * snapshot.c marking in a copy of the process
 * barrier.c marking beside a program that tells what it writes
 * stop.c    stopping the world
 * blocking.c threads that needn't be stopped
 * roots.c   where pointers may be
 * mark.c    following them
 * work.c    spans that wait to be looked into; drain.c: taking them
 * assist.c  threads that allocate help; helpers.c: threads of the library's
 * typed.c   in blocks with a type; types.c: the types
 * special.c finalizers, cleanups, weak pointers, links
 * phases.c  telling the program where a cycle is
 * report.c  lines: gctrace, audit, leaks
 */
#ifndef GOALLOC_GC_INTERNAL_H
#define GOALLOC_GC_INTERNAL_H

#include "../goalloc.h"
#include "../mheap/marks.h"
#include "gc.h"
#include "pacer.h"
#include "phases.h"

/* --- stop.c --- */

enum stop_state {
    STOP_PENDING, /* the signal is on its way */
    STOP_STOPPED, /* the thread waits in the handler */
    STOP_GONE,    /* it has ended, or was given up */
};

struct stopped {
    atomic_uint state;   /* enum stop_state */
    unsigned thread;     /* its number; constant while a stop lasts */
    unsigned generation; /* of the stop; constant while it lasts */
    uintptr_t context;   /* its saved registers; all of its stack that lives is above. The rest
                            is written by the thread before it is stopped */
    uintptr_t thread_pointer;
    uintptr_t signal_stack; /* 0: none */
};

/* Makes room for as many threads as there are and may come; before any lock is held. */
bool stop_prepare(void);
/* All threads but the caller's. false: some didn't answer, or the kernel refused; all run again. */
bool stop_world(void);
void resume_world(void);
unsigned stop_capacity(void); /* the most threads that a stop can hold */
/* The threads of the present stop. */
unsigned stop_count(void);
const struct stopped *stop_thread(unsigned i);
/* There's no present stop. */
void stop_forget(void);

/* --- blocking.c --- */

struct blocked {
    unsigned thread;
    uintptr_t stack; /* what lies above is alive */
    uintptr_t thread_pointer;
    uintptr_t signal_stack; /* 0: none */
};
extern struct lock blocking_lock; /* innermost */
/* The threads that are inside of a region; none enters or leaves one until they are released. */
void blocking_hold(void (*visit)(const struct blocked *thread));
void blocking_release(void);
void blocking_reset_in_child(void);

/* --- mark.c --- */

/* Room for the queue; before any lock is held. false: no memory. */
bool mark_prepare(void);
void mark_begin(void);
/* The heap as it is now. */
void mark_look(void);
/* A word that isn't in the heap: a pointer right behind a block counts for the block too. */
void mark_root_word(uintptr_t word);
/* All words in [start, end), which can be read. Of roots. */
void mark_roots(const void *start, const void *end);
/* Of a stopped thread's stack and registers, where a large block's span may stand for the block. */
void mark_stack(const void *start, const void *end);
/* Of the object at `address`: looks inside without marking it; marks it without looking inside;
 * whether it is marked; whether it is one that isn't. Anything that isn't in a block counts as
 * marked. */
void mark_behind(uintptr_t address);
void mark_alone(uintptr_t address);
bool mark_reached(uintptr_t address);
/* Where the object at `address` ends; 0 where there is none. */
uintptr_t mark_end_of(uintptr_t address);
bool mark_is_dead(uintptr_t address);
/* In any thread while marking goes on: marks it; whether it wasn't before. Then it has to be given
 * to the marker, which looks inside. */
bool mark_claim(uintptr_t address);
void mark_claimed(uintptr_t address);
/* Whether the kernel lets blocks be copied safely before they are looked at. */
bool mark_copies(void);
/* Whether the heap hasn't grown beyond what can be recognised as an address. */
bool mark_knows_all(void);
/* One that marks: see work.h. */
struct marker;
/* A word that was found in the heap. */
void mark_heap_word(struct marker *marker, uintptr_t word);
/* Looks into what a page in the queue stands for: its span, or the piece of a large block that
 * begins there. */
void mark_queued(struct marker *marker, size_t page);
/* Has the objects fetched that a span would have looked into now. */
void mark_fetch_objects(size_t first_page);
/* The world is stopped: queues what was marked when a ring had no room. false: there was nothing.
 */
bool mark_enqueue_missed(void);

/* Marks an object, and doesn't look inside. */
void mark_leaf(void *object, void *context);
/* Scans what is marked in [start, end) again; adds to *bytes. */
void mark_rescan(uintptr_t start, uintptr_t end, void *bytes);
/* What is marked in a span is looked at again; all that is in use in it is marked, and looked at.
 */
void mark_again(size_t first_page);
void mark_in_use(size_t first_page);
/* Clears every mark bit. */
void mark_undo(void);
/* Every span in use, or dead; the heap's lock is held. */
void each_span(void (*visit)(size_t first_page));
size_t mark_scanned(void); /* bytes looked at since mark_begin */

/* --- drain.c --- */

/* Follows what was marked, up to some bytes, `batch` spans at a time; how many bytes it looked at.
 * By whoever has entered, as long as it is open (work.h). */
size_t mark_some(struct marker *marker, size_t bytes, unsigned batch);
/* Follows what was marked until nothing is left. */
void mark_drain(void);
/* The same beside the running program. false: given up. */
bool mark_drain_beside(const atomic_bool *give_up);

/* --- types.c, typed.c --- */

extern struct lock types_lock; /* outside of the page heap's */
/* Looks at the pointers in [from, to) of an object. false: it has no type. */
bool typed_scan(struct marker *marker, const struct span *span, uintptr_t object, uintptr_t from,
                uintptr_t to);

/* --- roots.c --- */

bool roots_prepare(void);
/* Marks from everything outside of the heap. With the world stopped and all locks held, or beside
 * the program, as it is just now. false: the kernel won't say what there is. */
bool roots_mark(bool stopped);
/* The program's own roots alone, some of which may be shared with other processes; whether there
 * are any. The world is stopped. */
bool roots_mark_added(void);
size_t roots_bytes(void);
/* The stack of the collector's thread: only [from, end) is a root. */
void roots_set_own_stack(uintptr_t start, uintptr_t from, uintptr_t end);
/* Where a thread's record of its stack lies: found by comparing with one that is known. */
void roots_learn_stacks(uintptr_t thread_pointer, uintptr_t start, size_t size);
extern struct lock pins_lock;  /* no other is taken inside of it */
extern struct lock roots_lock; /* extra roots; outside of the allocator's locks */

/* --- special.c; outside of the allocator's locks, inside of the extra roots' --- */

extern struct lock special_lock;
/* With the world stopped and the lock held: what attached actions keep alive; then, when all was
 * followed, which blocks are out of reach. */
void special_mark(void);
void special_decide(void);
/* The same by the marks of a snapshot: before it is taken; in the copy, whether something hangs on
 * what the program reads without asking; afterwards, in place of special_decide. false: it must be
 * found out in a stop. */
void special_snapshot(void);
bool special_has_open_link(void);
bool special_decide_later(void);
/* Sees that what is ready is run. */
void special_run(void);
void special_reset_in_child(void);

/* --- phases.c --- */

extern struct lock phases_lock; /* no other is taken inside */
/* By the collector's thread, with no lock held. */
void phases_tell(enum ga_gc_phase phase);
void phases_reset_in_child(void);

/* --- thread.c --- */

/* Whether the caller is the collector's thread: it must not wait for itself. */
bool gc_is_own_thread(void);

/* --- cycle.c --- */

enum cycle_end {
    CYCLE_DONE,
    CYCLE_FAILED,  /* abandoned; nothing was freed */
    CYCLE_YIELDED, /* given up for a fork; to be run again */
};

struct cycle {
    bool asked; /* for, by the program */
    enum gc_way way;
    struct gc_pacer pacer; /* as it was when it began */
    /* Times: the beginning; marking beside the program begins; the world is to stop, has stopped,
     * goes on; the end of the sweep. */
    uint64_t began, beside, stopping, stopped, resumed, swept;
    size_t heap_before, heap_marked, heap_after;
    size_t freed_bytes, freed_objects, live_bytes, live_objects, root_bytes, scanned;
};
/* Up to where the world goes on, and the rest if it was marked. The caller is the collector's
 * thread, and holds its lock. `yield`: somebody wants to fork. */
enum cycle_end cycle_mark(struct cycle *cycle, enum gc_mode mode, const atomic_bool *yield);
void cycle_sweep(struct cycle *cycle, enum gc_mode mode);
size_t heap_bytes(void);

/* For the ways of marking. Every lock that a stop needs, or a change of what is being marked. */
void acquire_all(void);
void release_all(void);
/* From now on what is handed out is marked; or: no longer, and every mark is cleared. */
void set_marking(bool marking);
/* Marks what is in reach, where nothing moves and nobody holds a lock in the way. false: the roots
 * weren't to be had. */
bool cycle_mark_frozen(void);

/* --- snapshot.c --- */

/* CYCLE_FAILED: nothing was marked, the world may be stopped for it. */
enum cycle_end snapshot_run(struct cycle *cycle, const atomic_bool *yield);
/* How long the copy has run, the present or the last: a number that grows while there's progress.
 */
size_t snapshot_progress(void);

/* --- barrier.c --- */

/* From now on the program tells; no longer. false: the threads couldn't be brought to it. */
bool barrier_begin(void);
void barrier_end(void);
/* Beside the program, in between, and after mark_begin. false: given up, or the roots weren't to be
 * had. */
bool barrier_mark_beside(const atomic_bool *yield);
/* In the stop: what was told, and malloc's blocks, which nobody tells of. */
void barrier_mark_stopped(void);
/* Its locks: outside of the allocator's, inside of special_lock. */
void barrier_acquire_all(void);
void barrier_release_all(void);
void barrier_lock_for_fork(void);
void barrier_unlock_after_fork(void);
void barrier_reset_in_child(void);

/* --- report.c --- */
void report_cycle(const struct cycle *cycle, const struct gc_pacer *pacer, unsigned number);
void report_leaks(void);
void report_audit(const struct gc_stats *stats);
/* Counts a block that nothing reached, for the report of leaks. */
void report_count_leak(size_t class, size_t objects, size_t bytes);

#endif
