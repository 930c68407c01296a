// SPDX-License-Identifier: MIT
/*
 * mutex.c: Go's mutex in one word, with an unlock that needs no locked instruction.
 *
 *   LOCKED    somebody has it
 *   WOKEN     somebody who waited is on the way: an unlock need not wake another
 *   STARVING  somebody has waited for more than a millisecond: an unlock hands over to the first in
 *             the queue, and nobody else may take it. Only with LOCKED
 *
 * In the normal case a waiter that is woken competes with whoever comes by, who as a rule wins,
 * being at work already: fast, and unfair. One that lost goes to the front of the queue. After a
 * millisecond it asks for the hand-over, which lasts until a waiter had to wait for less, or was
 * the last.
 *
 * Who unlocks a word that is LOCKED alone stores 0, then looks whether its line of a table
 * (struct ga_mutex_line) says that somebody waits. The processor may do these two in the other
 * order, and the store may undo a WOKEN or STARVING that came in between. So who wants to wait is
 * counted in the line first, and where it is the first has the kernel make every running thread
 * pass a barrier: whoever looked before that has its store done, whoever looks later sees the
 * count. Then it waits, if the mutex is locked still. A WOKEN that is undone has one too many
 * woken, a STARVING that is undone is asked for again.
 *
 * The table is the library's, as the mutex may be anybody's, or nobody's, after the store. When the
 * last waiter leaves a line one lingers in the count, until so many unlocks have looked in vain:
 * the barrier is for the first of a contended time only.
 *
 * Place: called by programs through goalloc/sync.h, by once.c and cond.c. Calls sema.h.
 *
 * Invariants:
 *   - a queued waiter is counted in its line, and was before a barrier that every thread has
 * passed;
 *   - the change that gives up LOCKED is the unlocker's last access to the word, unless it finds
 *     somebody queued for it under the bucket's latch: then the mutex is there.
 * Locking: the bucket's latch of the word's address; it guards the line of the same number.
 * Fork: a mutex locked by another thread stays locked in the child.
 */
#include "../os/os.h"
#include "../os/report.h"
#include "goalloc/sync.h"
#include "sema.h"

enum mutex_bits {
    LOCKED = 1, /* sync.h knows it */
    WOKEN = 2,
    STARVING = 4,
};

#define STARVING_AFTER INT64_C(1000000)
#define SPIN_PAUSES    30

static int64_t now(void)
{
    return (int64_t)os_nanotime();
}

static unsigned look(const ga_mutex_t *mutex)
{
    return __atomic_load_n(&mutex->ga_word, __ATOMIC_RELAXED);
}

