// SPDX-License-Identifier: MIT
/* Coroutines: starting, ending, waiting, and who gets to run. */
#include "support/test.h"

#include <goalloc/coro.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "coro/run_queue.h"
#include "coro/stack.h"
#include "os/os.h"

#define MS INT64_C(1000000)

static atomic_int count;

/* --- Starting --- */

static uintptr_t got[6];

static void take_none(void)
{
    atomic_fetch_add(&count, 1);
}

static void take_six(char a, short b, int c, long d, const char *e, unsigned char *f)
{
    got[0] = (uintptr_t)a;
    got[1] = (uintptr_t)b;
    got[2] = (uintptr_t)c;
    got[3] = (uintptr_t)d;
    got[4] = (uintptr_t)e;
    got[5] = (uintptr_t)f;
}

static void arguments_arrive(void **state)
{
    static unsigned char last;
    assert_int_equal(ga_go(take_six, 'x', -2, -3, -4L, "five, in an array", &last), 0);
    ga_wait_all();
    assert_int_equal((char)got[0], 'x');
    assert_int_equal((short)got[1], -2);
    assert_int_equal((int)got[2], -3);
    assert_int_equal((long)got[3], -4);
    assert_string_equal((const char *)got[4], "five, in an array");
    assert_ptr_equal((void *)got[5], &last);
}

static void bad_calls_are_refused_with_nothing_lost(void **state)
{
    void (*nothing)(void) = NULL;
    struct ga_go_options small = {.stack_size = 1024}, huge = {.stack_size = (size_t)1 << 40};
    size_t before = ga_num_coroutines();
    errno = 0;
    assert_int_equal(ga_go(nothing), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(ga_go_opts(&small, take_none), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(ga_go_opts(&huge, take_none), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(ga_num_coroutines(), before);
}

static void the_count_of_coroutines_is_right(void **state)
{
    enum { MANY = 1000 };
    size_t before = ga_num_coroutines();
    atomic_store(&count, 0);
    for (int i = 0; i < MANY; i++)
        ga_go(take_none);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), MANY);
    assert_int_equal(ga_num_coroutines(), before);
}

static void exit_early(void)
{
    atomic_fetch_add(&count, 1);
    ga_exit();
    atomic_fetch_add(&count, 100);
}

static void exit_ends_the_coroutine_at_once(void **state)
{
    atomic_store(&count, 0);
    ga_go(exit_early);
    ga_go(exit_early);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), 2);
}

static void keep_id(uint64_t *id)
{
    *id = ga_self();
}

static void each_has_a_number_of_its_own(void **state)
{
    uint64_t ids[100];
    for (size_t i = 0; i < COUNT(ids); i++)
        ga_go(keep_id, &ids[i]);
    ga_wait_all();
    for (size_t i = 0; i < COUNT(ids); i++) {
        assert_int_not_equal(ids[i], 0);
        assert_int_not_equal(ids[i], ga_self());
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(ids[i], ids[k]);
    }
}

static void use_stack(size_t bytes)
{
    volatile char on_stack[bytes];
    on_stack[0] = 1;
    on_stack[bytes - 1] = 1;
    atomic_fetch_add(&count, on_stack[0]);
}

static void a_stack_has_the_size_asked_for(void **state)
{
    struct ga_go_options big = {.stack_size = (size_t)8 << 20};
    atomic_store(&count, 0);
    assert_int_equal(ga_go(use_stack, (size_t)56 << 10), 0);
    assert_int_equal(ga_go_opts(&big, use_stack, ((size_t)8 << 20) - 8192), 0);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), 2);
}

/* --- Yielding and sharing --- */

static atomic_int turn;

static void take_turns(int self, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        while (atomic_load(&turn) != self)
            ga_yield();
        atomic_store(&turn, !self);
    }
}

static void yield_makes_progress(void **state)
{
    for (int procs = 1; procs <= 2; procs++) {
        int before = ga_set_procs(procs);
        ga_go(take_turns, 0, 500);
        ga_go(take_turns, 1, 500);
        ga_wait_all();
        ga_set_procs(before);
    }
}

static atomic_bool yielding, arrived;

