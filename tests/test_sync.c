// SPDX-License-Identifier: MIT
/* Mutexes, wait groups and their kin, by threads and by coroutines. Many are named after the test
 * of Go's whose facts they assert. */
#include "support/actors.h"
#include "support/test.h"

#include "coro/sema.h"
#include "goalloc/sync.h"

/* How many wait for an address. */
static unsigned waiting(const void *address)
{
    struct sema_bucket *bucket = sema_acquire_bucket(address);
    unsigned count = 0;
    for (struct sema_wait *wait = sema_first(bucket, address); wait; wait = wait->next)
        count++;
    sema_release_bucket(bucket);
    return count;
}

static void wait_for_waiters(const void *address, unsigned count)
{
    while (waiting(address) != count)
        actors_pause();
}

/* --- Mutex --- */

struct hammer {
    ga_mutex_t mutex;
    ga_rwmutex_t rwmutex;
    long counter; /* guarded by the one or the other */
    unsigned rounds;
    atomic_uint ended, readers, failures;
};

static void hammer_mutex(void *argument)
{
    struct hammer *this = argument;
    for (unsigned i = 0; i < this->rounds; i++) {
        if (i % 3 == 0 && ga_mutex_try_lock(&this->mutex)) {
            this->counter++;
            ga_mutex_unlock(&this->mutex);
            continue;
        }
        ga_mutex_lock(&this->mutex);
        this->counter++;
        ga_mutex_unlock(&this->mutex);
    }
    atomic_fetch_add(&this->ended, 1);
}

/* TestMutex: the hammer. */
static void a_mutex_keeps_others_out(void **state)
{
    struct hammer this = {.rounds = 100000};
    for (int i = 0; i < 8; i++)
        actor_start(hammer_mutex, &this);
    actors_wait(&this.ended, 8);
    assert_int_equal(this.counter, 8 * 100000);
    assert_int_equal(this.mutex.ga_word, 0);
}

static void hammer_slowly(void *argument)
{
    struct hammer *this = argument;
    for (unsigned i = 0; i < this->rounds; i++) {
        ga_mutex_lock(&this->mutex);
        long counter = this->counter;
        actors_yield();
        this->counter = counter + 1;
        ga_mutex_unlock(&this->mutex);
    }
    atomic_fetch_add(&this->ended, 1);
}

static void a_mutex_may_be_held_over_a_wait(void **state)
{
    struct hammer this = {.rounds = 300};
    for (int i = 0; i < 8; i++)
        actor_start(hammer_slowly, &this);
    actors_wait(&this.ended, 8);
    assert_int_equal(this.counter, 8 * 300);
    assert_int_equal(this.mutex.ga_word, 0);
}

static void lock_mutex(void *mutex)
{
    ga_mutex_lock(mutex);
}

static void try_lock(void **state)
{
    ga_mutex_t mutex = GA_MUTEX_INIT;
    assert_true(ga_mutex_try_lock(&mutex));
    assert_false(ga_mutex_try_lock(&mutex));
    ga_mutex_unlock(&mutex);
    assert_true(ga_mutex_try_lock(&mutex));
    ga_mutex_t *waited_for = calloc(1, sizeof(*waited_for)); /* stays locked by who waits */
    ga_mutex_lock(waited_for);
    assert_true(actor_waits(lock_mutex, waited_for));
    ga_mutex_unlock(waited_for);
    while (!(__atomic_load_n(&waited_for->ga_word, __ATOMIC_RELAXED) & 1))
        actors_pause();
    assert_false(ga_mutex_try_lock(waited_for));
}

static void unlock_unlocked(void *unused)
{
    ga_mutex_t mutex = GA_MUTEX_INIT;
    ga_mutex_lock(&mutex);
    ga_mutex_unlock(&mutex);
    ga_mutex_unlock(&mutex);
}

static void runlock_unlocked(void *unused)
{
    ga_rwmutex_t mutex = GA_RWMUTEX_INIT;
    ga_rwmutex_rlock(&mutex);
    ga_rwmutex_runlock(&mutex);
    ga_rwmutex_runlock(&mutex);
}

