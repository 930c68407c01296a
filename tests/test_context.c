// SPDX-License-Identifier: MIT
/* Contexts, and waits that they end, by threads and by coroutines. Many are named after the test of
 * Go's whose facts they assert. */
#include <errno.h>

#include "support/actors.h"
#include "support/test.h"

#include "coro/chan.h"
#include "coro/context.h"
#include "coro/sema.h"
#include "goalloc/sync.h"

typedef ga_chan(int) ints;

#define SECOND INT64_C(1000000000)
#define LATER  (100 * SECOND)

static bool is_closed(struct ga_context *context)
{
    return ga_try_recv(ga_context_done(context), NULL) == -1;
}

static void expect_going_on(struct ga_context *context)
{
    assert_int_equal(ga_context_err(context), 0);
    assert_null(ga_context_cause(context));
    assert_false(is_closed(context));
}

static void expect_ended(struct ga_context *context, int error, const char *cause)
{
    assert_int_equal(ga_context_err(context), error);
    assert_string_equal(ga_context_cause(context), cause);
    assert_true(is_closed(context));
}

static void expect_cancelled(struct ga_context *context)
{
    expect_ended(context, ECANCELED, "context canceled");
}

/* --- The tree --- */

static void cancel_background(void *unused)
{
    ga_context_cancel(ga_context_background());
}

static void cancel_value(void *unused)
{
    ga_context_cancel(ga_context_with_value(NULL, &unused, NULL));
}

/* TestBackground, TestTODO. */
static void roots_never_end(void **state)
{
    expect_going_on(ga_context_background());
    expect_going_on(ga_context_todo());
    assert_null(ga_context_done(ga_context_background()));
    assert_false(ga_context_deadline(ga_context_background(), NULL));
    assert_null(ga_context_value(ga_context_background(), &state));
    assert_int_equal(ga_context_err(NULL), 0);
    ga_context_release(ga_context_background());
    assert_child_aborts(cancel_background, NULL, "cancel of a context that can't be cancelled");
    assert_child_aborts(cancel_value, NULL, "cancel of a context that can't be cancelled");
}

/* TestWithCancel, TestChildFinishesFirst. */
static void a_cancel_ends_those_below_and_no_others(void **state)
{
    static const int key;
    struct ga_context *parent = ga_context_with_cancel(ga_context_background());
    struct ga_context *child = ga_context_with_cancel(parent);
    struct ga_context *between = ga_context_with_value(child, &key, &child);
    struct ga_context *grandchild = ga_context_with_cancel(between);
    struct ga_context *sibling = ga_context_with_cancel(parent);
    expect_going_on(child);
    ga_context_cancel(child);
    expect_cancelled(child);
    expect_cancelled(between);
    expect_cancelled(grandchild);
    expect_going_on(parent);
    expect_going_on(sibling);
    struct ga_context *late = ga_context_with_cancel(between);
    expect_cancelled(late);
    ga_context_cancel(parent);
    ga_context_cancel(parent);
    expect_cancelled(sibling);
    struct ga_context *all[] = {parent, child, between, grandchild, sibling, late};
    for (size_t i = 0; i < COUNT(all); i++)
        ga_context_release(all[i]);
}

static size_t children(struct ga_context *context)
{
    struct canceller *canceller = (struct canceller *)context;
    size_t count = 0;
    latch_acquire(&canceller->latch);
    for (struct context_watch *watch = canceller->watches; watch; watch = watch->next)
        count++;
    latch_release(&canceller->latch);
    return count;
}

/* TestCancelRemoves; a release does, too. */
static void children_leave_their_parent(void **state)
{
    struct ga_context *parent = ga_context_with_cancel(NULL);
    struct ga_context *a = ga_context_with_cancel(parent), *b = ga_context_with_cancel(parent);
    assert_int_equal(children(parent), 2);
    ga_context_cancel(a);
    assert_int_equal(children(parent), 1);
    ga_context_release(b);
    assert_int_equal(children(parent), 0);
    ga_context_release(parent); /* a keeps it */
    ga_context_release(a);
}

