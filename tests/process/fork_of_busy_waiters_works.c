// SPDX-License-Identifier: MIT
//
// A child of a process whose threads are in the midst of locks, channels and their own first and
// last calls may use all of these itself.
#include <goalloc/coro.h>

#include <pthread.h>
#include <stdatomic.h>

#include "promise.h"

#define FORKS   300
#define WORKERS 3
#define LOCKS   64
#define TURNS   50

static atomic_bool over;
static ga_mutex_t locks[LOCKS];
static ga_sem_t semaphores[LOCKS];

// Locks are told by their addresses: those of the child's are the parent's that somebody waits for.
static void take_all(void)
{
    for (int i = 0; i < LOCKS; i++) {
        ga_mutex_lock(&locks[i]);
        ga_sem_acquire(&semaphores[i], 1);
        ga_sem_release(&semaphores[i], 1);
        ga_mutex_unlock(&locks[i]);
    }
}

static void *take_turns(void *unused)
{
    (void)unused;
    for (int i = 0; i < TURNS; i++)
        take_all();
    return NULL;
}

static void make_locks(void)
{
    for (int i = 0; i < LOCKS; i++) {
        locks[i] = (ga_mutex_t)GA_MUTEX_INIT;
        ga_sem_init(&semaphores[i], 1);
    }
}

// Threads that come, wait, and go.
static void *start_others(void *unused)
{
    (void)unused;
    while (!atomic_load(&over)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, take_turns, NULL) != 0)
            continue;
        take_all();
        pthread_join(thread, NULL);
    }
    return NULL;
}

static void add(int *sum, int value)
{
    *sum += value;
}

static int be_the_child(void)
{
    pthread_t threads[2];
    int sum = 0;
    running = "a forked child";
    watchdog(20);
    make_locks(); // somebody may have held them
    for (int i = 0; i < 2; i++)
        expect(pthread_create(&threads[i], NULL, take_turns, NULL) == 0, "expected a thread");
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    expect(ga_go(add, &sum, 7) == 0, "expected a coroutine in the child");
    ga_wait_all();
    expect(sum == 7, "expected the child's coroutine to run");
    return 0;
}

int main(void)
{
    pthread_t workers[WORKERS];
    promise_begin(110);
    make_locks();
    for (int i = 0; i < WORKERS; i++)
        expect(pthread_create(&workers[i], NULL, start_others, NULL) == 0, "expected a thread");
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        expect(child >= 0, "expected a child");
        if (child == 0)
            _exit(be_the_child());
        int status = 0;
        expect(waitpid(child, &status, 0) == child, "expected to wait for child %d", i);
        expect(status == 0, "expected child %d to end well, its status is %#x", i,
               (unsigned)status);
    }
    atomic_store(&over, true);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    return 0;
}
