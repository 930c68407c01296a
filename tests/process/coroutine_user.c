// SPDX-License-Identifier: MIT
//
// Uses whatever orders coroutines and threads, correctly or with one mistake, for
// sanitizers_understand_coroutines.sh, which builds it with each of them.
//
// usage: coroutine_user none|race|overflow|"use after return"
#include <goalloc/chan.h>
#include <goalloc/context.h>
#include <goalloc/coro.h>
#include <goalloc/sync.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMES 200
#define MS    INT64_C(1000000)

typedef ga_chan(int *) pointers;
typedef ga_chan(int) ints;

static int shared; // each part hands it round in its own way

static void expect(int value, const char *what)
{
    if (shared != value) {
        fprintf(stderr, "%s: expected %d, got %d\n", what, value, shared);
        exit(1);
    }
    shared = 0;
}

// --- Channels, between coroutines and to a thread ---

static void produce(pointers c)
{
    for (int i = 0; i < TIMES; i++) {
        int *value = malloc(sizeof(*value));
        *value = i;
        ga_send(c, value);
    }
    ga_close(c);
}

static void consume(pointers c)
{
    ga_range (value, c) {
        shared += *value;
        free(value);
    }
}

static void *consume_in_a_thread(void *c)
{
    consume(c);
    return NULL;
}

static void by_channel(int capacity)
{
    pointers c = ga_make(pointers, capacity);
    ga_go(produce, c);
    ga_go(consume, c);
    ga_wait_all();
    ga_chan_free(c);
    expect(TIMES * (TIMES - 1) / 2, "by channel");

    pthread_t thread;
    c = ga_make(pointers, capacity);
    pthread_create(&thread, NULL, consume_in_a_thread, c);
    ga_go(produce, c);
    pthread_join(thread, NULL);
    ga_wait_all();
    ga_chan_free(c);
    expect(TIMES * (TIMES - 1) / 2, "by channel to a thread");
}

static void by_select(void)
{
    pointers a = ga_make(pointers), b = ga_make(pointers), first = a, second = b;
    int open = 2, *value;
    ga_go(produce, a);
    ga_go(produce, b);
    while (open > 0) {
        bool more = true;
        switch (ga_select(GA_RECV_OK(a, &value, &more), GA_RECV_OK(b, &value, &more))) {
        case 0:
            if (!more)
                a = NULL;
            break;
        case 1:
            if (!more)
                b = NULL;
            break;
        }
        open -= !more;
        if (more) {
            shared += *value;
            free(value);
        }
    }
    ga_wait_all();
    ga_chan_free(first);
    ga_chan_free(second);
    expect(TIMES * (TIMES - 1), "by select");
}

// --- Locks ---

static ga_mutex_t mutex;
static ga_rwmutex_t rwmutex;
static ga_sem_t semaphore = GA_SEM_INIT(1);
static ga_cond_t cond;
static ga_once_t once;

static void add_locked(ga_waitgroup_t *group)
{
    for (int i = 0; i < TIMES; i++) {
        ga_mutex_lock(&mutex);
        shared++;
        ga_cond_signal(&cond);
        ga_mutex_unlock(&mutex);
    }
    ga_waitgroup_done(group);
}

static void wait_for_all(ga_waitgroup_t *group)
{
    ga_mutex_lock(&mutex);
    while (shared < 4 * TIMES)
        ga_cond_wait(&cond, &mutex);
    ga_mutex_unlock(&mutex);
    ga_waitgroup_done(group);
}

static void add_write_locked(ga_waitgroup_t *group)
{
    for (int i = 0; i < TIMES; i++) {
        ga_rwmutex_lock(&rwmutex);
        shared++;
        ga_rwmutex_unlock(&rwmutex);
        ga_rwmutex_rlock(&rwmutex);
        if (shared < 0)
            abort();
        ga_rwmutex_runlock(&rwmutex);
    }
    ga_waitgroup_done(group);
}

static void add_under_semaphore(ga_waitgroup_t *group)
{
    for (int i = 0; i < TIMES; i++) {
        ga_sem_acquire(&semaphore, 1);
        shared++;
        ga_sem_release(&semaphore, 1);
        ga_yield();
    }
    ga_waitgroup_done(group);
}

