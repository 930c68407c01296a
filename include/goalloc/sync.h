// SPDX-License-Identifier: MIT
/*
 * goalloc/sync.h: mutex, read-write mutex, wait group, once, condition and semaphore, with the
 * meaning they have in Go's sync.
 *
 * For coroutines, which wait without holding a thread, and for threads that are none. All are ready
 * for use when zeroed, or initialised by GA_..._INIT, and need no destruction. They must not be
 * copied once used. None may be used by a signal handler.
 *
 * An unlock doesn't touch the memory once the next may have the lock, nor does the last done of a
 * wait group once the wait is over: so they may be freed by who comes last.
 *
 * Functions named ..._ctx give up when the context ends, and return ECANCELED or ETIMEDOUT then;
 * otherwise 0. What Go calls fatal ends the process, with Go's words.
 *
 * docs/channels.md has the table of what happens before what.
 */
#ifndef GOALLOC_SYNC_H
#define GOALLOC_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ga_context;

/* --- Mutex. It belongs to no thread: anybody may unlock it. --- */

typedef struct ga_mutex {
    unsigned ga_word;
} ga_mutex_t;
/* clang-format off */
#define GA_MUTEX_INIT {0}
/* clang-format on */

/* Whoever has waited for more than a millisecond is next: nobody starves. */
static inline void ga_mutex_lock(ga_mutex_t *mutex);
bool ga_mutex_try_lock(ga_mutex_t *mutex);
int ga_mutex_lock_ctx(struct ga_context *context, ga_mutex_t *mutex);
static inline void ga_mutex_unlock(ga_mutex_t *mutex);

/* The same where it isn't free, or somebody may wait for it. */
void ga_mutex_lock_slow(ga_mutex_t *mutex);
void ga_mutex_unlock_slow(ga_mutex_t *mutex);
void ga_mutex_wake(ga_mutex_t *mutex); /* it is unlocked by now, and may be gone */

/* By the mutex's address: whether anybody may wait. The library's. */
struct ga_mutex_line {
    unsigned ga_waiting;
    unsigned ga_vain;
    bool ga_lingers;
    char ga_apart[55];
};
#define GA_MUTEX_LINES 256
extern struct ga_mutex_line *const ga_mutex_lines;

