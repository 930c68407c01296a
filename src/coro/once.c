// SPDX-License-Identifier: MIT
/*
 * once.c: a function called once.
 *
 * Place: called by programs through goalloc/sync.h. Calls mutex.c.
 *
 * Invariants: ga_done is set after the function has returned, under the mutex, and never cleared;
 * so whoever sees it sees what the function did. Locking: the once's own mutex while the function
 * runs.
 */
#include "../goalloc.h"
#include "goalloc/sync.h"
#include "order.h"

GA_EXPORT void ga_once_do_slow(ga_once_t *once, void (*function)(void *), void *argument)
{
    ga_mutex_lock(&once->ga_mutex);
    order_after(once);
    /* Relaxed: the mutex orders it. */
    if (!__atomic_load_n(&once->ga_done, __ATOMIC_RELAXED)) {
        function(argument);
        order_before(once);
        /* Release: for those who see it without the mutex. */
        __atomic_store_n(&once->ga_done, 1, __ATOMIC_RELEASE);
    }
    ga_mutex_unlock(&once->ga_mutex);
}
