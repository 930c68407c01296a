// SPDX-License-Identifier: MIT
/*
 * track.c: which pages were written since they were last looked at.
 *
 * Place: src/gc's concurrent marking. Calls nothing but the kernel (userfaultfd with asynchronous
 * write protection, and the PAGEMAP_SCAN ioctl: Linux 6.7).
 *
 * Pages are protected; the first write to one lifts its protection, in the kernel, and is what the
 * scan then finds. So does the kernel's own writing, as in read(). Nothing ever waits for us, and
 * when the descriptor is closed, by whomever, all pages count as written.
 *
 * Invariants: a page that was written since it was protected is reported; one that was never
 * protected is reported once it is there.
 * Locking: the collector's thread alone. Fork: no cycle is under way then.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>

#include "os.h"
#include "proc.h"
#include "syscall.h"

/* Newer than some headers. */
#define TRACK_UNPOPULATED (UINT64_C(1) << 13)
#define TRACK_ASYNC       (UINT64_C(1) << 15)
#define USER_MODE_ONLY    1

/*
 * So much is protected, or given up, by one call: each holds the process's memory map, for a
 * gigabyte by 50 ms and more on a virtual machine, and a thread that takes a page fault meanwhile
 * waits.
 */
#define TRACK_STEP ((uintptr_t)8 << 20)

/* Above what programs use, and what those that close all of theirs in a loop often stop at. */
#define HIGH_DESCRIPTOR 800

static long call_ioctl(long fd, unsigned long request, void *argument)
{
    return os_syscall(SYS_ioctl, fd, (long)request, (long)(uintptr_t)argument, 0, 0, 0);
}

static void close_descriptor(long fd)
{
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

static long open_tracker(void)
{
    long fd = os_syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY, 0, 0, 0, 0, 0);
    struct uffdio_api api = {.api = UFFD_API, .features = TRACK_ASYNC | TRACK_UNPOPULATED};
    if (fd < 0)
        return fd;
    if (call_ioctl(fd, UFFDIO_API, &api) != 0) {
        close_descriptor(fd);
        return -1;
    }
    long high = os_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR, 0, 0, 0);
    if (high < 0)
        return fd;
    close_descriptor(fd);
    return high;
}

static bool register_range(long fd, uintptr_t start, uintptr_t end)
{
    struct uffdio_register range = {.range = {start, end - start}, .mode = UFFDIO_REGISTER_MODE_WP};
    return call_ioctl(fd, UFFDIO_REGISTER, &range) == 0;
}

void os_track_extend(struct os_tracker *tracker, uintptr_t end)
{
    if (end > tracker->end && register_range(tracker->fd, tracker->end, end))
        tracker->end = end;
}

bool os_track_begin(struct os_tracker *tracker, uintptr_t start, uintptr_t end)
{
    tracker->fd = open_tracker();
    tracker->start = tracker->end = start;
    if (tracker->fd < 0)
        return false;
    if (register_range(tracker->fd, start, end)) {
        tracker->end = end; /* all of it is this tracker's, and nobody else's */
        return true;
    }
    os_track_end(tracker);
    return false;
}

static uintptr_t step_from(uintptr_t at, uintptr_t end)
{
    return end - at < TRACK_STEP ? end - at : TRACK_STEP;
}

bool os_track_protect(const struct os_tracker *tracker, uintptr_t start, uintptr_t end)
{
    for (uintptr_t at = start; at < end; at += step_from(at, end)) {
        struct uffdio_writeprotect protect = {.range = {at, step_from(at, end)},
                                              .mode = UFFDIO_WRITEPROTECT_MODE_WP};
        if (call_ioctl(tracker->fd, UFFDIO_WRITEPROTECT, &protect) != 0)
            return false;
    }
    return true;
}

/* The program may have closed ours and opened another in its place. */
static bool is_tracker(long fd)
{
    char path[32] = "/proc/self/fd/", target[64], digits[16];
    const char *want = "anon_inode:[userfaultfd]";
    size_t at = strlen(path), n = 0;
    do
        digits[n++] = (char)('0' + fd % 10);
    while (fd /= 10);
    while (n)
        path[at++] = digits[--n];
    path[at] = '\0';
    long length = os_syscall(SYS_readlinkat, AT_FDCWD, (long)(uintptr_t)path,
                             (long)(uintptr_t)target, sizeof(target), 0, 0);
    return length == (long)strlen(want) && memcmp(target, want, (size_t)length) == 0;
}

/* Closing would do the same, but all of it in one go. What can't be given up here is there. */
static void give_up_range(const struct os_tracker *tracker)
{
    for (uintptr_t at = tracker->start; at < tracker->end; at += step_from(at, tracker->end)) {
        struct uffdio_range range = {at, step_from(at, tracker->end)};
        call_ioctl(tracker->fd, UFFDIO_UNREGISTER, &range);
    }
}

void os_track_end(struct os_tracker *tracker)
{
    if (tracker->fd >= 0 && is_tracker(tracker->fd)) {
        give_up_range(tracker);
        close_descriptor(tracker->fd);
    }
    tracker->fd = -1;
}

/* --- Which were written --- */

#define SCAN_IOCTL   0xc0606610ul
#define SCAN_WRITTEN (UINT64_C(1) << 1)
#define SCAN_PROTECT 1
#define SCAN_REGIONS 256

struct scan_region {
    uint64_t start, end, categories;
};
struct scan_arguments {
    uint64_t size, flags, start, end, walk_end, regions, regions_length, max_pages;
    uint64_t inverted, mask, any_of, return_mask;
};

bool os_each_written(uintptr_t start, uintptr_t end, bool protect,
                     void (*visit)(uintptr_t start, uintptr_t end, void *context), void *context)
{
    struct scan_region regions[SCAN_REGIONS] = {{0}};
    long fd = os_syscall(SYS_openat, AT_FDCWD, (long)(uintptr_t) "/proc/self/pagemap",
                         O_RDONLY | O_CLOEXEC, 0, 0, 0);
    bool done = fd >= 0;
    while (done && start < end) {
        struct scan_arguments arguments = {
            .size = sizeof(arguments),
            .flags = protect ? SCAN_PROTECT : 0,
            .start = start,
            .end = end,
            .regions = (uintptr_t)regions,
            .regions_length = SCAN_REGIONS,
            .mask = SCAN_WRITTEN,
            .return_mask = SCAN_WRITTEN,
        };
        long count = call_ioctl(fd, SCAN_IOCTL, &arguments);
        done = count >= 0 && arguments.walk_end > start;
        for (long i = 0; i < count; i++)
            visit(regions[i].start, regions[i].end, context);
        start = arguments.walk_end;
    }
    if (fd >= 0)
        close_descriptor(fd);
    return done;
}