static void yield_until_arrived(void)
{
    atomic_store(&yielding, true);
    while (!atomic_load(&arrived))
        ga_yield();
}

static void arrive(void)
{
    atomic_store(&arrived, true);
}

/* A thread's coroutines start on the global queue. */
static void *start_from_outside(void *unused)
{
    while (!atomic_load(&yielding))
        sched_yield();
    assert_int_equal(ga_go(arrive), 0);
    return unused;
}

static void a_lone_yielder_lets_the_global_queue_in(void **state)
{
    pthread_t thread;
    int before = ga_set_procs(1);
    atomic_store(&yielding, false);
    atomic_store(&arrived, false);
    assert_int_equal(pthread_create(&thread, NULL, start_from_outside, NULL), 0);
    assert_int_equal(ga_go(yield_until_arrived), 0);
    ga_wait_all();
    assert_int_equal(pthread_join(thread, NULL), 0);
    ga_set_procs(before);
}

static atomic_int were_run;

static void be_done(void)
{
    atomic_fetch_add(&were_run, 1);
}

/* Half of a queue that overflows lies on the global one. */
static void a_pinned_yielder_lets_the_global_queue_in(void **state)
{
    const int many = 1000;
    int before = ga_set_procs(1);
    ga_lock_os_thread();
    atomic_store(&were_run, 0);
    for (int i = 0; i < many; i++)
        assert_int_equal(ga_go(be_done), 0);
    while (atomic_load(&were_run) < many)
        ga_yield();
    ga_unlock_os_thread();
    ga_set_procs(before);
}

static void take_turns_pinned(int self, int rounds)
{
    ga_lock_os_thread();
    take_turns(self, rounds);
    ga_unlock_os_thread();
}

static void yield_makes_progress_while_pinned(void **state)
{
    ga_go(take_turns_pinned, 0, 100);
    ga_go(take_turns_pinned, 1, 100);
    ga_wait_all();
}

static void keep_thread(pthread_t *thread, int rounds, atomic_int *moves)
{
    ga_lock_os_thread();
    ga_lock_os_thread();
    ga_unlock_os_thread();
    *thread = pthread_self();
    for (int i = 0; i < rounds; i++) {
        if (i % 10 == 0)
            ga_sleep(MS / 10);
        else
            ga_yield();
        atomic_fetch_add(moves, !pthread_equal(*thread, pthread_self()));
    }
}

static void a_pinned_coroutine_keeps_its_thread(void **state)
{
    pthread_t threads[4];
    atomic_int moves = 0;
    for (size_t i = 0; i < COUNT(threads); i++)
        ga_go(keep_thread, &threads[i], 50, &moves);
    ga_wait_all();
    assert_int_equal(atomic_load(&moves), 0);
}

static atomic_bool stop;

static void spin(void)
{
    while (!atomic_load(&stop))
        atomic_fetch_add(&count, 1);
}

static void stop_all(void)
{
    atomic_store(&stop, true);
}

static void a_tight_loop_lets_others_run(void **state)
{
    for (int procs = 1; procs <= 2; procs++) {
        int before = ga_set_procs(procs);
        atomic_store(&stop, false);
        for (int i = 0; i < 4; i++)
            ga_go(spin);
        ga_go(stop_all);
        ga_wait_all();
        ga_set_procs(before);
    }
}

static void timers_run_beside_tight_loops(void **state)
{
    atomic_store(&stop, false);
    for (int i = 0; i < 3; i++)
        ga_go(spin);
    ga_sleep(5 * MS);
    stop_all();
    ga_wait_all();
}

static void block_thread(int milliseconds)
{
    struct timespec pause = {0, milliseconds * 1000000L};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    atomic_fetch_add(&count, 1);
}

/* One after the other they would take ten seconds. */
static void calls_that_block_the_thread_stop_nobody(void **state)
{
    int before = ga_set_procs(1);
    atomic_store(&count, 0);
    int64_t start = ga_now();
    for (int i = 0; i < 20; i++)
        ga_go(block_thread, 500);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), 20);
    assert_true(ga_now() - start < 8000 * MS);
    ga_set_procs(before);
}

static atomic_int together;

