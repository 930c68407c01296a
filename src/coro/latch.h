// SPDX-License-Identifier: MIT
/*
 * latch.h: the lock of a channel, of a context and of a queue of waiters: held for some tens of
 * nanoseconds, taken with one locked instruction and released with none.
 *
 *   LATCH_FREE --compare and swap--> LATCH_HELD --plain store--> LATCH_FREE
 *
 * Who finds it held spins for a little, then counts itself in `waiters` and sleeps on `word`. The
 * holder stores LATCH_FREE and then looks at `waiters`; a processor may do the two the other way
 * round. So a sleeper, once counted, has the kernel make every running thread pass a barrier
 * (os_barrier): whoever looked before it has its store done, whoever looks after it sees
 * the count. Where the kernel has no such call sleepers look again every millisecond.
 *
 * After its store a holder only reads the latch, and at worst wakes nobody: the memory may be given
 * back by who has the latch next. It must stay readable, which memory of coro_alloc does.
 *
 * A latch is never held where somebody waits, calls a program's function or allocates.
 *
 * Order, outermost first: contexts from parent to child -> channels by address -> a queue of
 * waiters (sema.h) -> the scheduler's -> the rest of the library's (src/os/lock.h).
 */
#ifndef GOALLOC_LATCH_H
#define GOALLOC_LATCH_H

#include "../goalloc.h"
#include "order.h"

enum latch_word {
    LATCH_FREE,
    LATCH_HELD,
};

struct latch {
    atomic_uint word;    /* what sleepers sleep on */
    atomic_uint waiters; /* those that sleep, or are about to */
};

void latch_wait(struct latch *latch);
void latch_wake(struct latch *latch);
/* Every running thread passes a barrier; false: the kernel has none. */
bool latch_fence(void);

GA_INLINE bool latch_try(struct latch *latch)
{
    unsigned expected = LATCH_FREE;
    /* Acquire: what the last holder wrote is seen. */
    return atomic_compare_exchange_strong_explicit(&latch->word, &expected, LATCH_HELD,
                                                   memory_order_acquire, memory_order_relaxed);
}

GA_INLINE void latch_acquire(struct latch *latch)
{
    if (GA_UNLIKELY(!latch_try(latch)))
        latch_wait(latch);
    order_after(latch);
}

/* Of a latch that may be somebody else's by now, or nobody's: ThreadSanitizer would call it a race.
 */
GA_UNSEEN bool latch_has_waiters(const struct latch *latch)
{
    return atomic_load_explicit(&latch->waiters, memory_order_relaxed) != 0;
}

GA_INLINE void latch_release(struct latch *latch)
{
    order_before(latch);
    /* Release: the next holder sees what this one wrote. */
    atomic_store_explicit(&latch->word, LATCH_FREE, memory_order_release);
    /* The compiler keeps the order; what the processor does is answered by the sleeper. */
    atomic_signal_fence(memory_order_seq_cst);
    if (GA_UNLIKELY(latch_has_waiters(latch)))
        latch_wake(latch);
}

/* For checkers: somebody holds it. */
GA_INLINE bool latch_is_held(const struct latch *latch)
{
    return atomic_load_explicit(&latch->word, memory_order_relaxed) == LATCH_HELD;
}

#endif