static void initialise(void *unused)
{
    (void)unused;
    shared = 7;
}

static void see_initialised(ga_waitgroup_t *group)
{
    ga_once_do(&once, initialise, NULL);
    if (shared != 7)
        abort();
    ga_waitgroup_done(group);
}

static void by_lock(void)
{
    ga_waitgroup_t group = GA_WAITGROUP_INIT;
    ga_waitgroup_add(&group, 5);
    ga_go(wait_for_all, &group);
    for (int i = 0; i < 4; i++)
        ga_go(add_locked, &group);
    ga_waitgroup_wait(&group);
    expect(4 * TIMES, "by mutex");

    ga_waitgroup_add(&group, 8);
    for (int i = 0; i < 4; i++)
        ga_go(add_write_locked, &group);
    ga_wait_all();
    expect(4 * TIMES, "by read-write mutex");
    for (int i = 0; i < 4; i++)
        ga_go(add_under_semaphore, &group);
    ga_waitgroup_wait(&group);
    expect(4 * TIMES, "by semaphore");

    ga_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        ga_go(see_initialised, &group);
    ga_waitgroup_wait(&group);
    expect(7, "by once");
}

// --- Starting and ending ---

static void set(int *value)
{
    *value = 1;
}

static void set_later(void *value)
{
    *(int *)value += 1;
}

static void wait_for_end(struct ga_context *context, ga_waitgroup_t *group)
{
    ga_recv(ga_context_done(context));
    shared++;
    ga_waitgroup_done(group);
}

static void by_start_and_end(void)
{
    ga_scope *scope = ga_scope_new();
    shared = 5;
    ga_scope_go(scope, set, &shared);
    ga_scope_end(scope);
    expect(1, "by scope");

    ga_waitgroup_t group = GA_WAITGROUP_INIT;
    struct ga_context *context = ga_context_with_cancel(NULL);
    ga_waitgroup_add(&group, 1);
    ga_go(wait_for_end, context, &group);
    ga_yield();
    shared = 3;
    ga_context_cancel(context);
    ga_waitgroup_wait(&group);
    ga_context_release(context);
    expect(4, "by context");

    shared = 1;
    ga_timer *timer = ga_after(MS, set_later, &shared);
    ga_sleep(20 * MS);
    ga_wait_all();
    ga_timer_free(timer);
    expect(2, "by timer");
}

// --- Mistakes ---

// Each on a thread of its own, at the same time; how they meet orders nothing.
static void add_unlocked(void)
{
    static int arrived;
    __atomic_fetch_add(&arrived, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&arrived, __ATOMIC_RELAXED) < 2) {
    }
    for (volatile int *value = &shared; *value < 100 * TIMES; *value += 1)
        continue;
}

static void race(void)
{
    struct ga_go_options options = {.pinned = true};
    ga_set_procs(2);
    ga_go_opts(&options, add_unlocked);
    ga_go_opts(&options, add_unlocked);
    ga_wait_all();
    shared = 0;
}

static volatile int *kept;

static void overflow(void)
{
    volatile char *block = malloc(16);
    ga_yield();
    block[16] = 1; // NOLINT: the mistake
    free((void *)block);
}

static void keep_local(void)
{
    volatile int local = 1;
    kept = &local; // NOLINT: the mistake
}

static void use_after_return(void)
{
    keep_local();
    ga_yield();
    *kept = 2;
}

static void hold(ints c)
{
    char *block = malloc(4321); // known to this coroutine alone, which stays
    ga_recv(c);
    free(block);
}

int main(int argc, char **argv)
{
    const char *mistake = argc > 1 ? argv[1] : "none";
    if (strcmp(mistake, "race") == 0)
        race();
    else if (strcmp(mistake, "overflow") == 0)
        ga_go(overflow);
    else if (strcmp(mistake, "use after return") == 0)
        ga_go(use_after_return);
    ga_wait_all();
    by_channel(0);
    by_channel(8);
    by_select();
    by_lock();
    by_start_and_end();
    ints gate = ga_make(ints);
    ga_go(hold, gate);
    ga_sleep(MS);
    puts("done");
    return 0;
}