/* Acquire for the one that sets LOCKED, release for the one that clears it. */
GA_INLINE bool change(ga_mutex_t *mutex, unsigned from, unsigned to)
{
    return __atomic_compare_exchange_n(&mutex->ga_word, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

GA_INLINE bool lock_free_one(ga_mutex_t *mutex)
{
    unsigned expected = 0;
    return __atomic_compare_exchange_n(&mutex->ga_word, &expected, LOCKED, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/* --- Lines; the bucket's latch of the same number held --- */

#define LINGER     1000u /* unlocks that look in vain, after a wait */
#define BLIND_WAIT UINT64_C(10000000)

static struct ga_mutex_line lines[GA_MUTEX_LINES] __attribute__((aligned(GA_CACHE_LINE)));
_Static_assert(sizeof(*lines) == GA_CACHE_LINE, "a line each");
GA_EXPORT struct ga_mutex_line *const ga_mutex_lines = lines;

static struct ga_mutex_line *line_of(const ga_mutex_t *mutex)
{
    return &lines[ga_mutex_line_of(mutex)];
}

static unsigned counted(const struct ga_mutex_line *line)
{
    return __atomic_load_n(&line->ga_waiting, __ATOMIC_RELAXED);
}

static void count(struct ga_mutex_line *line, unsigned change)
{
    __atomic_fetch_add(&line->ga_waiting, change, __ATOMIC_SEQ_CST);
}

/*
 * Where the kernel has no such barrier all lines are counted up for good, and all unlocks look from
 * then on. Those under way may have looked before: they get the time to finish.
 */
static atomic_uint counted_everywhere;

static void count_everywhere(void)
{
    if (atomic_exchange(&counted_everywhere, 1) == 0)
        for (unsigned i = 0; i < GA_MUTEX_LINES; i++)
            count(&lines[i], 1);
    os_futex_wait_for(&counted_everywhere, 1, BLIND_WAIT);
}

static void join_line(struct ga_mutex_line *line)
{
    bool first = counted(line) == 0;
    count(line, 1);
    if (first && !latch_fence())
        count_everywhere();
}

/* One that waited, or wanted to. */
static void leave_line(struct ga_mutex_line *line)
{
    line->ga_vain = 0;
    if (line->ga_lingers)
        count(line, -1u);
    line->ga_lingers = true;
}

static void looked_in_vain(struct ga_mutex_line *line)
{
    if (!line->ga_lingers || ++line->ga_vain < LINGER)
        return;
    line->ga_lingers = false;
    count(line, -1u);
}

/* --- Locking --- */

struct locker {
    struct sema_wait wait;
    unsigned spins;
    bool starving; /* has waited for too long */
    bool awake;    /* WOKEN is on its behalf */
};

static void spin(ga_mutex_t *mutex, struct locker *locker, unsigned word)
{
    /* So that an unlock doesn't wake another while this one is about to take it. */
    if (!locker->awake && !(word & WOKEN) && counted(line_of(mutex)))
        locker->awake = change(mutex, word, word | WOKEN);
    for (int i = 0; i < SPIN_PAUSES; i++)
        GA_CPU_RELAX();
    locker->spins++;
}

/* Bucket held, and counted. false: it has become pointless to wait. */
static bool mark_waiting(ga_mutex_t *mutex, struct locker *locker)
{
    for (;;) {
        unsigned word = look(mutex), marked = word | (locker->starving ? STARVING : 0u);
        if (locker->awake)
            marked &= ~(unsigned)WOKEN;
        if (!(word & LOCKED) || sema_is_cancelled(&locker->wait))
            return false;
        if (marked == word || change(mutex, word, marked))
            break;
    }
    locker->awake = false;
    return true;
}

/* Queues and sleeps, unless it has become pointless to. Whether it was given the mutex. */
static bool wait_for_turn(ga_mutex_t *mutex, struct locker *locker)
{
    struct sema_wait *wait = &locker->wait;
    struct sema_bucket *bucket = sema_acquire_bucket(mutex);
    join_line(line_of(mutex));
    if (!mark_waiting(mutex, locker)) {
        leave_line(line_of(mutex));
        sema_release_bucket(bucket);
        return false;
    }
    if (wait->since == 0) {
        wait->since = now();
        sema_append(bucket, wait);
    } else {
        sema_prepend(bucket, wait);
    }
    sema_park(bucket, wait, park_mutex);
    locker->spins = 0;
    if (wait->granted)
        return true;
    if (wait->removed) { /* by its context, which knows of no line */
        sema_acquire_bucket(mutex);
        leave_line(line_of(mutex));
        sema_release_bucket(bucket);
        return false;
    }
    /* An unlock woke it and counts on it, even if the context has ended meanwhile. */
    locker->awake = true;
    locker->starving = now() - wait->since > STARVING_AFTER;
    return false;
}

/* It is locked: waits, by spinning or in the queue. Whether it was given the mutex. */
static bool wait_locked(ga_mutex_t *mutex, struct locker *locker, unsigned word)
{
    if (!(word & STARVING) && park_can_spin(locker->spins)) {
        spin(mutex, locker, word);
        return false;
    }
    return wait_for_turn(mutex, locker);
}

/* It gives up: nobody is on the way any more, so the next unlock has to wake another. */
static bool give_up(ga_mutex_t *mutex, const struct locker *locker, unsigned word)
{
    return !locker->awake || change(mutex, word, word & ~(unsigned)WOKEN);
}

/* false: its context ended. */
static bool lock_as(ga_mutex_t *mutex, struct locker *locker)
{
    for (;;) {
        unsigned word = look(mutex);
        if (!(word & LOCKED)) {
            unsigned locked = word | LOCKED;
            if (change(mutex, word, locker->awake ? locked & ~(unsigned)WOKEN : locked))
                return true;
        } else if (sema_is_cancelled(&locker->wait)) {
            if (give_up(mutex, locker, word))
                return false;
        } else if (wait_locked(mutex, locker, word)) {
            return true;
        }
    }
}

GA_NOINLINE static int lock_slow(ga_mutex_t *mutex, struct ga_context *context)
{
    struct locker locker = {.wait = {.address = mutex, .waiter = park_self()}};
    struct sema_watch watch;
    int error = sema_watch(&watch, context, &locker.wait);
    if (error)
        return error;
    bool locked = lock_as(mutex, &locker);
    sema_unwatch(&watch);
    order_after(mutex);
    return locked ? 0 : context_error(context);
}

GA_EXPORT void ga_mutex_lock_slow(ga_mutex_t *mutex)
{
    lock_slow(mutex, NULL);
}

GA_EXPORT int ga_mutex_lock_ctx(struct ga_context *context, ga_mutex_t *mutex)
{
    int error = context_error(context);
    if (error || !lock_free_one(mutex))
        return error ? error : lock_slow(mutex, context);
    order_after(mutex);
    return 0;
}

GA_EXPORT bool ga_mutex_try_lock(ga_mutex_t *mutex)
{
    unsigned word = look(mutex);
    bool locked = !(word & LOCKED) && change(mutex, word, word | LOCKED);
    order_after(mutex);
    return locked;
}

/* --- Unlocking --- */

/* Bucket held. The first of the queue leaves it. */
static struct waiter *take_first(struct sema_bucket *bucket, struct sema_wait *wait,
                                 const ga_mutex_t *mutex)
{
    sema_remove(bucket, wait);
    leave_line(line_of(mutex));
    return wait->waiter;
}

/* Bucket held. What the word becomes when this waiter, or none, gets the mutex. */
static unsigned handed_over(const struct sema_wait *wait)
{
    if (!wait)
        return 0;
    return wait->next && now() - wait->since > STARVING_AFTER ? LOCKED | STARVING : LOCKED;
}

/* A word with LOCKED and STARVING is changed under the latch, but for WOKEN's being taken off. */
static void hand_over(ga_mutex_t *mutex)
{
    struct sema_bucket *bucket = sema_acquire_bucket(mutex);
    struct sema_wait *wait = sema_first(bucket, mutex);
    struct waiter *waiter = NULL;
    unsigned word = handed_over(wait);
    if (wait) {
        waiter = take_first(bucket, wait, mutex);
        wait->granted = true;
    }
    __atomic_store_n(&mutex->ga_word, word, __ATOMIC_RELEASE);
    sema_release_bucket(bucket);
    if (waiter)
        park_ready(waiter);
}

/* Bucket held. Whether the waiter is to be woken: whoever has the mutex by now looks when
 * unlocking, and so does who is on the way. */
static bool claim_wake(ga_mutex_t *mutex)
{
    for (;;) {
        unsigned word = look(mutex);
        if (word & (LOCKED | WOKEN))
            return false;
        if (change(mutex, word, WOKEN))
            return true;
    }
}

/* After the store that unlocked it. Where nobody is queued, it may be gone. */
GA_EXPORT void ga_mutex_wake(ga_mutex_t *mutex)
{
    struct sema_bucket *bucket = sema_acquire_bucket(mutex);
    struct sema_wait *wait = sema_first(bucket, mutex);
    struct waiter *waiter = NULL;
    if (!wait)
        looked_in_vain(line_of(mutex));
    else if (claim_wake(mutex))
        waiter = take_first(bucket, wait, mutex);
    sema_release_bucket(bucket);
    if (waiter)
        park_ready(waiter);
}

GA_EXPORT void ga_mutex_unlock_slow(ga_mutex_t *mutex)
{
    order_before(mutex);
    for (;;) {
        unsigned word = look(mutex);
        if (!(word & LOCKED))
            report_fatal("sync: unlock of unlocked mutex");
        if (word & STARVING) {
            hand_over(mutex);
            return;
        }
        if (word == LOCKED) {
            ga_mutex_unlock(mutex);
            return;
        }
        if (GA_UNLIKELY(park_forked)) { /* who is on the way may be the parent's */
            if (!change(mutex, word, 0))
                continue;
            ga_mutex_wake(mutex);
            return;
        }
        if (change(mutex, word, word & ~(unsigned)LOCKED))
            return; /* somebody is on the way */
    }
}

/* --- Fork --- */

void mutex_reset(void)
{
    for (unsigned i = 0; i < GA_MUTEX_LINES; i++)
        if (lines[i].ga_waiting)
            lines[i] = (struct ga_mutex_line){.ga_waiting = 0};
    atomic_store(&counted_everywhere, 0);
}
