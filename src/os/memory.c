// SPDX-License-Identifier: MIT
/*
 * memory.c: mapping, releasing and moving memory.
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
#include <sys/auxv.h>
#include <sys/mman.h>

#include "fault.h"
#include "os.h"
#include "syscall.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define MAP_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static long map(uintptr_t address, size_t size, int flags)
{
    if (os_fault_now())
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

void os_unmap(uintptr_t address, size_t size)
{
    os_syscall(SYS_munmap, (long)address, (long)size, 0, 0, 0, 0);
}

bool os_release(uintptr_t address, size_t size)
{
    if (os_fault_now())
        return false;
    return os_syscall(SYS_madvise, (long)address, (long)size, MADV_DONTNEED, 0, 0, 0) == 0;
}

bool os_move_pages(uintptr_t from, uintptr_t to, size_t size)
{
    if (os_fault_now())
        return false;
    return os_syscall(SYS_mremap, (long)from, (long)size, (long)size,
                      MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (long)to, 0) == (long)to;
}

size_t os_page_size(void)
{
    return getauxval(AT_PAGESZ);
}
