// SPDX-License-Identifier: MIT
//
// libbump.so: the allocator that does nothing, to measure what a workload costs without one.
//
// malloc bumps a pointer, free returns. No block is ever used again, no metadata is read or
// written: what time a row takes under it is the program's own work and its own cache misses.
// GA_BUMP_MB megabytes are populated before main, so that a measured run that stays within them
// takes no page faults either. For the benchmarks only: it never gives anything back.
//
// With GA_BUMP_REUSE=N as well it gives out freed blocks of N bytes again, the last one first, from
// a stack: no bookkeeping either, but the cache misses of memory that is used again and again,
// which a bump pointer never has. Blocks of that size then come out of the populated megabytes
// alone, by which free knows them; for one thread.
//
// Invariants: a block never spans two chunks; a chunk belongs to one thread; memory past `next` is
// still zero. A block's size isn't kept: realloc copies as many bytes as were asked for, which may
// read beyond the old block but never beyond the region.

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define REGION (1ull << 40) // address space; memory comes as it is touched
#define CHUNK  (1ull << 26) // what a thread takes at a time

#define EXPORT __attribute__((visibility("default")))

static _Atomic uintptr_t region;   // where the region begins, 0 before the first request
static _Atomic uintptr_t frontier; // first byte no thread has taken
static __thread __attribute__((tls_model("initial-exec"))) uintptr_t next, end; // owner thread only

static uintptr_t reserve(void)
{
    uintptr_t old = 0;
    void *p = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        _exit(127);
    if (atomic_compare_exchange_strong(&region, &old, (uintptr_t)p))
        atomic_store(&frontier, (uintptr_t)p);
    else
        munmap(p, REGION);
    while (atomic_load(&frontier) == 0)
        ;
    return atomic_load(&region);
}

static __attribute__((noinline)) void *take_chunk(size_t size, size_t align)
{
    uintptr_t base = atomic_load(&region);
    if (!base)
        base = reserve();
    if (size > REGION / 2) {
        errno = ENOMEM;
        return NULL;
    }
    size_t want = (size + align + CHUNK - 1) & ~(CHUNK - 1);
    uintptr_t at = atomic_fetch_add(&frontier, want);
    if (at + want > base + REGION) {
        errno = ENOMEM;
        return NULL;
    }
    uintptr_t p = (at + align - 1) & ~(align - 1);
    next = p + size;
    end = at + want;
    return (void *)p;
}

// The blocks of one size that are used again; size 0: none is.
static struct {
    size_t size;
    uintptr_t start, next, end; // of the populated megabytes
    void **stack, **top;
} reuse;

static void *take_reused(void)
{
    if (reuse.top != reuse.stack)
        return *--reuse.top;
    uintptr_t p = reuse.next;
    if (p + reuse.size > reuse.end)
        _exit(127); // populate more
    reuse.next += reuse.size;
    return (void *)p;
}

static inline void *bump(size_t size, size_t align)
{
    uintptr_t p = (next + align - 1) & ~(align - 1);
    size = (size + 15) & ~(size_t)15;
    if (__builtin_expect(p + size > end || size > REGION, 0))
        return take_chunk(size ? size : 16, align);
    next = p + (size ? size : 16);
    return (void *)p;
}

EXPORT void *malloc(size_t size)
{
    if (reuse.size && size == reuse.size)
        return take_reused();
    return bump(size, 16);
}

EXPORT void free(void *p)
{
    if ((uintptr_t)p - reuse.start < reuse.end - reuse.start)
        *reuse.top++ = p;
}

EXPORT void *calloc(size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return bump(total, 16);
}

EXPORT void *realloc(void *old, size_t size)
{
    void *p = bump(size, 16);
    if (old && p)
        memcpy(p, old, size);
    return p;
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
    return bump(size, align < 16 ? 16 : align);
}

EXPORT void *memalign(size_t align, size_t size)
{
    return aligned_alloc(align, size);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    *out = aligned_alloc(align, size);
    return *out ? 0 : ENOMEM;
}

EXPORT size_t malloc_usable_size(void *p)
{
    (void)p;
    return 0; // not kept: nothing of a block's size is
}

static size_t number(const char *variable)
{
    const char *text = getenv(variable);
    return text ? (size_t)strtoull(text, NULL, 10) : 0;
}

static void use_again(size_t of_size, uintptr_t start, size_t size)
{
    size_t room = size / of_size * sizeof(void *);
    void *stack = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED)
        _exit(127);
    reuse.stack = reuse.top = stack;
    reuse.start = reuse.next = start;
    reuse.end = start + size;
    reuse.size = of_size;
}

// One chunk as large as asked for, and every page of it present.
__attribute__((constructor)) static void populate(void)
{
    size_t size = number("GA_BUMP_MB") << 20, again = number("GA_BUMP_REUSE");
    void *p = size ? take_chunk(size, 16) : NULL;
    if (!p)
        return;
    next = (uintptr_t)p;
    madvise((void *)((next + 4095) & ~4095ul), size - 4096, MADV_POPULATE_WRITE);
    if (!again)
        return;
    next = end; // what isn't of that size comes from elsewhere
    use_again(again, (uintptr_t)p, size);
}
