// SPDX-License-Identifier: MIT
/*
 * io.c: libc's blocking calls, for coroutines.
 *
 * Place: a library of its own, libgoalloc-io.so, which only programs that want this link; it stands
 * in front of libc. Calls goalloc/io.h on a coroutine, libc everywhere else.
 *
 * What a program sees is what libc does: a descriptor that it has set O_NONBLOCK gives EAGAIN, a
 * call on a thread that is no coroutine goes to libc as it is, and costs one branch.
 *
 * Invariants: each stand-in calls libc's function of the same name or its ga_ twin, with the same
 * arguments. Locking: none. Signals: as libc's, on a thread that is no coroutine.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include <goalloc/coro.h>
#include <goalloc/io.h>

#include "../platform.h"

#define SECOND      INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

/* libc's, looked up when the library is loaded, or by the first call if that comes earlier. */
static struct {
    ssize_t (*read)(int, void *, size_t);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*readv)(int, const struct iovec *, int);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*recv)(int, void *, size_t, int);
    ssize_t (*send)(int, const void *, size_t, int);
    ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
    ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ssize_t (*recvmsg)(int, struct msghdr *, int);
    ssize_t (*sendmsg)(int, const struct msghdr *, int);
    int (*accept)(int, struct sockaddr *, socklen_t *);
    int (*accept4)(int, struct sockaddr *, socklen_t *, int);
    int (*connect)(int, const struct sockaddr *, socklen_t);
    int (*poll)(struct pollfd *, nfds_t, int);
    int (*select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    int (*epoll_wait)(int, struct epoll_event *, int, int);
    int (*close)(int);
    int (*clock_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);
} libc;

/* One table for the look-ups: dlsym gives data pointers, C has no cast to functions. */
static const struct {
    const char *name;
    void *slot;
} names[] = {
    {"read", &libc.read},         {"write", &libc.write},
    {"readv", &libc.readv},       {"writev", &libc.writev},
    {"recv", &libc.recv},         {"send", &libc.send},
    {"recvfrom", &libc.recvfrom}, {"sendto", &libc.sendto},
    {"recvmsg", &libc.recvmsg},   {"sendmsg", &libc.sendmsg},
    {"accept", &libc.accept},     {"accept4", &libc.accept4},
    {"connect", &libc.connect},   {"poll", &libc.poll},
    {"select", &libc.select},     {"epoll_wait", &libc.epoll_wait},
    {"close", &libc.close},       {"clock_nanosleep", &libc.clock_nanosleep},
};

__attribute__((constructor)) static void look_up(void)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        *(void **)names[i].slot = dlsym(RTLD_NEXT, names[i].name);
}

/* Whether to park rather than to call libc. */
static bool begin(void)
{
    if (GA_UNLIKELY(!libc.clock_nanosleep))
        look_up();
    return GA_UNLIKELY(ga_io_begin());
}

static ssize_t end(ssize_t result)
{
    ga_io_end();
    return result;
}

/* --- Reading and writing --- */

GA_EXPORT ssize_t read(int fd, void *buffer, size_t size)
{
    return begin() ? end(ga_read(fd, buffer, size)) : libc.read(fd, buffer, size);
}

GA_EXPORT ssize_t write(int fd, const void *buffer, size_t size)
{
    return begin() ? end(ga_write(fd, buffer, size)) : libc.write(fd, buffer, size);
}

GA_EXPORT ssize_t readv(int fd, const struct iovec *parts, int count)
{
    return begin() ? end(ga_readv(fd, parts, count)) : libc.readv(fd, parts, count);
}

GA_EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return begin() ? end(ga_writev(fd, parts, count)) : libc.writev(fd, parts, count);
}

/* --- Sockets --- */

GA_EXPORT ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
    return begin() ? end(ga_recvfrom(fd, buffer, size, flags, NULL, NULL))
                   : libc.recv(fd, buffer, size, flags);
}

GA_EXPORT ssize_t send(int fd, const void *buffer, size_t size, int flags)
{
    return begin() ? end(ga_sendto(fd, buffer, size, flags, NULL, 0))
                   : libc.send(fd, buffer, size, flags);
}

GA_EXPORT ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from,
                           socklen_t *from_size)
{
    return begin() ? end(ga_recvfrom(fd, buffer, size, flags, from, from_size))
                   : libc.recvfrom(fd, buffer, size, flags, from, from_size);
}

GA_EXPORT ssize_t sendto(int fd, const void *buffer, size_t size, int flags,
                         const struct sockaddr *to, socklen_t to_size)
{
    return begin() ? end(ga_sendto(fd, buffer, size, flags, to, to_size))
                   : libc.sendto(fd, buffer, size, flags, to, to_size);
}

GA_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return begin() ? end(ga_recvmsg(fd, message, flags)) : libc.recvmsg(fd, message, flags);
}

GA_EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    return begin() ? end(ga_sendmsg(fd, message, flags)) : libc.sendmsg(fd, message, flags);
}

GA_EXPORT int accept(int fd, struct sockaddr *address, socklen_t *size)
{
    return begin() ? (int)end(ga_accept(fd, address, size)) : libc.accept(fd, address, size);
}

GA_EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return begin() ? (int)end(ga_accept4(fd, address, size, flags))
                   : libc.accept4(fd, address, size, flags);
}

GA_EXPORT int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    return begin() ? (int)end(ga_connect(fd, address, size)) : libc.connect(fd, address, size);
}

GA_EXPORT int close(int fd)
{
    return begin() ? (int)end(ga_close_fd(fd)) : libc.close(fd);
}

/* --- Waiting for several --- */