/* TestValues. */
static void values_are_found_upward(void **state)
{
    static const int keys[3];
    int one = 1, two = 2, other = 3;
    struct ga_context *first = ga_context_with_value(NULL, &keys[0], &one);
    struct ga_context *second = ga_context_with_cancel(first);
    struct ga_context *third = ga_context_with_value(second, &keys[1], &two);
    struct ga_context *fourth = ga_context_with_value(third, &keys[0], &other);
    assert_ptr_equal(ga_context_value(third, &keys[0]), &one);
    assert_ptr_equal(ga_context_value(third, &keys[1]), &two);
    assert_ptr_equal(ga_context_value(fourth, &keys[0]), &other);
    assert_ptr_equal(ga_context_value(fourth, &keys[1]), &two);
    assert_null(ga_context_value(fourth, &keys[2]));
    assert_null(ga_context_value(second, &keys[1]));
    struct ga_context *all[] = {first, second, third, fourth};
    for (size_t i = 0; i < COUNT(all); i++)
        ga_context_release(all[i]);
}

/* TestCause, TestWithCancelCause. */
static void the_first_cause_stays(void **state)
{
    struct ga_context *parent = ga_context_with_cancel(NULL);
    struct ga_context *child = ga_context_with_cancel(parent);
    struct ga_context *other = ga_context_with_cancel(parent);
    ga_context_cancel_cause(child, "child's");
    ga_context_cancel_cause(child, "later");
    expect_ended(child, ECANCELED, "child's");
    ga_context_cancel_cause(parent, "parent's");
    expect_ended(parent, ECANCELED, "parent's");
    expect_ended(other, ECANCELED, "parent's");
    expect_ended(child, ECANCELED, "child's");
    struct ga_context *late = ga_context_with_cancel(parent);
    expect_ended(late, ECANCELED, "parent's");
    struct ga_context *all[] = {parent, child, other, late};
    for (size_t i = 0; i < COUNT(all); i++)
        ga_context_release(all[i]);
}

/* TestWithoutCancel. */
static void without_cancel_keeps_only_values(void **state)
{
    static const int key;
    int value;
    struct ga_context *top = ga_context_with_deadline(NULL, timer_now() + LATER);
    struct ga_context *parent = ga_context_with_value(top, &key, &value);
    struct ga_context *apart = ga_context_without_cancel(parent);
    struct ga_context *below = ga_context_with_cancel(apart);
    assert_true(ga_context_deadline(parent, NULL));
    assert_false(ga_context_deadline(below, NULL));
    ga_context_cancel(top);
    expect_cancelled(parent);
    expect_going_on(apart);
    expect_going_on(below);
    assert_ptr_equal(ga_context_value(below, &key), &value);
    ga_context_cancel(below);
    expect_cancelled(below);
    struct ga_context *all[] = {top, parent, apart, below};
    for (size_t i = 0; i < COUNT(all); i++)
        ga_context_release(all[i]);
}

/* A walk down the tree needs no stack. */
static void a_deep_tree_ends(void **state)
{
    enum { DEPTH = 50000 };
    struct ga_context **chain = calloc(DEPTH, sizeof(struct ga_context *));
    for (int i = 0; i < DEPTH; i++)
        chain[i] = ga_context_with_cancel(i == 0 ? NULL : chain[i - 1]);
    ga_context_cancel(chain[0]);
    assert_int_equal(ga_context_err(chain[DEPTH - 1]), ECANCELED);
    for (int i = 0; i < DEPTH; i++)
        ga_context_release(chain[i]);
    struct ga_context *last = ga_context_with_cancel(NULL);
    for (int i = 0; i < DEPTH; i++) {
        struct ga_context *next = ga_context_with_value(last, &chain, NULL);
        ga_context_release(last);
        last = next;
    }
    ga_context_release(last);
    free(chain);
}

/* --- Several actors --- */

struct cancelling {
    struct ga_context *context;
    atomic_uint ended;
};

static void cancel_it(void *argument)
{
    struct cancelling *this = argument;
    ga_context_cancel(this->context);
    atomic_fetch_add(&this->ended, 1);
}

