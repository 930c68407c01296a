// SPDX-License-Identifier: MIT
/*
 * proc.h: what the collector asks the kernel about this process: its threads, its mappings, which
 * of their pages hold something; and how it interrupts a thread.
 *
 * Nothing here allocates or takes a lock of libc's: other threads may be stopped wherever they are.
 * Where a call says false the kernel, or a sandbox, has refused, and nothing may be concluded.
 */
#ifndef GOALLOC_OS_PROC_H
#define GOALLOC_OS_PROC_H

#include <signal.h>

#include "../goalloc.h"

/* --- Threads --- */

/* Calls `visit` for each thread of the process, the caller among them. One that starts or ends
 * meanwhile may be missed. */
bool os_each_thread(void (*visit)(unsigned thread, void *context), void *context);

/* Whether the thread will never run the program's code again: it is gone, is on its way out, or is
 * one of the kernel's own that works for this process. */
bool os_thread_is_gone(unsigned thread);

/*
 * The signal that stops a thread is libc's own 33, which no program can block; libc's handler for
 * it (setuid's) stays behind ours. `payload` tells ours apart.
 */
typedef void os_stop_handler(void *payload, void *context);
/* false: refused. Cheap when ours is there already; to be called before each use, since libc
 * installs its handler with the first thread. */
bool os_catch_stop_signal(os_stop_handler *handler);
/* false: there's no such thread any more, or the kernel's queue is full. */
bool os_send_stop_signal(unsigned thread, void *payload);

/* Of an interrupted thread, by the context that its handler got: */
uintptr_t os_context_signal_stack(const void *context); /* its alternate stack; 0: none */
/* The caller's own. */
uintptr_t os_own_signal_stack(void);

/* The last thing that the handler of a stopped thread does: if the stop has interrupted a wait, the
 * wait goes on, here or when the handler has returned. May not return. */
void os_resume_wait(void *context);

/* --- Memory --- */

struct os_mapping {
    uintptr_t start, end;
    bool readable, writable, shared;
    bool main_stack; /* the first thread's, which the kernel made */
};
bool os_each_mapping(void (*visit)(const struct os_mapping *mapping, void *context), void *context);

/* Calls `visit` for the stretches of [start, end), a private mapping, that may hold what the
 * program has written: not pages that nobody has touched, nor those that are as their file has
 * them. Where the kernel won't say it is all of it. */
void os_each_populated(uintptr_t start, uintptr_t end,
                       void (*visit)(uintptr_t start, uintptr_t end, void *context), void *context);

/* While the world is stopped: the calls above share a descriptor. */
void os_keep_pagemap(bool keep);

/* Which pages are written, of what is mapped at [start, end) now: after the first call all count as
 * written, those that are protected not until somebody writes to them. false: the kernel can't, or
 * won't. */
struct os_tracker {
    long fd;
    uintptr_t start, end; /* what it watches */
};
bool os_track_begin(struct os_tracker *tracker, uintptr_t start, uintptr_t end);
/* Watches what has come to be behind it, too; pages of it count as written until they are
 * protected. Where the kernel refuses, they are among those of os_each_written only without
 * `protect`. */
void os_track_extend(struct os_tracker *tracker, uintptr_t end);
bool os_track_protect(const struct os_tracker *tracker, uintptr_t start, uintptr_t end);
void os_track_end(struct os_tracker *tracker);
/* Calls `visit` for the pages that were written since they were protected, and with `protect`
 * protects them anew before. Without it pages that were never protected are among them.
 * false: the kernel refused; nothing is known. */
bool os_each_written(uintptr_t start, uintptr_t end, bool protect,
                     void (*visit)(uintptr_t start, uintptr_t end, void *context), void *context);

/* Copies memory that may not be readable: how many bytes it got. */
size_t os_copy_memory(void *to, uintptr_t from, size_t size);

/* --- A copy of the process, in which memory stays as it is just now --- */

/* Calls run(context) in it, with this thread for its only one, and ends it. What it writes is seen
 * here only where it was mapped by os_map_shared, as `begun` is. On return it holds nothing of the
 * program's. The copy's number; negative: refused. */
long os_copy_start(void (*run)(void *context), void *context, atomic_bool *begun);
/* Whether it is over; if so it isn't to be asked again. */
bool os_copy_has_ended(long copy);
void os_copy_kill(long copy); /* and sees its end */
/* How long it has run so far, in nanoseconds of processor time; 0 where that can't be known. */
uint64_t os_copy_time(long copy);
/* NULL: refused. os_unmap gives it back. */
void *os_map_shared(size_t size);

#endif
