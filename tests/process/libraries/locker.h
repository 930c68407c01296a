// SPDX-License-Identifier: MIT
/*
 * locker.h: a library with a lock of its own, which its fork handlers take, so that a child finds
 * what it guards whole. Its constructor registers them: before a preloaded library's constructor.
 */
#ifndef GOALLOC_PROCESS_LOCKER_H
#define GOALLOC_PROCESS_LOCKER_H

void locker_lock(void);
void locker_unlock(void);

#endif