static void meet(int all)
{
    atomic_fetch_add(&together, 1);
    while (atomic_load(&together) < all) {
    }
}

static void so_many_truly_run_at_once(void **state)
{
    int before = ga_set_procs(4);
    atomic_store(&together, 0);
    for (int i = 0; i < 4; i++)
        ga_go(meet, 4);
    ga_wait_all();
    ga_set_procs(before);
}

static void spawn_tree(int depth)
{
    atomic_fetch_add(&count, 1);
    if (depth == 0)
        return;
    ga_go(spawn_tree, depth - 1);
    ga_go(spawn_tree, depth - 1);
}

static void a_tree_of_coroutines_ends(void **state)
{
    atomic_store(&count, 0);
    ga_go(spawn_tree, 12);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), (1 << 13) - 1);
}

static void change_procs(void)
{
    for (int i = 0; i < 200; i++) {
        ga_set_procs(1 + i % 8);
        ga_yield();
    }
}

static void yield_often(int times)
{
    for (int i = 0; i < times; i++)
        ga_yield();
    atomic_fetch_add(&count, 1);
}

static void the_number_of_procs_may_change_at_any_time(void **state)
{
    int before = ga_set_procs(0);
    atomic_store(&count, 0);
    for (int i = 0; i < 100; i++)
        ga_go(yield_often, 100);
    ga_go(change_procs);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), 100);
    ga_set_procs(before);
    assert_int_equal(ga_set_procs(0), before);
}

static ga_sem_t pinned_may, main_may, waker_may;
static atomic_int stage;

static void run_pinned(void)
{
    ga_sem_acquire(&pinned_may, 1);
    ga_sem_release(&main_may, 1);
}

/* Wakes it and waits: the pinned one is what its proc runs next, on another thread. */
static void wake_pinned(void)
{
    atomic_store(&stage, 1);
    while (atomic_load(&stage) != 2)
        GA_CPU_RELAX();
    ga_sem_release(&pinned_may, 1);
    ga_sem_acquire(&waker_may, 1);
}

/* The one that is on its way to its thread when its proc is given up. */
static void fewer_procs_lose_nobody(void **state)
{
    struct ga_go_options pinned = {.pinned = true}, plain = {.name = "waker"};
    int before = ga_set_procs(2);
    for (int i = 0; i < 20; i++) {
        ga_set_procs(2);
        atomic_store(&stage, 0);
        ga_sem_init(&pinned_may, 0);
        ga_sem_init(&main_may, 0);
        ga_sem_init(&waker_may, 0);
        pinned_may.ga_size = main_may.ga_size = waker_may.ga_size = 1;
        ga_go_opts(&pinned, run_pinned);
        ga_sleep(2 * MS);
        ga_go_opts(&plain, wake_pinned);
        while (atomic_load(&stage) != 1)
            GA_CPU_RELAX();
        ga_set_procs(1);
        atomic_store(&stage, 2);
        ga_sem_acquire(&main_may, 1);
        ga_sem_release(&waker_may, 1);
        ga_wait_all();
    }
    ga_set_procs(before);
}

/* --- What belongs to the coroutine --- */

static void keep_errno(int value, atomic_int *wrong)
{
    for (int i = 0; i < 200; i++) {
        errno = value;
        ga_yield();
        atomic_fetch_add(wrong, errno != value);
    }
}

static void errno_is_the_coroutines_own(void **state)
{
    atomic_int wrong = 0;
    for (int i = 1; i <= 20; i++)
        ga_go(keep_errno, i, &wrong);
    ga_wait_all();
    assert_int_equal(atomic_load(&wrong), 0);
}

#if defined(__x86_64__)
#define ROUNDING_SHIFT 13
static unsigned long read_control(void)
{
    unsigned control;
    __asm__ volatile("stmxcsr %0" : "=m"(control));
    return control;
}

static void write_control(unsigned long value)
{
    unsigned control = (unsigned)value;
    __asm__ volatile("ldmxcsr %0" ::"m"(control));
}
#elif defined(__aarch64__)
#define ROUNDING_SHIFT 22
static unsigned long read_control(void)
{
    unsigned long control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
}