static void runlock_written(void *unused)
{
    ga_rwmutex_t mutex = GA_RWMUTEX_INIT;
    ga_rwmutex_lock(&mutex);
    ga_rwmutex_runlock(&mutex);
}

static void unlock_read(void *unused)
{
    ga_rwmutex_t mutex = GA_RWMUTEX_INIT;
    ga_rwmutex_rlock(&mutex);
    ga_rwmutex_unlock(&mutex);
}

static void negative_counter(void *unused)
{
    ga_waitgroup_t group = GA_WAITGROUP_INIT;
    ga_waitgroup_add(&group, 1);
    ga_waitgroup_done(&group);
    ga_waitgroup_done(&group);
}

static void copied_cond(void *unused)
{
    ga_cond_t cond = GA_COND_INIT;
    ga_cond_signal(&cond);
    ga_cond_t copy = cond;
    ga_cond_signal(&copy);
}

static void release_unheld(void *unused)
{
    ga_sem_t semaphore = GA_SEM_INIT(2);
    ga_sem_acquire(&semaphore, 1);
    ga_sem_release(&semaphore, 2);
}

/* TestMutexMisuse, TestWaitGroupMisuse, TestCondCopy. */
static void misuse_is_fatal(void **state)
{
    assert_child_aborts(unlock_unlocked, NULL, "sync: unlock of unlocked mutex");
    assert_child_aborts(runlock_unlocked, NULL, "sync: RUnlock of unlocked RWMutex");
    assert_child_aborts(runlock_written, NULL, "sync: RUnlock of unlocked RWMutex");
    assert_child_aborts(unlock_read, NULL, "sync: Unlock of unlocked RWMutex");
    assert_child_aborts(negative_counter, NULL, "sync: negative WaitGroup counter");
    assert_child_aborts(copied_cond, NULL, "sync.Cond is copied");
    assert_child_aborts(release_unheld, NULL, "semaphore: released more than held");
}

struct fairness {
    ga_mutex_t mutex;
    atomic_uint stop, ended;
};

static void hog(void *argument)
{
    struct fairness *this = argument;
    while (!atomic_load(&this->stop)) {
        ga_mutex_lock(&this->mutex);
        actors_spin(100000);
        ga_mutex_unlock(&this->mutex);
    }
    atomic_fetch_add(&this->ended, 1);
}

/* TestMutexFairness: one that locks and unlocks without a break doesn't starve another. */
static void a_hog_does_not_starve_others(void **state)
{
    struct fairness this = {.stop = 0};
    actor_start(hog, &this);
    for (int i = 0; i < 10; i++) {
        actors_spin(100000);
        ga_mutex_lock(&this.mutex);
        ga_mutex_unlock(&this.mutex);
    }
    atomic_store(&this.stop, 1);
    actors_wait(&this.ended, 1);
}

struct freed {
    ga_mutex_t mutex;
    int references; /* guarded by mutex */
};

struct freeing {
    struct freed *freed;
    atomic_uint *ended;
};

static void drop_reference(void *argument)
{
    struct freeing *this = argument;
    struct freed *freed = this->freed;
    ga_mutex_lock(&freed->mutex);
    bool last = --freed->references == 0;
    ga_mutex_unlock(&freed->mutex);
    if (last) {
        memset(freed, 0xff, sizeof(*freed)); /* an unlock that still looked would go astray */
        free(freed);
    }
    atomic_fetch_add(this->ended, 1);
}

static void the_last_to_unlock_may_free(void **state)
{
    for (int i = 0; i < 500; i++) {
        atomic_uint ended = 0;
        struct freeing freeing = {calloc(1, sizeof(struct freed)), &ended};
        freeing.freed->references = 3;
        for (int j = 0; j < 3; j++)
            actor_start(drop_reference, &freeing);
        actors_wait(&ended, 3);
    }
}

/* --- Read-write mutex --- */

static void read_and_check(struct hammer *this)
{
    ga_rwmutex_rlock(&this->rwmutex);
    long counter = this->counter;
    atomic_fetch_add(&this->readers, 1);
    for (int i = 0; i < 100; i++)
        GA_CPU_RELAX();
    if (this->counter != counter)
        atomic_fetch_add(&this->failures, 1);
    atomic_fetch_sub(&this->readers, 1);
    ga_rwmutex_runlock(&this->rwmutex);
}