/* TestSimultaneousCancels: a tree of ten thousand, each cancelled by somebody. */
static void simultaneous_cancels(void **state)
{
    enum { TREE = 1000 };
    struct cancelling *tree = calloc(TREE, sizeof(*tree));
    struct cancelling all = {.ended = 0};
    for (int i = 0; i < TREE; i++)
        tree[i].context = ga_context_with_cancel(i == 0 ? NULL : tree[(i - 1) / 4].context);
    for (int i = TREE; i-- > 0;)
        actor_start(cancel_it, &tree[i]);
    for (int i = 0; i < TREE; i++) {
        (void)ga_recv(ga_context_done(tree[i].context));
        actors_wait(&tree[i].ended, 1);
        ga_context_release(tree[i].context);
    }
    (void)all;
    free(tree);
}

static void wait_and_cancel(void *argument)
{
    struct cancelling *this = argument;
    (void)ga_recv(ga_context_done(this->context));
    atomic_fetch_add(&this->ended, 1);
}

/* TestInterlockedCancels. */
static void who_waits_for_the_end_is_woken(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct ga_context *parent = ga_context_with_cancel(NULL);
        struct cancelling this = {ga_context_with_cancel(parent), 0};
        actor_start(wait_and_cancel, &this);
        ga_context_cancel(parent);
        actors_wait(&this.ended, 1);
        ga_context_release(this.context);
        ga_context_release(parent);
    }
}

static void make_and_release(void *argument)
{
    struct cancelling *this = argument;
    for (int i = 0; i < 1000; i++) {
        struct ga_context *child = ga_context_with_cancel(this->context);
        struct ga_context *below = ga_context_with_cancel(child);
        if (i % 3 == 0)
            ga_context_cancel(child);
        ga_context_release(child);
        ga_context_release(below);
    }
    atomic_fetch_add(&this->ended, 1);
}

/* A child may be released while the walk that ends it is on its way. */
static void children_come_and_go_while_the_parent_ends(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct cancelling this = {ga_context_with_cancel(NULL), 0};
        for (int j = 0; j < 3; j++)
            actor_start(make_and_release, &this);
        actors_spin(200000);
        ga_context_cancel(this.context);
        actors_wait(&this.ended, 3);
        assert_int_equal(children(this.context), 0);
        ga_context_release(this.context);
    }
}

/* --- Time --- */

/* TestDeadline, TestTimeout. */
static void a_deadline_ends_it(void **state)
{
    struct ga_context *context = ga_context_with_timeout(NULL, SECOND / 50);
    struct ga_context *child = ga_context_with_cancel(context);
    int64_t when;
    assert_true(ga_context_deadline(child, &when));
    expect_going_on(child);
    (void)ga_recv(ga_context_done(child));
    assert_true(timer_now() >= when);
    expect_ended(context, ETIMEDOUT, "context deadline exceeded");
    expect_ended(child, ETIMEDOUT, "context deadline exceeded");
    ga_context_release(child);
    ga_context_release(context);
}

static void the_earlier_deadline_counts(void **state)
{
    int64_t now = timer_now(), when;
    struct ga_context *near = ga_context_with_deadline(NULL, now + LATER);
    struct ga_context *far = ga_context_with_deadline(near, now + 2 * LATER);
    struct ga_context *nearer = ga_context_with_deadline(near, now + LATER / 2);
    struct ga_context *past = ga_context_with_deadline(near, now - 1);
    assert_true(ga_context_deadline(far, &when));
    assert_int_equal(when, now + LATER);
    assert_true(ga_context_deadline(nearer, &when));
    assert_int_equal(when, now + LATER / 2);
    expect_ended(past, ETIMEDOUT, "context deadline exceeded");
    ga_context_cancel(near);
    expect_cancelled(far);
    expect_cancelled(nearer);
    struct ga_context *all[] = {near, far, nearer, past};
    for (size_t i = 0; i < COUNT(all); i++)
        ga_context_release(all[i]);
}

/* TestCanceledTimeout; and the memory goes, though the time hasn't come. */
static void a_cancelled_timeout_is_over(void **state)
{
    struct ga_context *context = ga_context_with_timeout(NULL, LATER);
    assert_int_equal(atomic_load(&context->references), 2);
    ga_context_cancel(context);
    expect_cancelled(context);
    assert_int_equal(atomic_load(&context->references), 1);
    ga_context_release(context);
}