static void write_control(unsigned long control)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(control));
}
#endif

static unsigned long rounding(void)
{
    return read_control() >> ROUNDING_SHIFT & 3;
}

static void keep_rounding(unsigned long mode, atomic_int *wrong)
{
    unsigned long control = read_control();
    write_control((control & ~(3ul << ROUNDING_SHIFT)) | mode << ROUNDING_SHIFT);
    for (int i = 0; i < 100; i++) {
        ga_yield();
        atomic_fetch_add(wrong, rounding() != mode);
    }
}

static void the_rounding_mode_is_the_coroutines_own(void **state)
{
    atomic_int wrong = 0;
    for (unsigned long mode = 0; mode < 4; mode++)
        ga_go(keep_rounding, mode, &wrong);
    ga_wait_all();
    assert_int_equal(atomic_load(&wrong), 0);
    assert_int_equal(rounding(), 0);
}

/* --- Waiting for others --- */

static void fail_with(ga_scope *scope, int error)
{
    ga_scope_fail(scope, error);
}

static void run_until_cancelled(ga_scope *scope)
{
    while (!ga_scope_cancelled(scope))
        ga_yield();
    atomic_fetch_add(&count, 1);
}

static void the_first_error_cancels_the_rest_of_a_scope(void **state)
{
    ga_scope *scope = ga_scope_new();
    atomic_store(&count, 0);
    for (int i = 0; i < 10; i++)
        ga_scope_go(scope, run_until_cancelled, scope);
    ga_scope_go(scope, fail_with, scope, 42);
    assert_int_equal(ga_scope_wait(scope), 42);
    assert_int_equal(atomic_load(&count), 10);
    ga_scope_fail(scope, 43);
    assert_int_equal(ga_scope_end(scope), 42);
}

typedef ga_chan(int) ints;

static void wait_for_nothing(struct ga_context *context, ints c)
{
    int value;
    atomic_fetch_add(&count, ga_recv_ctx(context, c, &value) == ECANCELED);
}

static void a_scopes_context_ends_its_childrens_waits(void **state)
{
    struct ga_context *parent = ga_context_with_cancel(NULL), *context = NULL;
    ints c = ga_make(ints);
    ga_scope *scope = ga_scope_new_ctx(parent, &context);
    atomic_store(&count, 0);
    for (int i = 0; i < 10; i++)
        ga_scope_go(scope, wait_for_nothing, context, c);
    assert_int_equal(ga_context_err(context), 0);
    ga_scope_go(scope, fail_with, scope, 42);
    assert_int_equal(ga_scope_wait(scope), 42);
    assert_int_equal(atomic_load(&count), 10);
    assert_int_equal(ga_context_err(context), ECANCELED);
    assert_int_equal(ga_scope_end(scope), 42);
    assert_int_equal(ga_context_err(parent), 0);

    scope = ga_scope_new_ctx(parent, &context);
    ga_context_retain(context);
    ga_scope_go(scope, take_none);
    assert_int_equal(ga_scope_end(scope), 0);
    assert_int_equal(ga_context_err(context), ECANCELED);
    ga_context_release(context);
    ga_context_release(parent);
    ga_chan_free(c);
}

static void an_empty_scope_is_done(void **state)
{
    ga_scope *scope = ga_scope_new();
    assert_int_equal(ga_scope_wait(scope), 0);
    ga_scope_go(scope, take_none);
    assert_int_equal(ga_scope_end(scope), 0);
}

static void nap(ga_scope *scope)
{
    ga_sleep(MS);
    ga_scope_go(scope, take_none);
}

static void *use_from_a_thread(void *unused)
{
    ga_scope *scope = ga_scope_new();
    atomic_store(&count, 0);
    for (int i = 0; i < 100; i++)
        ga_scope_go(scope, nap, scope);
    ga_scope_end(scope);
    ga_sleep(MS);
    ga_yield();
    return (void *)(uintptr_t)ga_self();
}

static void a_thread_may_use_everything(void **state)
{
    pthread_t thread;
    void *id;
    assert_int_equal(pthread_create(&thread, NULL, use_from_a_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &id), 0);
    assert_null(id);
    assert_int_equal(atomic_load(&count), 100);
}

