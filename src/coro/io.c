// SPDX-License-Identifier: MIT
/*
 * io.c: the calls of goalloc/io.h.
 *
 * Place: programs call them, and src/io's stand-ins for libc's. Calls netpoll.c to wait.
 *
 * Each tries first, without waiting in the kernel, and waits only if that fails. Where a descriptor
 * can't be waited for the thread does wait in the kernel, and the monitor takes its proc meanwhile.
 *
 * Invariants: a descriptor's mode is never changed for longer than a connect takes. Locking: a lock
 * for accept, which can't be told not to wait: what poll promised isn't taken by another coroutine.
 */
#include <errno.h>
#include <goalloc/io.h>

#include "netpoll.h"

#define ACCEPT_LOCKS 16u
#define PARTS_MAX    64

static struct lock accept_locks[ACCEPT_LOCKS];

/* Whether the caller may park: else its thread waits. */
static bool may_park(void)
{
    struct machine *machine = machine_self();
    return machine && !machine->foreign;
}

static long give(long result)
{
    if (result < 0) {
        *ga_errno() = (int)-result;
        return -1;
    }
    return result;
}

/* 0: try again; else -errno, or 1: it can't be waited for. */
static long wait_for(int fd, enum poll_way way, int64_t until)
{
    switch (poll_wait(fd, way, until)) {
    case POLL_READY:
        return 0;
    case POLL_TIMEOUT:
        return -ETIMEDOUT;
    case POLL_CLOSED:
        return -EBADF;
    case POLL_REFUSED:
        break;
    }
    return 1;
}

static long try_now(const struct os_io *io)
{
    if (io->kind != OS_ACCEPT)
        return os_io(io, false);
    struct lock *lock = &accept_locks[(unsigned)io->fd % ACCEPT_LOCKS];
    lock_acquire(lock);
    long result = os_io(io, false);
    lock_release(lock);
    return result;
}

/* -EAGAIN is what the program wants to see: it calls by libc's name, and has set O_NONBLOCK. */
static bool is_meant(int fd)
{
    return machine_self()->current->obeys_mode && os_is_nonblocking(fd);
}

static long run_io(const struct os_io *io)
{
    enum poll_way way = io->kind == OS_WRITE || io->kind == OS_SEND ? POLL_WRITE : POLL_READ;
    if (!may_park())
        return os_io(io, true);
    bool in_vain = io->kind == OS_READ && poll_is_drained(io->fd) && !is_meant(io->fd);
    for (;; in_vain = false) {
        long result = in_vain ? -EAGAIN : try_now(io);
        if (result > 0 && io->kind == OS_READ && io->count == 1 &&
            (size_t)result < io->parts->iov_len)
            poll_note_drained(io->fd);
        if (result != -EAGAIN || (!in_vain && is_meant(io->fd)))
            return result;
        long outcome = wait_for(io->fd, way, 0);
        if (outcome < 0)
            return outcome;
        if (outcome > 0)
            return os_io(io, true);
    }
}

/* --- For src/io --- */

GA_EXPORT bool ga_io_begin(void)
{
    if (!may_park())
        return false;
    machine_self()->current->obeys_mode = true;
    return true;
}

GA_EXPORT void ga_io_end(void)
{
    machine_self()->current->obeys_mode = false;
}

/* --- Reading and writing --- */

GA_EXPORT ssize_t ga_readv(int fd, const struct iovec *parts, int count)
{
    struct os_io io = {.kind = OS_READ, .fd = fd, .parts = parts, .count = count};
    io.socket = poll_is_stream(fd);
    return give(run_io(&io));
}

GA_EXPORT ssize_t ga_read(int fd, void *buffer, size_t size)
{
    struct iovec part = {buffer, size};
    return ga_readv(fd, &part, 1);
}

/* What was written counts, also if the rest fails. */
static long write_all(int fd, const void *buffer, size_t size)
{
    size_t done = 0;
    do {
        struct iovec part = {(char *)(uintptr_t)buffer + done, size - done};
        struct os_io io = {.kind = OS_WRITE, .fd = fd, .parts = &part, .count = 1};
        io.socket = poll_is_stream(fd);
        long result = run_io(&io);
        if (result <= 0)
            return done ? (long)done : result;
        done += (size_t)result;
    } while (done < size);
    return (long)done;
}

GA_EXPORT ssize_t ga_write(int fd, const void *buffer, size_t size)
{
    return give(write_all(fd, buffer, size));
}

/* Part of a vector may be written: then the rest goes out part by part. */
static long write_rest(int fd, const struct iovec *parts, int count, long done)
{
    size_t skip = (size_t)done;
    for (int i = 0; i < count; i++) {
        if (skip >= parts[i].iov_len) {
            skip -= parts[i].iov_len;
            continue;
        }
        size_t want = parts[i].iov_len - skip;
        long result = write_all(fd, (const char *)parts[i].iov_base + skip, want);
        skip = 0;
        if (result > 0)
            done += result;
        if (result < (long)want)
            break;
    }
    return done;
}

GA_EXPORT ssize_t ga_writev(int fd, const struct iovec *parts, int count)
{
    struct os_io io = {.kind = OS_WRITE, .fd = fd, .parts = parts, .count = count};
    long result = run_io(&io);
    if (result > 0 && may_park())
        result = write_rest(fd, parts, count, result);
    return give(result);
}

/* --- Sockets --- */

