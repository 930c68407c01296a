// SPDX-License-Identifier: MIT
/*
 * goalloc/io.h: input and output that parks a coroutine rather than its thread.
 *
 * Each does what the call of the same name without ga_ does on a descriptor that waits, and gives
 * the same results and errors. (recv, send and close are ga_recvfrom, ga_sendto and ga_close_fd
 * here: ga_recv, ga_send and ga_close are a channel's.) The descriptor's own mode (O_NONBLOCK)
 * doesn't matter, and isn't changed. On a thread that is no coroutine the thread waits. Files,
 * which can't be waited for, are read and written by the thread; another one takes over its other
 * coroutines if that lasts.
 *
 * A program that links libgoalloc-io.so gets the same of read(), write() and so on.
 */
#ifndef GOALLOC_IO_H
#define GOALLOC_IO_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

ssize_t ga_read(int fd, void *buffer, size_t size);
/* Like a write that waits, all of it, unless an error comes in between. */
ssize_t ga_write(int fd, const void *buffer, size_t size);
ssize_t ga_readv(int fd, const struct iovec *parts, int count);
ssize_t ga_writev(int fd, const struct iovec *parts, int count);
ssize_t ga_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from,
                    socklen_t *from_size);
ssize_t ga_sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *to,
                  socklen_t to_size);
ssize_t ga_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t ga_sendmsg(int fd, const struct msghdr *message, int flags);
int ga_accept(int fd, struct sockaddr *address, socklen_t *size);
int ga_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int ga_connect(int fd, const struct sockaddr *address, socklen_t size);
int ga_poll(struct pollfd *fds, nfds_t count, int milliseconds);
/* Waits that are under way end with EBADF. */
int ga_close_fd(int fd);

/*
 * When waits for reading, for writing, or for both end with ETIMEDOUT: a time of ga_now(), 0:
 * never. For all waits to come, and those under way, until it is set anew or ga_close_fd().
 */
int ga_set_read_deadline(int fd, int64_t when);
int ga_set_write_deadline(int fd, int64_t when);
int ga_set_deadline(int fd, int64_t when);

/* For libgoalloc-io.so: whether the caller may park; if so, until ga_io_end, EAGAIN is given for a
 * descriptor that the program has set O_NONBLOCK for. */
bool ga_io_begin(void);
void ga_io_end(void);

#ifdef __cplusplus
}
#endif

#endif
