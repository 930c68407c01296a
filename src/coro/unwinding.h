// SPDX-License-Identifier: MIT
/* unwinding.h: what the compiler's unwinder does for us, where the program has it. */
#ifndef GOALLOC_CORO_UNWINDING_H
#define GOALLOC_CORO_UNWINDING_H

#include "internal.h"

/* Runs the destructors of all frames of the calling coroutine, then end(). Returns where there is
 * no unwinder: then there is no C++ either. */
void unwind_all(struct waiter *self, void (*end)(void));

/* The return addresses of a coroutine that is off its thread, or (NULL) the caller's own. How many.
 */
size_t unwind_frames(void *sp, uintptr_t *frames, size_t count);

#endif