/* --- Waits that a context ends --- */

struct waits {
    struct ga_context *context;
    int (*wait)(struct waits *this);
    int result;
    atomic_uint ended;
    ints c;
    ga_mutex_t mutex;
    ga_rwmutex_t rwmutex;
    ga_waitgroup_t group;
    ga_cond_t cond;
    ga_sem_t semaphore;
};

static int wait_send(struct waits *this)
{
    return ga_send_ctx(this->context, this->c, 1);
}

static int wait_recv(struct waits *this)
{
    return ga_recv_ctx(this->context, this->c, NULL);
}

static int wait_send_nil(struct waits *this)
{
    ints nil = NULL;
    return ga_send_ctx(this->context, nil, 1);
}

static int wait_mutex(struct waits *this)
{
    return ga_mutex_lock_ctx(this->context, &this->mutex);
}

static int wait_read(struct waits *this)
{
    return ga_rwmutex_rlock_ctx(this->context, &this->rwmutex);
}

static int wait_write(struct waits *this)
{
    return ga_rwmutex_lock_ctx(this->context, &this->rwmutex);
}

static int wait_group(struct waits *this)
{
    return ga_waitgroup_wait_ctx(this->context, &this->group);
}

static int wait_cond(struct waits *this)
{
    ga_mutex_t mutex = GA_MUTEX_INIT;
    ga_mutex_lock(&mutex);
    int result = ga_cond_wait_ctx(this->context, &this->cond, &mutex);
    ga_mutex_unlock(&mutex); /* fatal if it hasn't got it back */
    return result;
}

static int wait_semaphore(struct waits *this)
{
    return ga_sem_acquire_ctx(this->context, &this->semaphore, 2);
}

static int (*const all_waits[])(struct waits *) = {
    wait_send,  wait_recv,  wait_send_nil, wait_mutex,     wait_read,
    wait_write, wait_group, wait_cond,     wait_semaphore,
};

static void wait_as_told(void *argument)
{
    struct waits *this = argument;
    this->result = this->wait(this);
    atomic_fetch_add(&this->ended, 1);
}

/* Everything is such that whoever comes has to wait. */
static void waits_init(struct waits *this)
{
    *this = (struct waits){.context = ga_context_with_cancel(NULL), .semaphore = GA_SEM_INIT(3)};
    this->c = ga_make(ints);
    ga_mutex_lock(&this->mutex);
    ga_rwmutex_lock(&this->rwmutex);
    ga_waitgroup_add(&this->group, 1);
    ga_sem_acquire(&this->semaphore, 2);
}

/* Everything is as if nobody had waited. */
static void waits_end(struct waits *this)
{
    ga_mutex_unlock(&this->mutex);
    ga_rwmutex_unlock(&this->rwmutex);
    ga_waitgroup_done(&this->group);
    ga_sem_release(&this->semaphore, 2);
    assert_int_equal(this->mutex.ga_word, 0);
    assert_int_equal(this->rwmutex.ga_word, 0);
    assert_int_equal(this->group.ga_state, 0);
    assert_int_equal(this->cond.ga_waiters, 0);
    assert_int_equal(this->semaphore.ga_state, 3);
    ga_chan_free(this->c);
    ga_context_release(this->context);
}

static void every_wait_can_be_ended(void **state)
{
    for (size_t i = 0; i < COUNT(all_waits); i++) {
        struct waits this;
        waits_init(&this);
        this.wait = all_waits[i];
        assert_true(actor_waits(wait_as_told, &this));
        ga_context_cancel(this.context);
        actors_wait(&this.ended, 1);
        assert_int_equal(this.result, ECANCELED);
        if (all_waits[i] != wait_cond)
            assert_int_equal(this.wait(&this), ECANCELED);
        waits_end(&this);
    }
}

static void every_wait_can_be_ended_by_time(void **state)
{
    for (size_t i = 0; i < COUNT(all_waits); i++) {
        struct waits this;
        waits_init(&this);
        ga_context_release(this.context);
        this.context = ga_context_with_timeout(NULL, SECOND / 200);
        this.wait = all_waits[i];
        actor_start(wait_as_told, &this);
        actors_wait(&this.ended, 1);
        assert_int_equal(this.result, ETIMEDOUT);
        waits_end(&this);
    }
}