GA_EXPORT ssize_t ga_recvmsg(int fd, struct msghdr *message, int flags)
{
    struct os_io io = {.kind = OS_RECEIVE, .fd = fd, .message = message, .flags = flags};
    if (flags & MSG_DONTWAIT)
        return give(os_io(&io, false));
    return give(run_io(&io));
}

GA_EXPORT ssize_t ga_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct os_io io = {
        .kind = OS_SEND, .fd = fd, .message = (struct msghdr *)message, .flags = flags};
    if (flags & MSG_DONTWAIT)
        return give(os_io(&io, false));
    return give(run_io(&io));
}

static ssize_t receive(int fd, void *buffer, size_t size, int flags, struct sockaddr *from,
                       socklen_t *from_size)
{
    struct iovec part = {buffer, size};
    struct msghdr message = {.msg_name = from,
                             .msg_namelen = from && from_size ? *from_size : 0,
                             .msg_iov = &part,
                             .msg_iovlen = 1};
    ssize_t result = ga_recvmsg(fd, &message, flags);
    if (result >= 0 && from && from_size)
        *from_size = message.msg_namelen;
    return result;
}

GA_EXPORT ssize_t ga_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from,
                              socklen_t *from_size)
{
    size_t done = 0;
    ssize_t result;
    bool whole = (flags & MSG_WAITALL) && !(flags & (MSG_DONTWAIT | MSG_PEEK));
    do {
        result = receive(fd, (char *)buffer + done, size - done, flags, from, from_size);
        if (result > 0)
            done += (size_t)result;
    } while (whole && result > 0 && done < size);
    return done ? (ssize_t)done : result;
}

/* A stream takes what fits; as from a send that waits, all of it goes. */
GA_EXPORT ssize_t ga_sendto(int fd, const void *buffer, size_t size, int flags,
                            const struct sockaddr *to, socklen_t to_size)
{
    size_t done = 0;
    ssize_t result;
    do {
        struct iovec part = {(char *)(uintptr_t)buffer + done, size - done};
        struct msghdr message = {.msg_name = (void *)(uintptr_t)to,
                                 .msg_namelen = to_size,
                                 .msg_iov = &part,
                                 .msg_iovlen = 1};
        result = ga_sendmsg(fd, &message, flags);
        if (result > 0)
            done += (size_t)result;
    } while (result > 0 && done < size && !(flags & MSG_DONTWAIT));
    return done ? (ssize_t)done : result;
}

GA_EXPORT int ga_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    struct os_io io = {
        .kind = OS_ACCEPT, .fd = fd, .address = address, .address_size = size, .flags = flags};
    return (int)give(run_io(&io));
}

GA_EXPORT int ga_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    return ga_accept4(fd, address, size, 0);
}

/* What woke it may have been meant for whoever had the descriptor's number before. */
static long wait_connected(int fd)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    long outcome;
    poll_renew(fd);
    do
        outcome = wait_for(fd, POLL_WRITE, 0);
    while (outcome == 0 && os_poll(&writable, 1, 0) == 0);
    return outcome < 0 ? outcome : os_connect_result(fd);
}

GA_EXPORT int ga_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    bool parks = may_park();
    long result = os_connect(fd, address, size, !parks);
    if (parks && result == -EINPROGRESS && !is_meant(fd)) {
        result = wait_connected(fd);
    } else if (parks && result == -EAGAIN) {
        result = os_connect(fd, address, size, true); /* a local socket whose queue is full */
    }
    return (int)give(result);
}

GA_EXPORT int ga_close_fd(int fd)
{
    poll_forget(fd);
    return (int)give(os_close_checked(fd));
}

/* --- Several at once --- */

/* A poller of its own for the descriptors, which becomes readable when one of them is ready. */
static long wait_for_any(struct pollfd *fds, nfds_t count, int64_t until)
{
    int own = os_poller_open();
    if (own < 0)
        return own;
    for (nfds_t i = 0; i < count; i++)
        if (fds[i].fd >= 0)
            os_poller_watch(own, fds[i].fd, OS_WATCH_ALWAYS, fds[i].events & ~POLLOUT,
                            fds[i].events & POLLOUT, NULL);
    long outcome = wait_for(own, POLL_READ, until);
    poll_forget(own);
    os_close(own);
    return outcome;
}

static bool has_passed(int64_t until)
{
    return until && until <= timer_now();
}

GA_EXPORT int ga_poll(struct pollfd *fds, nfds_t count, int milliseconds)
{
    if (milliseconds == 0 || !may_park())
        return (int)give(os_poll(fds, count, milliseconds));
    int64_t until = milliseconds < 0 ? 0 : timer_after(milliseconds * INT64_C(1000000));
    for (;;) {
        long result = os_poll(fds, count, 0);
        if (result != 0 || has_passed(until))
            return (int)give(result);
        long outcome = wait_for_any(fds, count, until);
        if (outcome < 0 && outcome != -ETIMEDOUT)
            return (int)give(outcome);
    }
}

/* --- Deadlines --- */

GA_EXPORT int ga_set_read_deadline(int fd, int64_t when)
{
    return poll_set_deadline(fd, POLL_READ, when) ? 0 : -1;
}

GA_EXPORT int ga_set_write_deadline(int fd, int64_t when)
{
    return poll_set_deadline(fd, POLL_WRITE, when) ? 0 : -1;
}

GA_EXPORT int ga_set_deadline(int fd, int64_t when)
{
    int read = ga_set_read_deadline(fd, when);
    return ga_set_write_deadline(fd, when) == 0 ? read : -1;
}