static void write_and_check(struct hammer *this)
{
    ga_rwmutex_lock(&this->rwmutex);
    this->counter++;
    if (atomic_load(&this->readers) != 0)
        atomic_fetch_add(&this->failures, 1);
    ga_rwmutex_unlock(&this->rwmutex);
}

static void hammer_reader(void *argument)
{
    struct hammer *this = argument;
    for (unsigned i = 0; i < this->rounds; i++)
        read_and_check(this);
    atomic_fetch_add(&this->ended, 1);
}

static void hammer_writer(void *argument)
{
    struct hammer *this = argument;
    for (unsigned i = 0; i < this->rounds; i++)
        write_and_check(this);
    atomic_fetch_add(&this->ended, 1);
}

/* HammerRWMutex. */
static void a_writer_is_alone(void **state)
{
    static const unsigned readers[] = {1, 3, 10};
    for (size_t i = 0; i < COUNT(readers); i++) {
        struct hammer this = {.rounds = 2000};
        for (unsigned j = 0; j < readers[i]; j++)
            actor_start(hammer_reader, &this);
        for (int j = 0; j < 2; j++)
            actor_start(hammer_writer, &this);
        actors_wait(&this.ended, readers[i] + 2);
        assert_int_equal(this.failures, 0);
        assert_int_equal(this.counter, 4000);
        assert_int_equal(this.rwmutex.ga_word, 0);
    }
}

struct parallel {
    ga_rwmutex_t mutex;
    atomic_uint inside, leave, ended;
};

static void read_until_told(void *argument)
{
    struct parallel *this = argument;
    ga_rwmutex_rlock(&this->mutex);
    atomic_fetch_add(&this->inside, 1);
    while (!atomic_load(&this->leave))
        actors_yield();
    ga_rwmutex_runlock(&this->mutex);
    atomic_fetch_add(&this->ended, 1);
}

/* TestParallelReaders: all are inside at once. */
static void readers_are_inside_together(void **state)
{
    struct parallel this = {.inside = 0};
    for (int i = 0; i < 5; i++)
        actor_start(read_until_told, &this);
    actors_wait(&this.inside, 5);
    assert_true(ga_rwmutex_try_rlock(&this.mutex));
    assert_false(ga_rwmutex_try_lock(&this.mutex));
    ga_rwmutex_runlock(&this.mutex);
    atomic_store(&this.leave, 1);
    actors_wait(&this.ended, 5);
    assert_true(ga_rwmutex_try_lock(&this.mutex));
    assert_false(ga_rwmutex_try_rlock(&this.mutex));
    ga_rwmutex_unlock(&this.mutex);
}

struct turns {
    ga_rwmutex_t mutex;
    atomic_uint count;
    unsigned order[8];
    atomic_uint ended;
};

struct turn {
    struct turns *all;
    unsigned number;
    bool writes;
};

static void take_turn(void *argument)
{
    struct turn *this = argument;
    struct turns *all = this->all;
    if (this->writes)
        ga_rwmutex_lock(&all->mutex);
    else
        ga_rwmutex_rlock(&all->mutex);
    all->order[atomic_fetch_add(&all->count, 1)] = this->number;
    if (this->writes)
        ga_rwmutex_unlock(&all->mutex);
    else
        ga_rwmutex_runlock(&all->mutex);
    atomic_fetch_add(&all->ended, 1);
}

/* A reader that comes after a writer that waits is behind it; readers follow a writer. */
static void neither_readers_nor_writers_starve(void **state)
{
    struct turns all = {.count = 0};
    struct turn turns[4] = {{&all, 0, true}, {&all, 1, true}, {&all, 2, false}, {&all, 3, false}};
    ga_rwmutex_rlock(&all.mutex);
    for (unsigned i = 0; i < 4; i++) {
        actor_start(take_turn, &turns[i]);
        wait_for_waiters(&all.mutex, i + 1);
    }
    assert_false(ga_rwmutex_try_rlock(&all.mutex));
    ga_rwmutex_runlock(&all.mutex);
    actors_wait(&all.ended, 4);
    assert_int_equal(all.order[0], 0);
    assert_int_equal(all.order[1] + all.order[2], 5);
    assert_int_equal(all.order[3], 1);
    assert_int_equal(all.mutex.ga_word, 0);
}