/* The end of the wait and what is waited for come at once: one of the two, and nothing is lost. */
static void a_wait_that_ends_loses_nothing(void **state)
{
    for (int i = 0; i < 300; i++) {
        struct waits this;
        waits_init(&this);
        ga_sem_t *semaphore = &this.semaphore;
        this.wait = i % 3 == 0 ? wait_semaphore : i % 3 == 1 ? wait_mutex : wait_write;
        struct cancelling other = {this.context, 0};
        actor_start(wait_as_told, &this);
        if (i % 2)
            actors_spin(50000);
        actor_start(cancel_it, &other);
        ga_sem_release(semaphore, 2);
        ga_mutex_unlock(&this.mutex);
        ga_rwmutex_unlock(&this.rwmutex);
        actors_wait(&this.ended, 1);
        actors_wait(&other.ended, 1);
        if (this.result || this.wait != wait_semaphore)
            ga_sem_acquire(semaphore, 2);
        if (this.result || this.wait != wait_mutex)
            ga_mutex_lock(&this.mutex);
        if (this.result || this.wait != wait_write)
            ga_rwmutex_lock(&this.rwmutex);
        waits_end(&this);
    }
}

/* A writer that gives up lets those behind it in. */
static void read_it(void *mutex)
{
    ga_rwmutex_rlock(mutex);
    ga_rwmutex_runlock(mutex);
}

static void acquire_one(void *semaphore)
{
    ga_sem_acquire(semaphore, 1);
    ga_sem_release(semaphore, 1);
}

struct behind {
    void (*act)(void *);
    void *argument;
    atomic_uint ended;
};

static void act_behind(void *argument)
{
    struct behind *this = argument;
    this->act(this->argument);
    atomic_fetch_add(&this->ended, 1);
}

static void wait_for_waiters(const void *address, unsigned count)
{
    for (unsigned found = count + 1; found != count; actors_yield()) {
        struct sema_bucket *bucket = sema_acquire_bucket(address);
        struct sema_wait *wait = sema_first(bucket, address);
        for (found = 0; wait; wait = wait->next)
            found++;
        sema_release_bucket(bucket);
    }
}

static void who_gives_up_is_in_nobodys_way(void **state)
{
    struct waits this = {.semaphore = GA_SEM_INIT(2)};
    struct behind behind[2] = {{read_it, &this.rwmutex, 0}, {acquire_one, &this.semaphore, 0}};
    ga_rwmutex_rlock(&this.rwmutex);
    ga_sem_acquire(&this.semaphore, 1);
    this.wait = wait_write;
    for (int i = 0; i < 2; i++) {
        this.context = ga_context_with_cancel(NULL);
        atomic_store(&this.ended, 0);
        actor_start(wait_as_told, &this);
        wait_for_waiters(behind[i].argument, 1);
        actor_start(act_behind, &behind[i]);
        wait_for_waiters(behind[i].argument, 2);
        assert_int_equal(behind[i].ended, 0);
        ga_context_cancel(this.context);
        actors_wait(&behind[i].ended, 1);
        actors_wait(&this.ended, 1);
        ga_context_release(this.context);
        this.wait = wait_semaphore;
    }
    ga_rwmutex_runlock(&this.rwmutex);
    ga_sem_release(&this.semaphore, 1);
    assert_int_equal(this.rwmutex.ga_word, 0);
    assert_int_equal(this.semaphore.ga_state, 2);
}

static void channels_tell_closed_from_ended(void **state)
{
    struct ga_context *context = ga_context_with_cancel(NULL);
    ints c = ga_make(ints, 1);
    int v = 77;
    assert_int_equal(ga_send_ctx(context, c, 5), 0);
    assert_int_equal(ga_recv_ctx(context, c, &v), 0);
    assert_int_equal(v, 5);
    ga_close(c);
    assert_int_equal(ga_recv_ctx(context, c, &v), EPIPE);
    assert_int_equal(v, 0);
    assert_int_equal(ga_recv_ctx(NULL, c, &v), EPIPE);
    ga_context_cancel(context);
    assert_int_equal(ga_recv_ctx(context, c, &v), ECANCELED);
    ga_chan_free(c);
    ga_context_release(context);
}

