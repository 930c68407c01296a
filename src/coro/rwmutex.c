// SPDX-License-Identifier: MIT
/*
 * rwmutex.c: the read-write mutex, in one word.
 *
 *   | readers that hold it ... | WAITING | WRITER |
 *
 * With WAITING set nobody takes it by himself: whoever comes queues, and whoever leaves last hands
 * it over to those who wait. As in Go, when a writer leaves all readers that wait are next, when
 * the readers have left a writer is: neither kind starves the other.
 *
 * Place: called by programs through goalloc/sync.h. Calls sema.h.
 *
 * Invariants:
 *   - WAITING is set while the queue isn't empty; it changes under the bucket's latch only;
 *   - somebody waits only while somebody else holds it;
 *   - readers wait only while a writer holds it or waits.
 * Locking: the bucket's latch of the word's address. Fork: as mutex.c.
 */
#include "../os/report.h"
#include "goalloc/sync.h"
#include "sema.h"

enum rwmutex_bits {
    WRITER = 1,
    WAITING = 2,
    READER = 4, /* one of them; the rest of the word counts. sync.h knows it */
};

/* What one waits as: sema_wait's weight. */
enum kind {
    READS,
    WRITES,
};

static unsigned look(const ga_rwmutex_t *mutex)
{
    return __atomic_load_n(&mutex->ga_word, __ATOMIC_RELAXED);
}

