// SPDX-License-Identifier: MIT
/* netpoll.h: waiting for descriptors, between netpoll.c and io.c. */
#ifndef GOALLOC_CORO_NETPOLL_H
#define GOALLOC_CORO_NETPOLL_H

#include "internal.h"

enum poll_way { POLL_READ, POLL_WRITE };

enum poll_result {
    POLL_READY,   /* or perhaps not: try again */
    POLL_TIMEOUT, /* the deadline has passed */
    POLL_CLOSED,  /* it was closed meanwhile */
    POLL_REFUSED, /* a descriptor that can't be waited for: a file's */
};

/* Waits until the descriptor may be ready, at once if it is; until a time of the monotonic clock,
 * 0: without limit. */
enum poll_result poll_wait(int fd, enum poll_way way, int64_t until);
/* Wakes all that wait for it, before it is closed, and forgets what is known of it. */
void poll_forget(int fd);
/* A read got less than it asked for: of a stream that was all, and the next may wait at once. A
 * hint that may be wrong for some milliseconds, as a wait that lasts is proved. */
void poll_note_drained(int fd);
bool poll_is_drained(int fd);
bool poll_is_stream(int fd); /* a stream's socket; the same kind of hint */
/* What is known of it may be of another that had its number. */
void poll_renew(int fd);
/* When waits give up: a time of the monotonic clock, 0: never. false: out of memory. */
bool poll_set_deadline(int fd, enum poll_way way, int64_t when);

#endif
