// SPDX-License-Identifier: MIT
/* How a process ends: deadlocks, overflows, misuse, SIGQUIT. Each in a child of its own. */
#include "support/test.h"

#include <goalloc/coro.h>
#include <goalloc/io.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "coro/internal.h"

#define MS INT64_C(1000000)

static void assert_exits(void (*function)(void *), int status, const char *words)
{
    struct child child;
    child_run(&child, function, NULL);
    assert_true(WIFEXITED(child.status));
    assert_int_equal(WEXITSTATUS(child.status), status);
    assert_non_null(strstr(child.text, words));
}

/* --- All asleep --- */

static bool stay(struct waiter *self, void *unused)
{
    (void)self;
    (void)unused;
    return true;
}

static void park_for_ever(void)
{
    park(stay, NULL, park_chan_recv, NULL);
}

static void nothing(void)
{
}

static void deadlock_at_start(void *unused)
{
    (void)unused;
    park_for_ever();
}

static void deadlock_in_main(void *unused)
{
    (void)unused;
    for (int i = 0; i < 10; i++)
        ga_go(nothing);
    ga_go(park_for_ever);
    ga_wait_all();
}

static void deadlock_while_locked(void *unused)
{
    (void)unused;
    ga_lock_os_thread();
    park_for_ever();
}

static void lock_and_park(void)
{
    ga_lock_os_thread();
    park_for_ever();
}

static void deadlock_of_a_locked_coroutine(void *unused)
{
    (void)unused;
    ga_go(lock_and_park);
    ga_wait_all();
}

static void *wait_in_a_thread(void *unused)
{
    (void)unused;
    park_for_ever();
    return NULL;
}

static void deadlock_with_a_thread(void *unused)
{
    pthread_t thread;
    (void)unused;
    ga_go(nothing);
    pthread_create(&thread, NULL, wait_in_a_thread, NULL);
    park_for_ever();
}

static void a_deadlock_is_reported(void **state)
{
    const char *words =
        "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive";
    assert_exits(deadlock_at_start, 2, words);
    assert_exits(deadlock_while_locked, 2, words);
    assert_exits(deadlock_with_a_thread, 2, words);
    assert_exits(deadlock_of_a_locked_coroutine, 2,
                 "goroutine 2 [chan receive, locked to thread]:");
}

static void a_deadlock_names_who_waits_and_whence(void **state)
{
    struct child child;
    child_run(&child, deadlock_in_main, NULL);
    assert_int_equal(WEXITSTATUS(child.status), 2);
    assert_non_null(strstr(child.text, "goroutine 1 [wait all]: main"));
    assert_non_null(strstr(child.text, "[chan receive]:\n\t")); /* and a frame */
    assert_non_null(strstr(child.text, "created by deadlock_in_main in goroutine 1\n"));
    assert_non_null(strstr(child.text, "test_coro_crash.c:"));
    assert_non_null(strstr(child.text, "(park_for_ever)"));
}

static void main_exits(void *unused)
{
    (void)unused;
    ga_go(nothing);
    ga_exit();
}

static void a_deadlock_after_mains_end_says_so(void **state)
{
    assert_exits(main_exits, 2,
                 "fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n");
}

/* --- No false alarm --- */

static void wake_later(struct waiter *waiter)
{
    ga_sleep(30 * MS);
    park_ready(waiter);
}

static void a_timer_is_hope(void *unused)
{
    (void)unused;
    ga_go(wake_later, park_self());
    park_for_ever();
}

static void wake_on_read(struct waiter *waiter, int fd)
{
    char byte;
    if (ga_read(fd, &byte, 1) == 1)
        park_ready(waiter);
}

static void *write_later(void *fd)
{
    struct timespec pause = {0, 30 * MS};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    return (void *)(intptr_t)write((int)(intptr_t)fd, "x", 1);
}

static void a_descriptor_is_hope(void *unused)
{
    int ends[2];
    pthread_t thread;
    (void)unused;
    if (pipe(ends) != 0)
        _exit(3);
    ga_go(wake_on_read, park_self(), ends[0]);
    ga_sleep(MS);
    pthread_create(&thread, NULL, write_later, (void *)(intptr_t)ends[1]);
    park_for_ever();
}

static void *ready_later(void *waiter)
{
    struct timespec pause = {0, 30 * MS};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    park_ready(waiter);
    return NULL;
}

/* It has never called in. */
static void a_thread_is_hope(void *unused)
{
    pthread_t thread;
    (void)unused;
    ga_go(nothing);
    pthread_create(&thread, NULL, ready_later, park_self());
    park_for_ever();
}

static void sit_in_the_kernel(struct waiter *waiter)
{
    ready_later(waiter);
}

static void a_call_in_the_kernel_is_hope(void *unused)
{
    (void)unused;
    ga_go(sit_in_the_kernel, park_self());
    park_for_ever();
}

static void there_is_no_false_alarm(void **state)
{
    assert_child_passes(a_timer_is_hope, NULL);
    assert_child_passes(a_descriptor_is_hope, NULL);
    assert_child_passes(a_thread_is_hope, NULL);
    assert_child_passes(a_call_in_the_kernel_is_hope, NULL);
}

/* --- How it starts, and what it leaves: in a process that has done nothing else --- */

static void procs_are(const char *text, int expected)
{
    setenv("GOMAXPROCS", text, 1);
    CHILD_CHECK(ga_set_procs(0) == expected);
}

static void three_procs(void *unused)
{
    (void)unused;
    procs_are("3", 3);
}

static void too_many_procs(void *unused)
{
    (void)unused;
    procs_are("99999999999", (int)PROCS_MAX);
}