static void sleep_for_ever(void)
{
    for (;;)
        ga_sleep(1000 * MS);
}

static void end_late(void)
{
    ga_sleep(20 * MS);
    atomic_fetch_add(&count, 1);
}

static void wait_and_look(atomic_int *seen)
{
    ga_wait_all();
    atomic_store(seen, 1 + atomic_load(&count));
}

static void a_daemon_may_wait_for_all(void **state)
{
    struct ga_go_options daemon = {.daemon = true};
    atomic_int seen = 0;
    atomic_store(&count, 0);
    ga_go(end_late);
    ga_go_opts(&daemon, wait_and_look, &seen);
    while (atomic_load(&seen) == 0)
        ga_sleep(MS);
    assert_int_equal(atomic_load(&seen), 2);
    ga_wait_all();
}

static void daemons_are_not_waited_for(void **state)
{
    struct ga_go_options daemon = {.daemon = true, .name = "sleeper"};
    ga_go_opts(&daemon, sleep_for_ever);
    ga_go(take_none);
    ga_wait_all();
}

static void wait_within(atomic_int *done)
{
    for (int i = 0; i < 10; i++)
        ga_go(take_none);
    ga_wait_all();
    atomic_fetch_add(done, 1);
}

static void all_may_be_waited_for_by_several(void **state)
{
    atomic_int done = 0;
    ga_go(wait_within, &done);
    ga_go(wait_within, &done);
    ga_wait_all();
    assert_int_equal(atomic_load(&done), 2);
}

/* --- Queues --- */

static void the_steal_order_visits_everyone(void **state)
{
    struct proc proc = {.random = 12345};
    for (unsigned n = 1; n <= 64; n++) {
        bool seen[64] = {false};
        unsigned step = sched_steal_step(&proc, n), at = 0;
        for (unsigned i = 0; i < n; i++, at = (at + step) % n) {
            assert_false(seen[at]);
            seen[at] = true;
        }
    }
}

static struct waiter many[QUEUE_SIZE];
static atomic_uint taken[QUEUE_SIZE];
static struct proc victim, thief;

static void *steal_some(void *rounds)
{
    for (long i = 0; i < (long)(intptr_t)rounds; i++) {
        struct waiter *waiter = queue_steal(&thief, &victim, false);
        for (; waiter; waiter = queue_pop(&thief))
            atomic_fetch_add(&taken[waiter - many], 1);
    }
    return NULL;
}

static void nothing_is_lost_or_run_twice_when_stolen(void **state)
{
    enum { ROUNDS = 2000 };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, steal_some, (void *)(intptr_t)(ROUNDS * 50)), 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < QUEUE_SIZE / 2; i++)
            queue_push(&victim, &many[i]);
        for (struct waiter *waiter; (waiter = queue_pop(&victim));)
            atomic_fetch_add(&taken[waiter - many], 1);
        bool all = false;
        while (!all) {
            all = true;
            for (unsigned i = 0; i < QUEUE_SIZE / 2; i++)
                all &= atomic_load(&taken[i]) > (unsigned)round;
            if (!all && !queue_is_empty(&victim))
                break;
        }
    }
    pthread_join(thread, NULL);
    for (struct waiter *waiter; (waiter = queue_pop(&victim));)
        atomic_fetch_add(&taken[waiter - many], 1);
    for (unsigned i = 0; i < QUEUE_SIZE / 2; i++)
        assert_int_equal(atomic_load(&taken[i]), ROUNDS);
}

/* --- Stacks --- */

static atomic_size_t stacks_seen;

static void see_stack(uintptr_t low, uintptr_t high, void *argument)
{
    (void)argument;
    atomic_fetch_add(&stacks_seen, low < high);
}

static void wait_for_stop(void)
{
    while (!atomic_load(&stop))
        ga_sleep(MS);
}

static void parked_stacks_can_be_visited(void **state)
{
    enum { PARKED = 50 };
    atomic_store(&stop, false);
    for (int i = 0; i < PARKED; i++)
        ga_go(wait_for_stop);
    do {
        ga_sleep(5 * MS); /* until all have come to park */
        atomic_store(&stacks_seen, 0);
        coro_each_stack(see_stack, NULL);
    } while (atomic_load(&stacks_seen) < PARKED);
    stop_all();
    ga_wait_all();
}

