// SPDX-License-Identifier: MIT
/*
 * latch.c: the waiting half of latch.h.
 *
 * Place: called by latch.h when a latch is held, or somebody sleeps on it. Calls the futex and the
 * barrier of src/os.
 *
 * Invariants:
 *   - who sleeps is counted in `waiters`, and was so before a barrier that every thread has passed;
 *   - the count is taken back by who then holds the latch, so that it is never written in memory
 * that has been given back. Fork: a latch that another thread holds over a fork stays held in the
 * child, which may use what it makes itself. Signals: none; a handler must not use what its thread
 * may be using.
 */
#include "../os/os.h"
#include "latch.h"

/* What a latch guards takes tens of nanoseconds, a sleep and its barrier some 50 microseconds. Each
 * look takes the latch's line from the holder, so they get rarer: one that does a lot goes on doing
 * it meanwhile. It may well hold the latch at each of the looks, so there are some more of the last
 * kind: without them four senders and four receivers on two processors took 42 ns a message, with
 * them 28. */
#define PAUSES_FIRST 2
#define PAUSES_LAST  512
#define LOOKS        13

/* How long a sleeper sleeps where there is no barrier. */
#define BLIND_SLEEP UINT64_C(1000000)

static bool spin(struct latch *latch)
{
    for (int look = 0, pauses = PAUSES_FIRST; look < LOOKS; look++) {
        for (int i = 0; i < pauses; i++)
            GA_CPU_RELAX();
        if (!latch_is_held(latch) && latch_try(latch))
            return true;
        pauses = pauses < PAUSES_LAST ? pauses * 2 : PAUSES_LAST;
    }
    return false;
}

/* Registering again is free of effect, and a forked child may have to. */
bool latch_fence(void)
{
    return os_barrier_prepare() && os_barrier();
}

static void sleep_on(struct latch *latch, bool fenced)
{
    if (fenced)
        os_futex_wait(&latch->word, LATCH_HELD);
    else
        os_futex_wait_for(&latch->word, LATCH_HELD, BLIND_SLEEP);
}

GA_COLD void latch_wait(struct latch *latch)
{
    if (spin(latch))
        return;
    /* Sequentially consistent: the count, then the look at the word. */
    atomic_fetch_add(&latch->waiters, 1);
    bool fenced = latch_fence();
    while (!latch_try(latch))
        sleep_on(latch, fenced);
    atomic_fetch_sub_explicit(&latch->waiters, 1, memory_order_relaxed);
}

GA_COLD void latch_wake(struct latch *latch)
{
    os_futex_wake(&latch->word, 1);
}