static inline unsigned ga_mutex_line_of(const void *address)
{
    return (unsigned)((uint64_t)(uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

static inline void ga_mutex_lock(ga_mutex_t *mutex)
{
    unsigned word = 0;
    if (!__atomic_compare_exchange_n(&mutex->ga_word, &word, 1, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        ga_mutex_lock_slow(mutex);
}

static inline void ga_mutex_unlock(ga_mutex_t *mutex)
{
    const struct ga_mutex_line *line = &ga_mutex_lines[ga_mutex_line_of(mutex)];
    if (__atomic_load_n(&mutex->ga_word, __ATOMIC_RELAXED) != 1) {
        ga_mutex_unlock_slow(mutex);
        return;
    }
    __atomic_store_n(&mutex->ga_word, 0, __ATOMIC_RELEASE);
    /* The compiler keeps the order; what the processor does is answered by who waits. */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&line->ga_waiting, __ATOMIC_RELAXED))
        ga_mutex_wake(mutex);
}

/* --- Read-write mutex: any number of readers, or one writer. A writer that waits keeps new readers
 * out, so a reader must not lock it a second time. --- */

typedef struct ga_rwmutex {
    unsigned ga_word;
} ga_rwmutex_t;
/* clang-format off */
#define GA_RWMUTEX_INIT {0}
/* clang-format on */

static inline void ga_rwmutex_rlock(ga_rwmutex_t *mutex);
bool ga_rwmutex_try_rlock(ga_rwmutex_t *mutex);
int ga_rwmutex_rlock_ctx(struct ga_context *context, ga_rwmutex_t *mutex);
static inline void ga_rwmutex_runlock(ga_rwmutex_t *mutex);
void ga_rwmutex_lock(ga_rwmutex_t *mutex);
bool ga_rwmutex_try_lock(ga_rwmutex_t *mutex);
int ga_rwmutex_lock_ctx(struct ga_context *context, ga_rwmutex_t *mutex);
void ga_rwmutex_unlock(ga_rwmutex_t *mutex);

/* The same where somebody else holds it or waits for it. */
void ga_rwmutex_rlock_slow(ga_rwmutex_t *mutex);
void ga_rwmutex_runlock_slow(ga_rwmutex_t *mutex);

static inline void ga_rwmutex_rlock(ga_rwmutex_t *mutex)
{
    unsigned word = 0;
    if (!__atomic_compare_exchange_n(&mutex->ga_word, &word, 4, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        ga_rwmutex_rlock_slow(mutex);
}

static inline void ga_rwmutex_runlock(ga_rwmutex_t *mutex)
{
    unsigned word = 4;
    if (!__atomic_compare_exchange_n(&mutex->ga_word, &word, 0, false, __ATOMIC_RELEASE,
                                     __ATOMIC_RELAXED))
        ga_rwmutex_runlock_slow(mutex);
}

/* --- Wait group: waits until a counter comes to zero. --- */

typedef struct ga_waitgroup {
    uint64_t ga_state; /* the counter in the high half, whether somebody waits in the low half */
} ga_waitgroup_t;
/* clang-format off */
#define GA_WAITGROUP_INIT {0}
/* clang-format on */

/* Before those that it counts are started: an add from zero must come before the wait. */
void ga_waitgroup_add(ga_waitgroup_t *group, int delta);
void ga_waitgroup_done(ga_waitgroup_t *group);
void ga_waitgroup_wait(ga_waitgroup_t *group);
int ga_waitgroup_wait_ctx(struct ga_context *context, ga_waitgroup_t *group);

/* --- Once --- */

typedef struct ga_once {
    unsigned ga_done;
    ga_mutex_t ga_mutex;
} ga_once_t;
/* clang-format off */
#define GA_ONCE_INIT {0, GA_MUTEX_INIT}
/* clang-format on */

/* Calls the function if this is the first call for `once`. Returns when it has been called; so it
 * must not call for the same `once` itself. */
static inline void ga_once_do(ga_once_t *once, void (*function)(void *), void *argument);

/* The same where it may not have been called. */
void ga_once_do_slow(ga_once_t *once, void (*function)(void *), void *argument);

static inline void ga_once_do(ga_once_t *once, void (*function)(void *), void *argument)
{
    if (!__atomic_load_n(&once->ga_done, __ATOMIC_ACQUIRE))
        ga_once_do_slow(once, function, argument);
}

/* --- Condition. Waiters are woken in the order they came, and never without a signal. --- */

typedef struct ga_cond {
    unsigned ga_waiters;
    const void *ga_self; /* its own address since its first use, by which a copy is known */
} ga_cond_t;
/* clang-format off */
#define GA_COND_INIT {0, 0}
/* clang-format on */

/* Unlocks the mutex, waits for a signal, locks it again. */
void ga_cond_wait(ga_cond_t *cond, ga_mutex_t *mutex);
/* Has the mutex again also when the context ended. */
int ga_cond_wait_ctx(struct ga_context *context, ga_cond_t *cond, ga_mutex_t *mutex);
void ga_cond_signal(ga_cond_t *cond);
void ga_cond_broadcast(ga_cond_t *cond);

/* --- Weighted semaphore. Waiters are served in the order they came, large ones too. --- */

typedef struct ga_sem {
    uint64_t ga_state; /* who waits in the high half, what is available in the low half */
    unsigned ga_size;
} ga_sem_t;
/* clang-format off */
#define GA_SEM_INIT(size) {(size), (size)}
/* clang-format on */

void ga_sem_init(ga_sem_t *semaphore, unsigned size);
/* More than its size waits for ever. */
void ga_sem_acquire(ga_sem_t *semaphore, unsigned count);
bool ga_sem_try_acquire(ga_sem_t *semaphore, unsigned count);
int ga_sem_acquire_ctx(struct ga_context *context, ga_sem_t *semaphore, unsigned count);
void ga_sem_release(ga_sem_t *semaphore, unsigned count);

#ifdef __cplusplus
}
#endif

#endif
