// SPDX-License-Identifier: MIT
/*
 * thread.c: the runtime's own threads, on stacks like coroutines'.
 *
 * Place: machine.c and monitor.c start theirs here. Calls libc's threads.
 *
 * A stack of libc's takes two mappings of those that a process may have, one of a slab none. Both
 * have a guard.
 *
 * Invariants: such a thread ends with the process only; in a forked child, which hasn't got it, its
 * stack is free again. Locking: the stacks'.
 */
#include <errno.h>
#include <pthread.h>

#include "stack.h"

#define THREAD_STACK ((size_t)256 << 10)

/* On the stack's memory, between its guard and its waiter; NULL: on one of libc's. */
static bool start_on(struct waiter *stack, void *(*run)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    uintptr_t bottom = stack ? stack->stack + os_page_size() : 0;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool started = (!stack || pthread_attr_setstack(&attributes, (void *)bottom,
                                                    (uintptr_t)stack - bottom) == 0) &&
                   pthread_create(&thread, &attributes, run, argument) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

bool thread_start(void *(*run)(void *), void *argument)
{
    int saved = errno;
    struct waiter *stack = sched.annotated ? NULL : stack_take(NULL, THREAD_STACK);
    bool started = stack && start_on(stack, run, argument);
    if (!started) {
        /* Thread-local storage may be larger than that; a sanitizer's always is. */
        if (stack)
            stack_give(NULL, stack);
        started = start_on(NULL, run, argument);
    }
    errno = saved;
    return started;
}