/* Acquire for who comes, release for who leaves. */
GA_INLINE bool change(ga_rwmutex_t *mutex, unsigned from, unsigned to)
{
    return __atomic_compare_exchange_n(&mutex->ga_word, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* --- Coming --- */

/* The word with one more of the kind in it; the same word if that can't be. */
GA_INLINE unsigned entered(unsigned word, enum kind kind)
{
    if (kind == WRITES)
        return word == 0 ? WRITER : word;
    return word & (WRITER | WAITING) ? word : word + READER;
}

static bool try_enter(ga_rwmutex_t *mutex, enum kind kind)
{
    for (;;) {
        unsigned word = look(mutex), to = entered(word, kind);
        if (to == word)
            return false;
        if (change(mutex, word, to)) {
            order_after(mutex);
            return true;
        }
    }
}

/* Bucket held. true: somebody else holds it, and will look for who waits. */
static bool set_waiting(ga_rwmutex_t *mutex, enum kind kind)
{
    for (;;) {
        unsigned word = look(mutex);
        if (entered(word, kind) != word)
            return false;
        if (word & WAITING || change(mutex, word, word | WAITING))
            return true;
    }
}

/* Bucket held; readers hold it or nobody does. Lets in those at the front of the queue for whom a
 * writer that gave up was in the way, and sees to WAITING. */
static void settle(ga_rwmutex_t *mutex, struct sema_bucket *bucket)
{
    struct sema_wait *wait;
    while ((wait = sema_first(bucket, mutex)) && wait->weight == READS && !(look(mutex) & WRITER)) {
        __atomic_fetch_add(&mutex->ga_word, READER, __ATOMIC_ACQUIRE);
        sema_wake(bucket, wait);
    }
    if (!wait)
        __atomic_fetch_and(&mutex->ga_word, ~(unsigned)WAITING, __ATOMIC_RELAXED);
}

/* The context ended before its turn: it is in no queue any more. */
static void give_up(ga_rwmutex_t *mutex)
{
    struct sema_bucket *bucket = sema_acquire_bucket(mutex);
    if (look(mutex) & WAITING)
        settle(mutex, bucket);
    sema_release_bucket(bucket);
}

static bool wait_as(ga_rwmutex_t *mutex, struct sema_wait *wait, enum kind kind)
{
    while (!try_enter(mutex, kind)) {
        struct sema_bucket *bucket = sema_acquire_bucket(mutex);
        if (sema_is_cancelled(wait) || !set_waiting(mutex, kind)) {
            sema_release_bucket(bucket);
            if (sema_is_cancelled(wait))
                return false;
            continue;
        }
        sema_append(bucket, wait);
        sema_park(bucket, wait, kind == READS ? park_rwmutex_r : park_rwmutex_w);
        if (!wait->granted)
            give_up(mutex);
        return wait->granted;
    }
    return true;
}

GA_NOINLINE static int enter_slow(struct ga_context *context, ga_rwmutex_t *mutex, enum kind kind)
{
    struct sema_wait wait = {.address = mutex, .waiter = park_self(), .weight = kind};
    struct sema_watch watch;
    int error = sema_watch(&watch, context, &wait);
    if (error)
        return error;
    bool entered = wait_as(mutex, &wait, kind);
    sema_unwatch(&watch);
    order_after(mutex);
    return entered ? 0 : context_error(context);
}

/* --- Leaving --- */

/* Bucket held. How many wait to read, and whether somebody waits to write. */
static unsigned count_waiters(const struct sema_wait *wait, bool *writes)
{
    unsigned readers = 0;
    for (*writes = false; wait; wait = wait->next) {
        readers += wait->weight == READS;
        *writes |= wait->weight == WRITES;
    }
    return readers;
}

/* Bucket held. Wakes all readers, or one writer. What is woken is gone, what is queued stays. */
static void wake(ga_rwmutex_t *mutex, struct sema_bucket *bucket, enum kind kind)
{
    struct sema_wait *next, *wait = sema_first(bucket, mutex);
    for (; wait; wait = next) {
        next = wait->next;
        if (wait->weight != kind)
            continue;
        sema_wake(bucket, wait);
        if (kind == WRITES)
            return;
    }
}

/* Bucket held, somebody waits, nobody but the caller holds it and the word is the caller's. */
static void hand_over(ga_rwmutex_t *mutex, struct sema_bucket *bucket, enum kind leaving)
{
    bool writer;
    unsigned readers = count_waiters(sema_first(bucket, mutex), &writer);
    enum kind kind = readers && (leaving == WRITES || !writer) ? READS : WRITES;
    bool others = kind == READS ? writer : readers || sema_first(bucket, mutex)->next;
    unsigned word = kind == READS ? readers * READER : WRITER;
    /* Before anybody is woken, who might leave at once. Release: they see what the caller wrote. */
    __atomic_store_n(&mutex->ga_word, word | (others ? WAITING : 0u), __ATOMIC_RELEASE);
    wake(mutex, bucket, kind);
}

/* Bucket held. Leaves without handing over; false: it has to. */
static bool leave_to_others(ga_rwmutex_t *mutex, struct sema_bucket *bucket, enum kind kind)
{
    for (;;) {
        /* Acquire: whoever is handed it sees what all readers did. */
        unsigned word = __atomic_load_n(&mutex->ga_word, __ATOMIC_ACQUIRE);
        unsigned left = word - (kind == READS ? READER : WRITER);
        if (left == WAITING) {
            if (sema_first(bucket, mutex))
                return false;
            left = 0; /* who waited has given up */
        }
        if (change(mutex, word, left))
            return true;
    }
}

GA_NOINLINE static void leave_slow(ga_rwmutex_t *mutex, enum kind kind)
{
    struct sema_bucket *bucket = sema_acquire_bucket(mutex);
    if (!leave_to_others(mutex, bucket, kind))
        hand_over(mutex, bucket, kind);
    sema_release_bucket(bucket);
}

/* --- The interface --- */

GA_EXPORT void ga_rwmutex_rlock_slow(ga_rwmutex_t *mutex)
{
    if (!try_enter(mutex, READS))
        enter_slow(NULL, mutex, READS);
}

GA_EXPORT bool ga_rwmutex_try_rlock(ga_rwmutex_t *mutex)
{
    return try_enter(mutex, READS);
}

GA_EXPORT int ga_rwmutex_rlock_ctx(struct ga_context *context, ga_rwmutex_t *mutex)
{
    int error = context_error(context);
    return error ? error : try_enter(mutex, READS) ? 0 : enter_slow(context, mutex, READS);
}

GA_EXPORT void ga_rwmutex_runlock_slow(ga_rwmutex_t *mutex)
{
    order_before(mutex);
    for (;;) {
        unsigned word = look(mutex);
        if (word < READER)
            report_fatal("sync: RUnlock of unlocked RWMutex");
        if (word == (READER | WAITING)) {
            leave_slow(mutex, READS);
            return;
        }
        if (change(mutex, word, word - READER))
            return;
    }
}

GA_EXPORT void ga_rwmutex_lock(ga_rwmutex_t *mutex)
{
    if (!try_enter(mutex, WRITES))
        enter_slow(NULL, mutex, WRITES);
}

GA_EXPORT bool ga_rwmutex_try_lock(ga_rwmutex_t *mutex)
{
    return try_enter(mutex, WRITES);
}

GA_EXPORT int ga_rwmutex_lock_ctx(struct ga_context *context, ga_rwmutex_t *mutex)
{
    int error = context_error(context);
    return error ? error : try_enter(mutex, WRITES) ? 0 : enter_slow(context, mutex, WRITES);
}

GA_EXPORT void ga_rwmutex_unlock(ga_rwmutex_t *mutex)
{
    order_before(mutex);
    unsigned word = look(mutex);
    if (!(word & WRITER))
        report_fatal("sync: Unlock of unlocked RWMutex");
    if (word != WRITER || !change(mutex, WRITER, 0))
        leave_slow(mutex, WRITES);
}