/* How many of the stacks behind this one have a page at their top. */
static size_t count_fetched(uintptr_t stack, size_t stride)
{
    enum { LOOK = 100 };
    size_t page = os_page_size(), fetched = 0;
    for (size_t i = 2; i <= LOOK + 1; i++)
        fetched += os_resident_in(stack + i * stride - page, page) > 0;
    return fetched;
}

/* Of never used stacks some get their first page ahead of need; not for long. Nobody else uses
 * stacks of this size. */
static void stacks_fetched_in_vain_go_back(void **state)
{
    enum { OTHERS = 32 + 128, SOME = 500, STACK = 128 << 10 }; /* the third slab has 512 */
    static struct waiter *stacks[OTHERS + SOME];
    NEEDS_A_KERNEL();
    if (sched.annotated)
        return; /* what a sanitizer knows of stacks lies there: they are kept */
    size_t made = 0, fetched = 0, stride = 0;
    uintptr_t stack = 0;
    while (made < OTHERS + 400 || (fetched < 8 && made < COUNT(stacks))) {
        struct waiter *last = stacks[made] = stack_take(NULL, STACK);
        assert_non_null(last);
        made++;
        stack = last->stack;
        stride = last->stack_size;
        if (made > OTHERS) {
            fetched = count_fetched(stack, stride);
            assert_in_range(fetched, 0, (made - OTHERS) / 16);
        }
    }
    assert_true(fetched >= 8 || !test_kernel_fetches());
    for (size_t i = 0; i < made; i++)
        stack_give(NULL, stacks[i]);
    for (int i = 0; count_fetched(stack, stride) > 0; i++) {
        assert_int_not_equal(i, 1000);
        ga_sleep(20 * MS); /* the monitor looks twice a second */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_arrive),
        cmocka_unit_test(bad_calls_are_refused_with_nothing_lost),
        cmocka_unit_test(the_count_of_coroutines_is_right),
        cmocka_unit_test(exit_ends_the_coroutine_at_once),
        cmocka_unit_test(each_has_a_number_of_its_own),
        cmocka_unit_test(a_stack_has_the_size_asked_for),
        cmocka_unit_test(yield_makes_progress),
        cmocka_unit_test(a_lone_yielder_lets_the_global_queue_in),
        cmocka_unit_test(a_pinned_yielder_lets_the_global_queue_in),
        cmocka_unit_test(yield_makes_progress_while_pinned),
        cmocka_unit_test(a_pinned_coroutine_keeps_its_thread),
        cmocka_unit_test(a_tight_loop_lets_others_run),
        cmocka_unit_test(timers_run_beside_tight_loops),
        cmocka_unit_test(calls_that_block_the_thread_stop_nobody),
        cmocka_unit_test(so_many_truly_run_at_once),
        cmocka_unit_test(a_tree_of_coroutines_ends),
        cmocka_unit_test(the_number_of_procs_may_change_at_any_time),
        cmocka_unit_test(fewer_procs_lose_nobody),
        cmocka_unit_test(errno_is_the_coroutines_own),
        cmocka_unit_test(the_rounding_mode_is_the_coroutines_own),
        cmocka_unit_test(the_first_error_cancels_the_rest_of_a_scope),
        cmocka_unit_test(a_scopes_context_ends_its_childrens_waits),
        cmocka_unit_test(an_empty_scope_is_done),
        cmocka_unit_test(a_thread_may_use_everything),
        cmocka_unit_test(a_daemon_may_wait_for_all),
        cmocka_unit_test(daemons_are_not_waited_for),
        cmocka_unit_test(all_may_be_waited_for_by_several),
        cmocka_unit_test(the_steal_order_visits_everyone),
        cmocka_unit_test(nothing_is_lost_or_run_twice_when_stolen),
        cmocka_unit_test(parked_stacks_can_be_visited),
        cmocka_unit_test(stacks_fetched_in_vain_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