/* --- Something to be done at its end --- */

static void count_one(void *counter)
{
    atomic_fetch_add((atomic_uint *)counter, 1);
}

/* TestAfterFuncCalledAfterCancel, ..AfterTimeout, ..Immediately. */
static void after_func_is_called_once(void **state)
{
    atomic_uint calls = 0;
    struct ga_context *context = ga_context_with_cancel(NULL);
    struct ga_context *child = ga_context_with_value(context, &calls, NULL);
    struct ga_after_func *after[3] = {ga_context_after_func(context, count_one, &calls),
                                      ga_context_after_func(child, count_one, &calls), NULL};
    actors_pause();
    assert_int_equal(calls, 0);
    ga_context_cancel(context);
    ga_context_cancel(context);
    actors_wait(&calls, 2);
    after[2] = ga_context_after_func(context, count_one, &calls);
    actors_wait(&calls, 3);
    for (int i = 0; i < 3; i++)
        assert_false(ga_context_stop(after[i]));
    assert_int_equal(children(context), 0);
    ga_context_release(child);
    ga_context_release(context);
}

/* TestAfterFuncNotCalledAfterStop. */
static void after_func_is_not_called_once_stopped(void **state)
{
    atomic_uint calls = 0;
    struct ga_context *context = ga_context_with_cancel(NULL);
    struct ga_after_func *after = ga_context_after_func(context, count_one, &calls);
    assert_true(ga_context_stop(after));
    assert_int_equal(children(context), 0);
    ga_context_cancel(context);
    actors_pause();
    assert_int_equal(calls, 0);
    assert_true(ga_context_stop(ga_context_after_func(NULL, count_one, &calls)));
    ga_context_release(context);
}

static void stops_and_ends_race(void **state)
{
    unsigned called = 0, stopped = 0;
    atomic_uint calls = 0;
    for (int i = 0; i < 300; i++) {
        struct cancelling this = {ga_context_with_cancel(NULL), 0};
        struct ga_after_func *after = ga_context_after_func(this.context, count_one, &calls);
        actor_start(cancel_it, &this);
        if (i % 2)
            actors_yield();
        if (ga_context_stop(after))
            stopped++;
        else
            called++;
        actors_wait(&this.ended, 1);
        ga_context_release(this.context);
    }
    actors_wait(&calls, called);
    assert_int_equal(called + stopped, 300);
}

#define TREE_TESTS                                                                                 \
    cmocka_unit_test(roots_never_end), cmocka_unit_test(a_cancel_ends_those_below_and_no_others),  \
        cmocka_unit_test(children_leave_their_parent), cmocka_unit_test(values_are_found_upward),  \
        cmocka_unit_test(the_first_cause_stays), cmocka_unit_test(a_deep_tree_ends),               \
        cmocka_unit_test(simultaneous_cancels), cmocka_unit_test(who_waits_for_the_end_is_woken),  \
        cmocka_unit_test(children_come_and_go_while_the_parent_ends),                              \
        cmocka_unit_test(every_wait_can_be_ended),                                                 \
        cmocka_unit_test(a_wait_that_ends_loses_nothing),                                          \
        cmocka_unit_test(who_gives_up_is_in_nobodys_way),                                          \
        cmocka_unit_test(channels_tell_closed_from_ended)

#define TIME_TESTS                                                                                 \
    cmocka_unit_test(without_cancel_keeps_only_values), cmocka_unit_test(a_deadline_ends_it),      \
        cmocka_unit_test(the_earlier_deadline_counts),                                             \
        cmocka_unit_test(a_cancelled_timeout_is_over),                                             \
        cmocka_unit_test(every_wait_can_be_ended_by_time),                                         \
        cmocka_unit_test(after_func_is_called_once),                                               \
        cmocka_unit_test(after_func_is_not_called_once_stopped),                                   \
        cmocka_unit_test(stops_and_ends_race)

int main(void)
{
    const struct CMUnitTest tests[] = {TREE_TESTS, TIME_TESTS};
    return actors_run(tests, COUNT(tests));
}
