// SPDX-License-Identifier: MIT
/*
 * coro.h: what the rest of the library may ask the coroutine runtime.
 */
#ifndef GOALLOC_CORO_H
#define GOALLOC_CORO_H

#include "../goalloc.h"
#include "goalloc/coro.h"

/* The saved part of a stack that no thread runs on now: from `low`, its stack pointer, to `high`.
 */
typedef void coro_stack_visitor(uintptr_t low, uintptr_t high, void *argument);
/*
 * Every coroutine's stack that is off its thread, and the struct that describes it. For a
 * collector, with the world stopped: takes no lock, and reads what was stored before the stop.
 */
void coro_each_stack(coro_stack_visitor *visit, void *argument);
/* Whether the runtime was started in this process. */
bool coro_is_running(void);

/* Around a fork: see start.c. */
void coro_lock_for_fork(void);
void coro_unlock_after_fork(void);
void coro_reset_in_child(void);

#endif
