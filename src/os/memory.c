// SPDX-License-Identifier: MIT
/*
 * memory.c: mapping and releasing memory.
 *
 * Place: called by src/mheap and src/scavenger. Calls nothing but the kernel.
 *
 * Invariants:
 *   - os_map_at never replaces a mapping: MAP_FIXED_NOREPLACE, and where the kernel is too old to
 *     know that flag the address it chose instead is given back.
 *   - errno is never touched.
 * Locking: none. Fork and signals: safe in both.
 */
#include <errno.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "fault.h"
#include "os.h"
#include "syscall.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define MAP_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static long map(uintptr_t address, size_t size, int flags)
{
    if (os_fault_now(OS_FAULT_MMAP))
        return -ENOMEM;
    return os_syscall(SYS_mmap, (long)address, (long)size, PROT_READ | PROT_WRITE,
                      MAP_FLAGS | flags, -1, 0);
}

enum os_map_result os_map_at(uintptr_t address, size_t size)
{
    long got = map(address, size, MAP_FIXED_NOREPLACE);
    if (got == (long)address)
        return OS_MAPPED;
    if (got == -EEXIST)
        return OS_OCCUPIED;
    if (got < 0 && got > -4096)
        return OS_NO_MEMORY;
    os_unmap((uintptr_t)got, size); /* a kernel before 4.17 took the address as a hint */
    return OS_OCCUPIED;
}

bool os_map_over(uintptr_t address, size_t size)
{
    return map(address, size, MAP_FIXED) == (long)address;
}

bool os_would_hold(size_t size)
{
    long got = os_syscall(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got < 0 && got > -4096)
        return false;
    os_unmap((uintptr_t)got, size);
    return true;
}

void os_unmap(uintptr_t address, size_t size)
{
    os_syscall(SYS_munmap, (long)address, (long)size, 0, 0, 0, 0);
}

bool os_release(uintptr_t address, size_t size)
{
    if (os_fault_now(OS_FAULT_MADVISE))
        return false;
    return os_syscall(SYS_madvise, (long)address, (long)size, MADV_DONTNEED, 0, 0, 0) == 0;
}

bool os_fetch(uintptr_t address, size_t size)
{
    static bool unknown; /* to this kernel; the same for all who find it out */
    if (GA_LOAD_ANY(unknown) || os_fault_now(OS_FAULT_FETCH))
        return false;
    long got = os_syscall(SYS_madvise, (long)address, (long)size, MADV_POPULATE_WRITE, 0, 0, 0);
    if (got == -EINVAL)
        GA_STORE_ANY(unknown, true);
    return got == 0;
}

bool os_guard(uintptr_t address, size_t size)
{
    if (os_fault_now(OS_FAULT_MADVISE))
        return false;
    return os_syscall(SYS_madvise, (long)address, (long)size, MADV_GUARD_INSTALL, 0, 0, 0) == 0;
}

bool os_unguard(uintptr_t address, size_t size)
{
    return os_syscall(SYS_madvise, (long)address, (long)size, MADV_GUARD_REMOVE, 0, 0, 0) == 0;
}

bool os_protect(uintptr_t address, size_t size, bool accessible)
{
    if (os_fault_now(OS_FAULT_MPROTECT))
        return false;
    long protection = accessible ? PROT_READ | PROT_WRITE : PROT_NONE;
    return os_syscall(SYS_mprotect, (long)address, (long)size, protection, 0, 0, 0) == 0;
}

#define RESIDENT_PAGES 512 /* asked about at once */

/* A stretch with a hole in it is refused as a whole: counts its halves. */
static size_t count_resident(uintptr_t address, size_t pages, size_t page_size)
{
    unsigned char resident[RESIDENT_PAGES] = {0};
    if (os_syscall(SYS_mincore, (long)address, (long)(pages * page_size), (long)(uintptr_t)resident,
                   0, 0, 0) != 0) {
        size_t half = pages / 2;
        return half ? count_resident(address, half, page_size) +
                          count_resident(address + half * page_size, pages - half, page_size)
                    : 0;
    }
    size_t count = 0;
    for (size_t i = 0; i < pages; i++)
        count += resident[i] & 1;
    return count;
}

size_t os_resident_in(uintptr_t address, size_t size)
{
    size_t page_size = os_page_size(), pages = size / page_size, count = 0;
    while (pages) {
        size_t some = pages < RESIDENT_PAGES ? pages : RESIDENT_PAGES;
        count += count_resident(address, some, page_size);
        address += some * page_size;
        pages -= some;
    }
    return count * page_size;
}

void os_advise_huge(uintptr_t address, size_t size, bool huge)
{
    os_syscall(SYS_madvise, (long)address, (long)size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE, 0, 0,
               0);
}

bool os_allows_huge(const char *setting)
{
    char text[128];
    return os_read_file(setting, text, sizeof(text)) > 0 && !strstr(text, "[never]");
}

bool os_collapse(uintptr_t address, size_t size)
{
    return os_syscall(SYS_madvise, (long)address, (long)size, MADV_COLLAPSE, 0, 0, 0) == 0;
}

size_t os_page_size(void)
{
    return getauxval(AT_PAGESZ);
}
