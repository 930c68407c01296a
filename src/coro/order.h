// SPDX-License-Identifier: MIT
/*
 * order.h: what ThreadSanitizer is told of who comes after whom.
 *
 * The library is built without it, so in a program that was built with it the library's own atomic
 * operations are unseen, and whatever they order would look like a race. These two say it in their
 * place. Anywhere else a weak reference is found to be NULL.
 */
#ifndef GOALLOC_CORO_ORDER_H
#define GOALLOC_CORO_ORDER_H

#include "../goalloc.h"

extern void __tsan_release(void *address) __attribute__((weak));
extern void __tsan_acquire(void *address) __attribute__((weak));

/* All that the caller did so far comes before ... */
GA_INLINE void order_before(const volatile void *address)
{
    if (GA_UNLIKELY(&__tsan_release != NULL))
        __tsan_release((void *)(uintptr_t)address);
}

/* ... all that is done by whoever calls this later. */
GA_INLINE void order_after(const volatile void *address)
{
    if (GA_UNLIKELY(&__tsan_acquire != NULL))
        __tsan_acquire((void *)(uintptr_t)address);
}

#endif