/* --- Wait group --- */

struct grouped {
    ga_waitgroup_t first, second;
    atomic_uint ended;
};

static void done_with_first(void *argument)
{
    struct grouped *this = argument;
    ga_waitgroup_done(&this->first);
    ga_waitgroup_wait(&this->second);
    atomic_fetch_add(&this->ended, 1);
}

/* TestWaitGroup, and again with the same group. */
static void a_wait_group_waits_for_all_and_can_be_used_again(void **state)
{
    struct grouped this = {.first = GA_WAITGROUP_INIT};
    for (int round = 0; round < 8; round++) {
        ga_waitgroup_add(&this.first, 16);
        ga_waitgroup_add(&this.second, 16);
        atomic_store(&this.ended, 0);
        for (int i = 0; i < 16; i++)
            actor_start(done_with_first, &this);
        ga_waitgroup_wait(&this.first);
        for (int i = 0; i < 16; i++) {
            assert_int_equal(this.ended, 0);
            ga_waitgroup_done(&this.second);
        }
        actors_wait(&this.ended, 16);
        assert_int_equal(this.second.ga_state, 0);
    }
}

static void done(void *group)
{
    ga_waitgroup_done(group);
}

/* TestWaitGroupRace; and who waited may be gone as soon as the counter is zero. */
static void a_wait_group_may_lie_on_the_waiters_stack(void **state)
{
    for (int i = 0; i < 500; i++) {
        ga_waitgroup_t group = GA_WAITGROUP_INIT;
        ga_waitgroup_add(&group, 2);
        actor_start(done, &group);
        actor_start(done, &group);
        ga_waitgroup_wait(&group);
        memset(&group, 0xff, sizeof(group));
    }
}

static void wait_for_group(void *group)
{
    ga_waitgroup_wait(group);
}

/* --- Once --- */

struct once {
    ga_once_t once;
    unsigned calls; /* guarded by the once */
    atomic_uint ended, early;
};

static void count_call(void *argument)
{
    struct once *this = argument;
    actors_yield();
    this->calls++;
}

static void call_once(void *argument)
{
    struct once *this = argument;
    ga_once_do(&this->once, count_call, this);
    if (this->calls != 1)
        atomic_fetch_add(&this->early, 1);
    atomic_fetch_add(&this->ended, 1);
}

/* TestOnce: once, and nobody goes on before it has been done. */
static void once_is_once(void **state)
{
    struct once this = {.once = GA_ONCE_INIT};
    for (int i = 0; i < 10; i++)
        actor_start(call_once, &this);
    actors_wait(&this.ended, 10);
    assert_int_equal(this.calls, 1);
    assert_int_equal(this.early, 0);
}

/* --- Condition --- */

struct cond {
    ga_mutex_t mutex;
    ga_cond_t cond;
    unsigned woken;     /* guarded by mutex */
    unsigned order[64]; /* guarded by mutex */
    atomic_uint ended;
    bool go; /* guarded by mutex */
};

struct cond_waiter {
    struct cond *all;
    unsigned number;
};

static void wait_for_signal(void *argument)
{
    struct cond_waiter *this = argument;
    struct cond *all = this->all;
    ga_mutex_lock(&all->mutex);
    ga_cond_wait(&all->cond, &all->mutex);
    all->order[all->woken++] = this->number;
    ga_mutex_unlock(&all->mutex);
    atomic_fetch_add(&all->ended, 1);
}

