// SPDX-License-Identifier: MIT
/*
 * io.c: reading, writing, accepting and connecting, with or without waiting.
 *
 * Place: called by src/coro's io.c. Calls nothing but the kernel.
 *
 * A descriptor's mode is the program's, and shared with other processes: it is not changed. What
 * shall not wait says so in the call itself: MSG_DONTWAIT, RWF_NOWAIT. accept and connect have no
 * such flag: the first is asked for by poll before, the second gets the mode for a moment.
 *
 * Invariants: errno is never touched. Locking: none.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "os.h"
#include "syscall.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

static long address_of(const void *p)
{
    return (long)(uintptr_t)p;
}

long os_poll(struct pollfd *fds, unsigned long count, int milliseconds)
{
    struct timespec limit = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    return os_syscall(SYS_ppoll, address_of(fds), (long)count,
                      milliseconds < 0 ? 0 : address_of(&limit), 0, 8, 0);
}

static bool is_ready(int fd, short events)
{
    struct pollfd one = {fd, events, 0};
    return os_poll(&one, 1, 0) != 0;
}

static long as_socket(const struct os_io *io)
{
    return os_syscall(io->kind == OS_READ ? SYS_recvfrom : SYS_sendto, io->fd,
                      address_of(io->parts->iov_base), (long)io->parts->iov_len, MSG_DONTWAIT, 0,
                      0);
}

static long vectored(const struct os_io *io, bool wait)
{
    bool reads = io->kind == OS_READ;
    if (!wait && io->socket && io->count == 1 && io->parts->iov_len > 0) {
        long result = as_socket(io);
        if (result != -ENOTSOCK)
            return result;
    }
    if (wait)
        return os_syscall(reads ? SYS_readv : SYS_writev, io->fd, address_of(io->parts), io->count,
                          0, 0, 0);
    long result = os_syscall(reads ? SYS_preadv2 : SYS_pwritev2, io->fd, address_of(io->parts),
                             io->count, -1, -1, RWF_NOWAIT);
    if (result != -EOPNOTSUPP && result != -ENOSYS)
        return result;
    return is_ready(io->fd, reads ? POLLIN : POLLOUT) ? vectored(io, true) : -EAGAIN;
}

static long message(const struct os_io *io, bool wait)
{
    return os_syscall(io->kind == OS_RECEIVE ? SYS_recvmsg : SYS_sendmsg, io->fd,
                      address_of(io->message), io->flags | (wait ? 0 : MSG_DONTWAIT), 0, 0, 0);
}

static long accept_one(const struct os_io *io, bool wait)
{
    if (!wait && !is_ready(io->fd, POLLIN))
        return -EAGAIN;
    return os_syscall(SYS_accept4, io->fd, address_of(io->address), address_of(io->address_size),
                      io->flags, 0, 0);
}

long os_io(const struct os_io *io, bool wait)
{
    switch (io->kind) {
    case OS_READ:
    case OS_WRITE:
        return vectored(io, wait);
    case OS_RECEIVE:
    case OS_SEND:
        return message(io, wait);
    case OS_ACCEPT:
        return accept_one(io, wait);
    }
    return -EINVAL;
}

bool os_is_nonblocking(int fd)
{
    long mode = os_syscall(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
    return mode >= 0 && (mode & O_NONBLOCK);
}

long os_connect(int fd, const struct sockaddr *address, unsigned size, bool wait)
{
    long mode = os_syscall(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
    bool change = !wait && mode >= 0 && !(mode & O_NONBLOCK);
    if (change)
        os_syscall(SYS_fcntl, fd, F_SETFL, mode | O_NONBLOCK, 0, 0, 0);
    long result = os_syscall(SYS_connect, fd, address_of(address), (long)size, 0, 0, 0);
    if (change)
        os_syscall(SYS_fcntl, fd, F_SETFL, mode, 0, 0, 0);
    return result;
}

long os_connect_result(int fd)
{
    int error = 0;
    unsigned size = sizeof(error);
    long result = os_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, address_of(&error),
                             address_of(&size), 0);
    return result < 0 ? result : -error;
}

long os_close_checked(int fd)
{
    return os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}
