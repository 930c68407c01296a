// SPDX-License-Identifier: MIT
/*
 * os.h: everything this library asks of the kernel. No other folder makes a system call.
 *
 * The calls are made without libc's wrappers: they never touch errno, so that free keeps it without
 * saving it, and they work before libc is set up and after it is torn down.
 */
#ifndef GOALLOC_OS_H
#define GOALLOC_OS_H

#include <signal.h>

#include "../goalloc.h"

/* --- Memory. Addresses and sizes are multiples of the OS page. --- */

enum os_map_result {
    OS_MAPPED,
    OS_OCCUPIED,  /* something lies there already; nothing was changed */
    OS_NO_MEMORY, /* a limit, or an address that this processor doesn't have */
};

/* Maps zeroed private memory at exactly `address`, never over something else. */
enum os_map_result os_map_at(uintptr_t address, size_t size);
/* Replaces a mapping of ours by fresh zeroed memory. */
bool os_map_over(uintptr_t address, size_t size);
void os_unmap(uintptr_t address, size_t size);
/* Gives the memory back and keeps the address; the pages read as zero afterwards. */
bool os_release(uintptr_t address, size_t size);
/* Moves the pages at `from` to `to` without copying; `from` stays mapped and reads as zero. Both
 * are mappings of ours. false: nothing was moved, but `to` may not be mapped any more. */
bool os_move_pages(uintptr_t from, uintptr_t to, size_t size);
size_t os_page_size(void);

/* --- Waiting. --- */
void os_futex_wait(atomic_uint *word, unsigned expected);
/* The same, for at most so many nanoseconds. */
void os_futex_wait_for(atomic_uint *word, unsigned expected, uint64_t nanoseconds);
void os_futex_wake(atomic_uint *word, int how_many);

/* --- Signals. libc's way, which leaves its own internal ones (setuid's) alone. --- */
void os_block_signals(sigset_t *before);
void os_restore_signals(const sigset_t *before);

/* --- What the process is. --- */
unsigned os_thread_id(void);
uint64_t os_random_seed(void); /* from the bytes that the kernel hands to each program */
bool os_is_setuid(void);       /* AT_SECURE: the environment isn't to be trusted */
size_t os_resident_bytes(void);
uint64_t os_nanotime(void);

/* --- Output. One write each; a line is never torn. --- */
void os_write(int fd, const char *text, size_t length);

/* System calls made through this folder since the start. */
size_t os_system_calls(void);

#endif
