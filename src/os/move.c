// SPDX-License-Identifier: MIT
/*
 * move.c: moving pages without copying what is in them.
 *
 * Place: called by src/mheap for blocks that grow. Calls nothing but the kernel.
 *
 * Since Linux 6.17 pages may be moved that lie in several mappings, one mapping after another. One
 * that can't be moved, for want of memory or because somebody is told of faults in it, ends that
 * half-way: those before it are gone from where they were. So the destination is emptied first, and
 * after a failure what is in it came from the source, and is copied back.
 *
 * Invariants: whatever the kernel says, the source's bytes are at one place when we return. errno
 * is never touched.
 * Locking: none; both places are the caller's alone. Fork: a child of another thread's must not use
 * either.
 */
#include <errno.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>

#include "fault.h"
#include "os.h"
#include "syscall.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* To this kernel (before 5.7), which looks at the flags first and has moved nothing; the same for
 * all who find it out. */
static bool unknown;

static bool ask_to_move(uintptr_t from, uintptr_t to, size_t size)
{
    long got = os_syscall(SYS_mremap, (long)from, (long)size, (long)size,
                          MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (long)to, 0);
    if (got == -EINVAL)
        GA_STORE_ANY(unknown, true);
    return got == (long)to;
}

/* What a kernel may do at worst: a part is moved, and the next one unmapped. */
static void fail_half_way(uintptr_t from, uintptr_t to, size_t size)
{
    size_t half = round_down(size / 2, os_page_size());
    if (half && ask_to_move(from, to, half))
        os_unmap(to + half, os_page_size());
}

static bool try_to_move(uintptr_t from, uintptr_t to, size_t size)
{
    if (!os_fault_now(OS_FAULT_MREMAP))
        return ask_to_move(from, to, size);
    fail_half_way(from, to, size);
    return false;
}

static bool is_mapped(uintptr_t page)
{
    return os_syscall(SYS_madvise, (long)page, (long)os_page_size(), MADV_NORMAL, 0, 0, 0) == 0;
}

/* They are moved in order: behind a page that isn't there, none came from the source. */
GA_COLD static void move_back(uintptr_t from, uintptr_t to, size_t size)
{
    size_t page = os_page_size();
    for (size_t at = 0; at < size && is_mapped(to + at); at += page)
        if (!os_is_zero((const char *)to + at, page))
            memcpy((char *)from + at, (const char *)to + at, page);
}

bool os_move_pages(uintptr_t from, uintptr_t to, size_t size)
{
    if (GA_LOAD_ANY(unknown) || !os_release(to, size))
        return false;
    if (GA_LIKELY(try_to_move(from, to, size)))
        return true;
    if (!GA_LOAD_ANY(unknown))
        move_back(from, to, size);
    return false;
}
