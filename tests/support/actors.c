// SPDX-License-Identifier: MIT
/* actors.c: see actors.h. */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <goalloc/coro.h>

#include "actors.h"
#include "libc/internal.h"
#include "test.h"

static bool are_threads; /* written between the tests */

#if defined(__SANITIZE_THREAD__)
static const unsigned most_coroutines =
    1000; /* it knows no more than 8,128, ended ones among them */
#else
static const unsigned most_coroutines = UINT_MAX;
#endif

unsigned actors_count(unsigned threads, unsigned coroutines)
{
    if (are_threads)
        return threads;
    return coroutines < most_coroutines ? coroutines : most_coroutines;
}

#if defined(__SANITIZE_THREAD__)
static const bool fork_may_start_threads = false; /* it ends a child that does */
#else
static const bool fork_may_start_threads = true;
#endif

bool actors_may_fork(void)
{
    /* An emulator of user programs falls over a thread that a forked child starts. */
    return are_threads && fork_may_start_threads && !getenv("GOALLOC_TEST_EMULATED");
}

/* --- Starting one --- */

struct start {
    void (*act)(void *);
    void *argument;
};

static void *run(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    start.act(start.argument);
    return NULL;
}

static void run_coroutine(struct start *start)
{
    run(start);
}

static void start_thread(struct start *start)
{
    pthread_t thread;
    pthread_attr_t attributes;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    assert_int_equal(pthread_create(&thread, &attributes, run, start), 0);
    pthread_attr_destroy(&attributes);
}

void actor_start(void (*act)(void *), void *argument)
{
    struct start *start = malloc(sizeof(*start));
    assert_non_null(start);
    *start = (struct start){act, argument};
    if (are_threads)
        start_thread(start);
    else
        assert_int_equal(ga_go(run_coroutine, start), 0);
}

/* --- Waiting for others --- */

static void sleep_for(long nanoseconds)
{
    struct timespec time = {0, nanoseconds};
    if (are_threads)
        nanosleep(&time, NULL);
    else
        ga_sleep(nanoseconds);
}

void actors_pause(void)
{
    sleep_for(10000000);
}

void actors_yield(void)
{
    if (are_threads)
        sched_yield();
    else
        ga_yield();
}

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

void actors_spin(long nanoseconds)
{
    for (long end = now() + nanoseconds; now() < end;)
        ;
}

void actors_wait(atomic_uint *counter, unsigned until)
{
    unsigned value, looks = 0;
    while ((value = atomic_load(counter)) < until) {
        if (looks++ < 100)
            actors_yield();
        else
            sleep_for(200000);
    }
    assert_int_equal(value, until);
}

/* --- Going on, or not --- */

struct attempt {
    void (*act)(void *);
    void *argument;
    atomic_uint ended;
};

static void attempt(void *argument)
{
    struct attempt *this = argument;
    this->act(this->argument);
    atomic_fetch_add(&this->ended, 1);
}

/* Never freed: who waits may be woken by a later part of the test. */
static struct attempt *start_attempt(void (*act)(void *), void *argument)
{
    struct attempt *this = calloc(1, sizeof(*this));
    assert_non_null(this);
    this->act = act;
    this->argument = argument;
    actor_start(attempt, this);
    return this;
}

bool actor_ends(void (*act)(void *), void *argument)
{
    struct attempt *this = start_attempt(act, argument);
    actors_wait(&this->ended, 1);
    free(this);
    return true;
}

bool actor_waits(void (*act)(void *), void *argument)
{
    struct attempt *this = start_attempt(act, argument);
    actors_pause();
    return atomic_load(&this->ended) == 0;
}

/* --- Running tests --- */

struct group {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
    int failed;
};

static void *run_group(void *argument)
{
    struct group *group = argument;
    group->failed = _cmocka_run_group_tests(group->name, group->tests, group->count, NULL, NULL);
    return NULL;
}

static int run_threads(struct group group)
{
    pthread_t thread;
    are_threads = true;
    if (pthread_create(&thread, NULL, run_group, &group) != 0)
        return 1;
    pthread_join(thread, NULL);
    are_threads = false;
    return group.failed;
}

static int run_coroutines(struct group group, int procs)
{
    ga_set_procs(procs);
    run_group(&group);
    return group.failed;
}

/* GOALLOC_TEST_ACTORS names one kind; without it, or with "all", one after the other. */
static bool is_wanted(const char *kind)
{
    const char *wanted = getenv("GOALLOC_TEST_ACTORS");
    return !wanted || strcmp(wanted, "all") == 0 || strcmp(wanted, kind) == 0;
}

int actors_run(const struct CMUnitTest *tests, size_t count)
{
    int failed = 0;
    fork_init();
    if (is_wanted("threads"))
        failed += run_threads((struct group){"threads", tests, count, 0});
    if (is_wanted("coroutines"))
        failed += run_coroutines((struct group){"coroutines", tests, count, 0}, 1);
    if (is_wanted("coroutines_on_3"))
        failed += run_coroutines((struct group){"coroutines on 3", tests, count, 0}, 3);
    return failed;
}
