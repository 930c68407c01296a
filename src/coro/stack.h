// SPDX-License-Identifier: MIT
/*
 * stack.h: a stack from a proc's own pool, and back to it; where that is empty or full, stack.c.
 */
#ifndef GOALLOC_CORO_STACK_H
#define GOALLOC_CORO_STACK_H

#include "internal.h"

struct waiter *stack_take_slowly(struct proc *proc, size_t size);
void stack_give_slowly(struct proc *proc, struct waiter *waiter);

GA_INLINE void batch_push(struct batch *batch, struct waiter *waiter)
{
    struct waiter **recent = &batch->recent[batch->count++ % STACKS_AHEAD];
    waiter->next = batch->first;
    waiter->ahead = *recent;
    batch->first = *recent = waiter;
}

GA_INLINE struct waiter *batch_pop(struct batch *batch)
{
    struct waiter *waiter = batch->first;
    if (waiter) {
        waiter_fetch(waiter->ahead);
        batch->first = waiter->next;
        batch->count--;
    }
    return waiter;
}

/* A coroutine without a function; NULL: out of memory, errno is set. proc may be NULL. */
GA_INLINE struct waiter *stack_take(struct proc *proc, size_t size)
{
    struct waiter *waiter = GA_LIKELY(proc && size == 0) ? batch_pop(&proc->stacks[0]) : NULL;
    return GA_LIKELY(waiter != NULL) ? waiter : stack_take_slowly(proc, size);
}

GA_INLINE void stack_give(struct proc *proc, struct waiter *waiter)
{
    if (GA_LIKELY(proc && waiter->pool == proc->pool && proc->stacks[0].count < BATCH_STACKS))
        batch_push(&proc->stacks[0], waiter);
    else
        stack_give_slowly(proc, waiter);
}

#endif