static void no_number_of_procs(void *unused)
{
    (void)unused;
    procs_are("3x", (int)os_processors());
}

static void the_environment_says_how_many_procs(void **state)
{
    assert_child_passes(three_procs, NULL);
    assert_child_passes(too_many_procs, NULL);
    assert_child_passes(no_number_of_procs, NULL);
}

static void nap_deep(void)
{
    volatile char deep[16 << 10];
    for (size_t i = 0; i < sizeof(deep); i += 4096)
        deep[i] = 1;
    ga_sleep(20 * MS);
    deep[0] = 2;
}

/* The monitor sees to it, however soon all is idle. */
static void end_many_and_idle(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2000; i++)
        ga_go(nap_deep);
    ga_wait_all();
    size_t before = os_resident_bytes();
    CHILD_CHECK(before > (size_t)32 << 20);
    ga_sleep(3000 * MS);
    CHILD_CHECK(os_resident_bytes() < before / 2);
}

static void stacks_give_their_memory_back(void **state)
{
    NEEDS_A_KERNEL();
    assert_child_passes(end_many_and_idle, NULL);
}

/* --- Overflow --- */

static int recurse(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    return depth < 0 ? 0 : recurse(depth + 1) + frame[0];
}

static void overflow(void)
{
    recurse(1);
}

/* Right into the middle of the neighbour's, but for what compilers do about it. */
static void use_large_frame(void)
{
    volatile char frame[96 << 10];
    frame[0] = 1;
    (void)frame[0];
}

static void run_over(void *large)
{
    for (int i = 0; i < 10; i++)
        ga_go(nothing);
    if (large)
        ga_go(use_large_frame);
    else
        ga_go(overflow);
    ga_wait_all();
}

static void an_overflow_is_reported(void **state)
{
    struct child child;
    child_run(&child, run_over, NULL);
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGABRT);
    assert_non_null(strstr(child.text, "stack overflow"));
    assert_non_null(strstr(child.text, "created by run_over"));
    assert_non_null(strstr(child.text, "(overflow)"));
    child_run(&child, run_over, &child);
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGABRT);
    assert_non_null(strstr(child.text, "stack overflow"));
    assert_non_null(strstr(child.text, "(use_large_frame)"));
}

static void exit_with_7(int number)
{
    _exit(number == SIGSEGV ? 7 : 8);
}

static void write_to(volatile uintptr_t address)
{
    *(volatile int *)address = 1;
}

static void fault_with_a_handler(void *unused)
{
    (void)unused;
    (void)signal(SIGSEGV, exit_with_7);
    ga_go(nothing);
    ga_wait_all();
    write_to(8);
}

static void fault_without_a_handler(void *unused)
{
    (void)unused;
    ga_go(nothing);
    ga_wait_all();
    write_to(8);
}

static void other_faults_are_the_programs(void **state)
{
    struct child child;
    child_run(&child, fault_with_a_handler, NULL);
    assert_true(WIFEXITED(child.status));
    assert_int_equal(WEXITSTATUS(child.status), 7);
    child_run(&child, fault_without_a_handler, NULL);
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGSEGV);
}

/* --- SIGQUIT --- */

static void quit(void *unused)
{
    struct ga_go_options named = {.name = "the sleeper"};
    (void)unused;
    ga_go_opts(&named, ga_sleep, INT64_C(1000000000000));
    ga_go(park_for_ever);
    ga_sleep(5 * MS);
    raise(SIGQUIT);
    ga_sleep(20000 * MS);
}

static void sigquit_prints_everybody(void **state)
{
    struct child child;
    child_run(&child, quit, NULL);
    assert_true(WIFEXITED(child.status));
    assert_int_equal(WEXITSTATUS(child.status), 2);
    assert_non_null(strstr(child.text, "SIGQUIT"));
    assert_non_null(strstr(child.text, "[sleep]: the sleeper"));
    assert_non_null(strstr(child.text, "[chan receive]:"));
    assert_non_null(strstr(child.text, "created by quit in goroutine 1"));
}

static void handle_quit(int number)
{
    _exit(number == SIGQUIT ? 9 : 8);
}

static void quit_with_a_handler(void *unused)
{
    (void)unused;
    (void)signal(SIGQUIT, handle_quit);
    ga_go(nothing);
    raise(SIGQUIT);
}

static void a_programs_own_sigquit_stays(void **state)
{
    struct child child;
    child_run(&child, quit_with_a_handler, NULL);
    assert_true(WIFEXITED(child.status));
    assert_int_equal(WEXITSTATUS(child.status), 9);
}

/* --- Misuse --- */

static void *exit_a_thread(void *unused)
{
    (void)unused;
    ga_exit();
}

static void exit_in_a_thread(void *unused)
{
    pthread_t thread;
    (void)unused;
    ga_go(nothing);
    pthread_create(&thread, NULL, exit_a_thread, NULL);
    pthread_join(thread, NULL);
}

static void misuse_is_fatal(void **state)
{
    assert_exits(exit_in_a_thread, 2,
                 "fatal error: ga_exit called on a thread that is no coroutine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadlock_is_reported),
        cmocka_unit_test(a_deadlock_names_who_waits_and_whence),
        cmocka_unit_test(a_deadlock_after_mains_end_says_so),
        cmocka_unit_test(there_is_no_false_alarm),
        cmocka_unit_test(the_environment_says_how_many_procs),
        cmocka_unit_test(stacks_give_their_memory_back),
        cmocka_unit_test(an_overflow_is_reported),
        cmocka_unit_test(other_faults_are_the_programs),
        cmocka_unit_test(sigquit_prints_everybody),
        cmocka_unit_test(a_programs_own_sigquit_stays),
        cmocka_unit_test(misuse_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
