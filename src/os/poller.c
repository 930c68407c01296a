// SPDX-License-Identifier: MIT
/*
 * poller.c: epoll.
 *
 * Place: called by src/coro's poller. Calls nothing but the kernel.
 *
 * Invariants: errno is never touched. Locking: none.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "os.h"
#include "syscall.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define EVENTS_MAX   128
#define SIGSET_BYTES 8

bool os_is_stream(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);
    long result = os_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, (long)(uintptr_t)&type,
                             (long)(uintptr_t)&size, 0);
    return result == 0 && type == SOCK_STREAM;
}

int os_poller_open(void)
{
    return (int)os_syscall(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0, 0);
}

int os_poller_watch(int poller, int fd, enum os_watch how, bool read, bool write, void *data)
{
    struct epoll_event event = {.data = {.ptr = data}};
    event.events = (read ? EPOLLIN | EPOLLRDHUP : 0u) | (write ? EPOLLOUT : 0u) |
                   (how == OS_WATCH_EDGES ? (unsigned)EPOLLET : 0u);
    long result =
        os_syscall(SYS_epoll_ctl, poller, EPOLL_CTL_MOD, fd, (long)(uintptr_t)&event, 0, 0);
    if (result == -ENOENT)
        result =
            os_syscall(SYS_epoll_ctl, poller, EPOLL_CTL_ADD, fd, (long)(uintptr_t)&event, 0, 0);
    return (int)result;
}

void os_poller_forget(int poller, int fd)
{
    struct epoll_event event = {0};
    os_syscall(SYS_epoll_ctl, poller, EPOLL_CTL_DEL, fd, (long)(uintptr_t)&event, 0, 0);
}

/* epoll_wait knows milliseconds only, rounded up here; the newer call, Linux 5.11, nanoseconds. */
static long wait_coarsely(int poller, struct epoll_event *raw, int count, int64_t nanoseconds)
{
    int64_t ms = nanoseconds / 1000000 + (nanoseconds % 1000000 > 0);
    int timeout = nanoseconds < 0 ? -1 : ms > 60000 ? 60000 : (int)ms;
    return os_syscall(SYS_epoll_pwait, poller, (long)(uintptr_t)raw, count, timeout, 0,
                      SIGSET_BYTES);
}

static long wait_finely(int poller, struct epoll_event *raw, int count, int64_t nanoseconds)
{
    struct timespec limit = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};
    return os_syscall(SYS_epoll_pwait2, poller, (long)(uintptr_t)raw, count,
                      nanoseconds < 0 ? 0 : (long)(uintptr_t)&limit, 0, SIGSET_BYTES);
}

int os_poller_wait(int poller, struct os_event *events, int count, int64_t nanoseconds)
{
    struct epoll_event raw[EVENTS_MAX];
    if (count > EVENTS_MAX)
        count = EVENTS_MAX;
    long got = nanoseconds > 0 ? wait_finely(poller, raw, count, nanoseconds) : -ENOSYS;
    if (got == -ENOSYS)
        got = wait_coarsely(poller, raw, count, nanoseconds);
    for (long i = 0; i < got; i++) {
        /* The kernel has filled them in. */
        uint32_t bits = raw[i].events; /* NOLINT(clang-analyzer-core.uninitialized.Assign) */
        events[i] = (struct os_event){
            .readable = bits & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR),
            .writable = bits & (EPOLLOUT | EPOLLHUP | EPOLLERR),
            .hung_up = bits & (EPOLLRDHUP | EPOLLHUP | EPOLLERR),
            .data = raw[i].data.ptr,
        };
    }
    return (int)(got < 0 ? 0 : got);
}

int os_event_open(void)
{
    return (int)os_syscall(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0, 0, 0);
}

void os_event_set(int fd)
{
    uint64_t one = 1;
    os_syscall(SYS_write, fd, (long)(uintptr_t)&one, sizeof(one), 0, 0, 0);
}

void os_event_clear(int fd)
{
    uint64_t value;
    os_syscall(SYS_read, fd, (long)(uintptr_t)&value, sizeof(value), 0, 0, 0);
}