/* TestCondSignal, TestCondSignalGenerations: each signal wakes one, the longest waiting. */
static void signals_wake_one_each_in_order(void **state)
{
    struct cond all = {.woken = 0};
    struct cond_waiter waiters[20];
    for (unsigned i = 0; i < COUNT(waiters); i++) {
        waiters[i] = (struct cond_waiter){&all, i};
        actor_start(wait_for_signal, &waiters[i]);
        wait_for_waiters(&all.cond, i + 1);
    }
    for (unsigned i = 0; i < COUNT(waiters); i++) {
        assert_int_equal(all.ended, i);
        ga_mutex_lock(&all.mutex);
        ga_cond_signal(&all.cond);
        ga_mutex_unlock(&all.mutex);
        actors_wait(&all.ended, i + 1);
        assert_int_equal(all.order[i], i);
    }
    ga_cond_signal(&all.cond); /* nobody waits */
    assert_int_equal(all.cond.ga_waiters, 0);
}

/* TestCondBroadcast. */
static void a_broadcast_wakes_all(void **state)
{
    struct cond all = {.woken = 0};
    struct cond_waiter waiters[50];
    for (unsigned i = 0; i < COUNT(waiters); i++) {
        waiters[i] = (struct cond_waiter){&all, i};
        actor_start(wait_for_signal, &waiters[i]);
    }
    wait_for_waiters(&all.cond, COUNT(waiters));
    ga_mutex_lock(&all.mutex);
    ga_cond_broadcast(&all.cond);
    ga_mutex_unlock(&all.mutex);
    actors_wait(&all.ended, COUNT(waiters));
    assert_int_equal(all.cond.ga_waiters, 0);
}

static void wait_to_go(void *argument)
{
    struct cond *all = argument;
    ga_mutex_lock(&all->mutex);
    while (!all->go)
        ga_cond_wait(&all->cond, &all->mutex);
    ga_mutex_unlock(&all->mutex);
    atomic_fetch_add(&all->ended, 1);
}

/* TestRace, TestCondSignalStealing: a signal given while the mutex is held is for who waits by
 * then, however soon others come. */
static void a_signal_is_not_stolen(void **state)
{
    for (int i = 0; i < 300; i++) {
        struct cond all = {.woken = 0};
        struct cond_waiter one = {&all, 1};
        actor_start(wait_for_signal, &one);
        while (__atomic_load_n(&all.cond.ga_waiters, __ATOMIC_RELAXED) == 0)
            actors_yield();
        actor_start(wait_to_go, &all);
        ga_mutex_lock(&all.mutex);
        ga_cond_signal(&all.cond);
        ga_mutex_unlock(&all.mutex);
        actors_wait(&all.ended, 1);
        assert_int_equal(all.woken, 1);
        ga_mutex_lock(&all.mutex);
        all.go = true;
        ga_cond_broadcast(&all.cond);
        ga_mutex_unlock(&all.mutex);
        actors_wait(&all.ended, 2);
    }
}

/* --- Semaphore --- */

struct pool {
    ga_sem_t semaphore;
    atomic_uint held, most, ended;
};

static void use_pool(void *argument)
{
    struct pool *this = argument;
    struct dice dice = {(uintptr_t)&dice};
    for (int i = 0; i < 500; i++) {
        unsigned count = 1 + (unsigned)dice_below(&dice, 3);
        ga_sem_acquire(&this->semaphore, count);
        unsigned held = atomic_fetch_add(&this->held, count) + count;
        if (held > 5)
            atomic_store(&this->most, held);
        actors_yield();
        atomic_fetch_sub(&this->held, count);
        ga_sem_release(&this->semaphore, count);
    }
    atomic_fetch_add(&this->ended, 1);
}

static void a_semaphore_gives_out_no_more_than_it_has(void **state)
{
    struct pool this = {.semaphore = GA_SEM_INIT(5)};
    for (int i = 0; i < 6; i++)
        actor_start(use_pool, &this);
    actors_wait(&this.ended, 6);
    assert_int_equal(this.most, 0);
    assert_int_equal(this.semaphore.ga_state, 5);
    assert_true(ga_sem_try_acquire(&this.semaphore, 5));
    assert_false(ga_sem_try_acquire(&this.semaphore, 1));
}

static void acquire_three(void *semaphore)
{
    ga_sem_acquire(semaphore, 3);
}

static void acquire_one(void *semaphore)
{
    ga_sem_acquire(semaphore, 1);
}

