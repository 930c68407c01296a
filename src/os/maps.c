// SPDX-License-Identifier: MIT
/*
 * maps.c: the process's mappings, and which of their pages hold something.
 *
 * Place: src/gc's search for roots. Calls nothing but the kernel.
 *
 * Invariants: a page that the program has written is never left out; where the kernel can't be
 * asked, pages count as written.
 * Locking: none; the collector's thread alone. A descriptor is open only within a call, or while
 * the world is stopped: no thread can close it then.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#include "os.h"
#include "proc.h"
#include "syscall.h"

static long open_file(const char *path)
{
    return os_syscall(SYS_openat, AT_FDCWD, (long)(uintptr_t)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

static void close_file(long fd)
{
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

/* --- Mappings --- */

static const char *parse_hex(const char *at, uintptr_t *value)
{
    uintptr_t n = 0;
    for (;; at++) {
        if (*at >= '0' && *at <= '9')
            n = n << 4 | (uintptr_t)(*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            n = n << 4 | (uintptr_t)(*at - 'a' + 10);
        else
            break;
    }
    *value = n;
    return at;
}

/* "start-end rwxp offset device inode   path", ended by a zero. */
static void parse_line(const char *line, struct os_mapping *mapping)
{
    const char *at = parse_hex(line, &mapping->start);
    at = parse_hex(at + (*at == '-'), &mapping->end);
    at += *at == ' ';
    mapping->readable = at[0] == 'r';
    mapping->writable = at[0] && at[1] == 'w';
    mapping->shared = at[0] && at[1] && at[2] && at[3] == 's';
    mapping->main_stack = strstr(at, "[stack]") != NULL;
}

/* Hands out the whole lines in [text, text + length); how many bytes they are. A line that is
 * longer than the buffer has a path that long: its beginning is all that is wanted. */
static size_t visit_lines(char *text, size_t length, bool full,
                          void (*visit)(const struct os_mapping *, void *), void *context)
{
    struct os_mapping mapping;
    size_t done = 0;
    for (char *end; (end = memchr(text + done, '\n', length - done));
         done = (size_t)(end - text) + 1) {
        *end = '\0';
        parse_line(text + done, &mapping);
        if (mapping.end > mapping.start)
            visit(&mapping, context);
    }
    return done == 0 && full ? length / 2 : done;
}

bool os_each_mapping(void (*visit)(const struct os_mapping *mapping, void *context), void *context)
{
    char buffer[12 << 10] = {0};
    size_t held = 0;
    long fd = open_file("/proc/self/maps"), got;
    if (fd < 0)
        return false;
    for (;;) {
        got = os_syscall(SYS_read, fd, (long)(uintptr_t)(buffer + held),
                         (long)(sizeof(buffer) - held), 0, 0, 0);
        if (got <= 0)
            break;
        held += (size_t)got;
        size_t done = visit_lines(buffer, held, held == sizeof(buffer), visit, context);
        memmove(buffer, buffer + done, held - done);
        held -= done;
    }
    close_file(fd);
    return got == 0;
}

/* --- Populated pages --- */

/* The kernel's interface since 6.7; its header may be older. */
struct scan_region {
    uint64_t start, end, categories;
};
struct scan_arguments {
    uint64_t size, flags, start, end, walk_end, regions, regions_length, max_pages;
    uint64_t inverted, mask, any_of, return_mask;
};
#define SCAN_IOCTL   0xc0606610ul /* _IOWR('f', 16, struct scan_arguments) */
#define SCAN_FILE    (UINT64_C(1) << 2)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_SWAPPED (UINT64_C(1) << 4)
#define SCAN_PFNZERO (UINT64_C(1) << 5)
#define SCAN_REGIONS 128
/* In /proc/self/pagemap: present or swapped; a file's, or shared. */
#define PAGEMAP_THERE (UINT64_C(3) << 62)
#define PAGEMAP_FILE  (UINT64_C(1) << 61)
/* Present, and no other process has it. */
#define PAGEMAP_ALONE (UINT64_C(1) << 63 | UINT64_C(1) << 56)

_Static_assert(sizeof(struct scan_arguments) == 0x60, "the size is part of the call's number");

typedef void visit_range(uintptr_t start, uintptr_t end, void *context);

/* How far it came; `start` when the kernel doesn't know the call. */
static uintptr_t scan_by_ioctl(long fd, uintptr_t start, uintptr_t end, visit_range *visit,
                               void *context)
{
    struct scan_region regions[SCAN_REGIONS] = {{0}};
    while (start < end) {
        struct scan_arguments arguments = {
            .size = sizeof(arguments),
            .start = start,
            .end = end,
            .regions = (uintptr_t)regions,
            .regions_length = SCAN_REGIONS,
            .inverted = SCAN_PFNZERO | SCAN_FILE,
            .mask = SCAN_PFNZERO | SCAN_FILE,
            .any_of = SCAN_PRESENT | SCAN_SWAPPED,
            .return_mask = SCAN_PRESENT | SCAN_SWAPPED,
        };
        long count =
            os_syscall(SYS_ioctl, fd, (long)SCAN_IOCTL, (long)(uintptr_t)&arguments, 0, 0, 0);
        if (count < 0)
            return start;
        for (long i = 0; i < count; i++)
            visit(regions[i].start, regions[i].end, context);
        if (arguments.walk_end <= start)
            return start;
        start = arguments.walk_end;
    }
    return start;
}

/* Before Linux 6.7: one word a page. How far it came. */
static uintptr_t scan_by_words(long fd, uintptr_t start, uintptr_t end, visit_range *visit,
                               void *context)
{
    uint64_t words[512] = {0};
    size_t page = os_page_size();
    while (start < end) {
        size_t want = (end - start) / page;
        want = want < 512 ? want : 512;
        long got = os_syscall(SYS_pread64, fd, (long)(uintptr_t)words, (long)(want * 8),
                              (long)(start / page * 8), 0, 0);
        if (got < 8)
            return start;
        for (size_t i = 0; i < (size_t)got / 8; i++, start += page)
            if ((words[i] & PAGEMAP_THERE) && !(words[i] & PAGEMAP_FILE))
                visit(start, start + page, context);
    }
    return start;
}

static long kept_fd = -1; /* of the process that is stopped; else every call opens its own */

void os_keep_pagemap(bool keep)
{
    if (keep) {
        kept_fd = open_file("/proc/self/pagemap");
    } else if (kept_fd >= 0) {
        close_file(kept_fd);
        kept_fd = -1;
    }
}

void os_each_populated(uintptr_t start, uintptr_t end, visit_range *visit, void *context)
{
    long fd = kept_fd >= 0 ? kept_fd : open_file("/proc/self/pagemap");
    if (fd >= 0) {
        start = scan_by_ioctl(fd, start, end, visit, context);
        start = scan_by_words(fd, start, end, visit, context);
    }
    if (fd >= 0 && fd != kept_fd)
        close_file(fd);
    if (start < end)
        visit(start, end, context);
}

bool os_has_alone(uintptr_t address, size_t size)
{
    uint64_t words[512] = {0};
    size_t page = os_page_size(), have = 0, want = size / page;
    long fd = open_file("/proc/self/pagemap");
    if (fd < 0)
        return false;
    while (have < want) {
        size_t some = want - have < 512 ? want - have : 512;
        long got = os_syscall(SYS_pread64, fd, (long)(uintptr_t)words, (long)(some * 8),
                              (long)((address / page + have) * 8), 0, 0);
        size_t i = 0;
        while (got > 0 && i < (size_t)got / 8 && (words[i] & PAGEMAP_ALONE) == PAGEMAP_ALONE)
            i++;
        have += i;
        if (i < some)
            break;
    }
    close_file(fd);
    return have == want;
}

size_t os_copy_memory(void *to, uintptr_t from, size_t size)
{
    struct iovec local = {to, size}, remote = {(void *)from, size};
    long self = os_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
    long got = os_syscall(SYS_process_vm_readv, self, (long)(uintptr_t)&local, 1,
                          (long)(uintptr_t)&remote, 1, 0);
    return got > 0 ? (size_t)got : 0;
}