GA_EXPORT int poll(struct pollfd *fds, nfds_t count, int milliseconds)
{
    return begin() ? (int)end(ga_poll(fds, count, milliseconds))
                   : libc.poll(fds, count, milliseconds);
}

/* The kernel's poller is itself a descriptor that becomes readable. */
static int wait_for_poller(int poller, struct epoll_event *events, int count, int milliseconds)
{
    struct pollfd one = {poller, POLLIN, 0};
    int got = libc.epoll_wait(poller, events, count, 0);
    if (got != 0 || milliseconds == 0)
        return got;
    got = ga_poll(&one, 1, milliseconds);
    return got > 0 ? libc.epoll_wait(poller, events, count, 0) : got;
}

GA_EXPORT int epoll_wait(int poller, struct epoll_event *events, int count, int milliseconds)
{
    return begin() ? (int)end(wait_for_poller(poller, events, count, milliseconds))
                   : libc.epoll_wait(poller, events, count, milliseconds);
}

struct sets {
    fd_set *read, *write, *except;
};

static short events_of(int fd, const struct sets *sets)
{
    int events = 0;
    if (sets->read && FD_ISSET(fd, sets->read))
        events |= POLLIN;
    if (sets->write && FD_ISSET(fd, sets->write))
        events |= POLLOUT;
    if (sets->except && FD_ISSET(fd, sets->except))
        events |= POLLPRI;
    return (short)events;
}

static int milliseconds_of(const struct timeval *limit)
{
    int64_t milliseconds;
    if (!limit)
        return -1;
    milliseconds = limit->tv_sec * INT64_C(1000) + (limit->tv_usec + 999) / 1000;
    return milliseconds > INT32_MAX ? INT32_MAX : (int)milliseconds;
}

static int poll_sets(int count, const struct sets *sets, const struct timeval *limit)
{
    struct pollfd fds[FD_SETSIZE];
    nfds_t used = 0;
    for (int fd = 0; fd < count && fd < FD_SETSIZE; fd++) {
        short events = events_of(fd, sets);
        if (events)
            fds[used++] = (struct pollfd){fd, events, 0};
    }
    return ga_poll(fds, used, milliseconds_of(limit));
}

/* Waits by poll, then asks select itself, with no time left: the sets are filled in by the kernel.
 */
static int wait_for_sets(int count, const struct sets *sets, struct timeval *limit)
{
    struct timeval none = {0, 0};
    int got = poll_sets(count, sets, limit);
    return got < 0 ? got : libc.select(count, sets->read, sets->write, sets->except, &none);
}

GA_EXPORT int select(int count, fd_set *read, fd_set *write, fd_set *except, struct timeval *limit)
{
    struct sets sets = {read, write, except};
    return begin() ? (int)end(wait_for_sets(count, &sets, limit))
                   : libc.select(count, read, write, except, limit);
}

/* --- Sleeping --- */

static bool is_valid(const struct timespec *time)
{
    return time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < SECOND;
}

static int64_t nanoseconds_of(const struct timespec *time)
{
    return time->tv_sec > INT64_MAX / SECOND - 1 ? INT64_MAX
                                                 : time->tv_sec * SECOND + time->tv_nsec;
}

static int sleep_by_clock(clockid_t clock, int flags, const struct timespec *time,
                          struct timespec *left)
{
    bool known = clock == CLOCK_MONOTONIC || (clock == CLOCK_REALTIME && !(flags & TIMER_ABSTIME));
    if (!known || !is_valid(time))
        return libc.clock_nanosleep(clock, flags, time, left);
    ga_sleep(nanoseconds_of(time) - (flags & TIMER_ABSTIME ? ga_now() : 0));
    return 0;
}

GA_EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                              struct timespec *left)
{
    return begin() ? (int)end(sleep_by_clock(clock, flags, time, left))
                   : libc.clock_nanosleep(clock, flags, time, left);
}

GA_EXPORT int nanosleep(const struct timespec *time, struct timespec *left)
{
    int error = clock_nanosleep(CLOCK_REALTIME, 0, time, left);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

GA_EXPORT int usleep(useconds_t microseconds)
{
    struct timespec time = {(time_t)(microseconds / 1000000), microseconds % 1000000 * 1000L};
    return nanosleep(&time, NULL);
}

GA_EXPORT unsigned sleep(unsigned seconds)
{
    struct timespec time = {(time_t)seconds, 0}, left = {0, 0};
    return nanosleep(&time, &left) == 0 ? 0 : (unsigned)left.tv_sec;
}

/* --- What sources built with _FORTIFY_SOURCE call instead: the last size is the buffer's --- */

GA_NORETURN void __chk_fail(void);
ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room);
ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags,
                       struct sockaddr *from, socklen_t *from_size);
int __poll_chk(struct pollfd *fds, nfds_t count, int milliseconds, size_t room);

static void check_room(size_t size, size_t room)
{
    if (size > room)
        __chk_fail();
}

GA_EXPORT ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room)
{
    check_room(size, room);
    return read(fd, buffer, size);
}

GA_EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t size, size_t room, int flags)
{
    check_room(size, room);
    return recv(fd, buffer, size, flags);
}

GA_EXPORT ssize_t __recvfrom_chk(int fd, void *buffer, size_t size, size_t room, int flags,
                                 struct sockaddr *from, socklen_t *from_size)
{
    check_room(size, room);
    return recvfrom(fd, buffer, size, flags, from, from_size);
}

GA_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int milliseconds, size_t room)
{
    check_room(count, room / sizeof(*fds));
    return poll(fds, count, milliseconds);
}