static void large_requests_are_not_passed_by(void **state)
{
    ga_sem_t *semaphore = calloc(1, sizeof(*semaphore)); /* what is acquired stays so */
    ga_sem_init(semaphore, 3);
    ga_sem_acquire(semaphore, 2);
    actor_start(acquire_three, semaphore);
    wait_for_waiters(semaphore, 1);
    assert_false(ga_sem_try_acquire(semaphore, 1)); /* one is there, but not for this one */
    actor_start(acquire_one, semaphore);
    wait_for_waiters(semaphore, 2);
    ga_sem_release(semaphore, 2);
    wait_for_waiters(semaphore, 1);
    assert_false(ga_sem_try_acquire(semaphore, 1));
    ga_sem_release(semaphore, 3);
    wait_for_waiters(semaphore, 0);
    assert_true(ga_sem_try_acquire(semaphore, 2));
}

/* --- The table of waiters --- */

struct place {
    ga_mutex_t mutexes[64];
    atomic_uint locked;
};

struct visitor {
    struct place *place;
    unsigned number;
};

static void lock_and_count(void *argument)
{
    struct visitor *this = argument;
    ga_mutex_t *mutex = &this->place->mutexes[this->number % 64];
    ga_mutex_lock(mutex);
    atomic_fetch_add(&this->place->locked, 1);
    ga_mutex_unlock(mutex);
}

/* Many addresses, some of them in one bucket, some with several waiters; in any order of leaving.
 */
static void waiters_for_many_addresses_are_kept_apart(void **state)
{
    static struct place place;
    struct visitor visitors[192];
    atomic_store(&place.locked, 0);
    for (unsigned i = 0; i < 64; i++)
        ga_mutex_lock(&place.mutexes[i]);
    for (unsigned i = 0; i < COUNT(visitors); i++) {
        visitors[i] = (struct visitor){&place, i};
        actor_start(lock_and_count, &visitors[i]);
    }
    for (unsigned i = 0; i < 64; i++)
        wait_for_waiters(&place.mutexes[i], 3);
    for (unsigned i = 0; i < 64; i++) {
        ga_mutex_unlock(&place.mutexes[i * 29 % 64]);
        actors_wait(&place.locked, 3 * i + 3);
    }
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(waiting(&place.mutexes[i]), 0);
}

static void wait_on_zero(void **state)
{
    ga_waitgroup_t group = GA_WAITGROUP_INIT;
    assert_true(actor_ends(wait_for_group, &group));
    ga_waitgroup_t one = GA_WAITGROUP_INIT;
    ga_waitgroup_add(&one, 1);
    assert_true(actor_waits(wait_for_group, &one));
    ga_waitgroup_done(&one);
    wait_for_waiters(&one, 0);
}

#define TESTS                                                                                      \
    cmocka_unit_test(a_mutex_keeps_others_out), cmocka_unit_test(a_mutex_may_be_held_over_a_wait), \
        cmocka_unit_test(try_lock), cmocka_unit_test(misuse_is_fatal),                             \
        cmocka_unit_test(a_hog_does_not_starve_others),                                            \
        cmocka_unit_test(the_last_to_unlock_may_free), cmocka_unit_test(a_writer_is_alone),        \
        cmocka_unit_test(readers_are_inside_together),                                             \
        cmocka_unit_test(neither_readers_nor_writers_starve),                                      \
        cmocka_unit_test(a_wait_group_waits_for_all_and_can_be_used_again),                        \
        cmocka_unit_test(a_wait_group_may_lie_on_the_waiters_stack),                               \
        cmocka_unit_test(wait_on_zero), cmocka_unit_test(once_is_once),                            \
        cmocka_unit_test(signals_wake_one_each_in_order), cmocka_unit_test(a_broadcast_wakes_all), \
        cmocka_unit_test(a_signal_is_not_stolen),                                                  \
        cmocka_unit_test(a_semaphore_gives_out_no_more_than_it_has),                               \
        cmocka_unit_test(large_requests_are_not_passed_by),                                        \
        cmocka_unit_test(waiters_for_many_addresses_are_kept_apart)

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS};
    return actors_run(tests, COUNT(tests));
}
