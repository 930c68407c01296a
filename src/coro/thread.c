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
#define THREAD_MOST  ((size_t)64 << 20)

/* On the stack's memory, between its guard and its waiter; NULL: on one of libc's. An errno. */
static int start_on(struct waiter *stack, size_t size, void *(*run)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    uintptr_t bottom = stack ? stack->stack + os_page_size() : 0;
    int failed = pthread_attr_init(&attributes);
    if (failed)
        return failed;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack)
        failed = pthread_attr_setstack(&attributes, (void *)bottom, (uintptr_t)stack - bottom);
    else
        failed = pthread_attr_setstacksize(&attributes, size);
    if (!failed)
        failed = pthread_create(&thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return failed;
}

bool thread_start(struct waiter **stack, void *(*run)(void *), void *argument)
{
    int saved = errno, failed = ENOMEM;
    *stack = sched.annotated ? NULL : stack_take(NULL, THREAD_STACK);
    if (*stack && (failed = start_on(*stack, 0, run, argument)) != 0)
        thread_forget_stack(stack);
    if (failed) {
        /* EINVAL: thread-local storage takes more than that; a sanitizer has some of its own. */
        size_t size = THREAD_STACK;
        while ((failed = start_on(NULL, size, run, argument)) == EINVAL && size < THREAD_MOST)
            size *= 2;
    }
    errno = saved;
    return !failed;
}

void thread_forget_stack(struct waiter **stack)
{
    struct waiter *mine = *stack;
    *stack = NULL; /* before it is another's: somebody may fork in between */
    if (mine)
        stack_give(NULL, mine);
}
