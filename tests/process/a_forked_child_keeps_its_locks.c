// SPDX-License-Identifier: MIT
//
// What the forking thread held and others waited for is as good as new in the child, where nobody
// waits any more: locks can be unlocked and taken again, and elements aren't handed to who is gone.
#include <goalloc/coro.h>

#include <pthread.h>
#include <stdatomic.h>

#include "promise.h"

#define FORKS   200
#define WORKERS 2
#define TURNS   2000

typedef ga_chan(int) ints;

static ga_mutex_t mutex;
static ga_sem_t semaphore;
static ga_waitgroup_t group;
static ints numbers;
static atomic_bool over;

// Waits, is woken, waits again: whatever the parent forks, somebody is on the way.
static void *contend(void *unused)
{
    (void)unused;
    while (!atomic_load(&over)) {
        ga_mutex_lock(&mutex);
        ga_mutex_unlock(&mutex);
        ga_sem_acquire(&semaphore, 1);
        ga_sem_release(&semaphore, 1);
    }
    return NULL;
}

static void *wait_for_group(void *unused)
{
    (void)unused;
    ga_waitgroup_wait(&group);
    return NULL;
}

static void receive(void)
{
    int got = 0;
    while (ga_recv_ok(numbers, &got))
        continue;
}

static void *take_turns(void *count)
{
    for (int i = 0; i < TURNS; i++) {
        ga_mutex_lock(&mutex);
        ++*(int *)count;
        ga_mutex_unlock(&mutex);
    }
    return NULL;
}

static int be_the_child(void)
{
    pthread_t threads[2];
    int count = 0;
    running = "a forked child";
    watchdog(20);
    ga_mutex_unlock(&mutex);
    for (int i = 0; i < 2; i++)
        expect(pthread_create(&threads[i], NULL, take_turns, &count) == 0, "expected a thread");
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    expect(count == 2 * TURNS, "expected %d turns, got %d", 2 * TURNS, count);
    ga_sem_release(&semaphore, 1);
    ga_sem_acquire(&semaphore, 1);
    ga_waitgroup_done(&group);
    ga_waitgroup_add(&group, 1);
    ga_waitgroup_done(&group);
    ga_waitgroup_wait(&group);
    expect(!ga_try_send(numbers, 1), "expected nobody to receive in the child");
    ga_go(receive);
    ga_send(numbers, 2);
    ga_close(numbers);
    ga_wait_all();
    return 0;
}

int main(void)
{
    pthread_t workers[WORKERS], waiter;
    promise_begin(110);
    ga_sem_init(&semaphore, 1);
    ga_waitgroup_add(&group, 1);
    numbers = ga_make(ints);
    ga_go(receive);
    for (int i = 0; i < WORKERS; i++)
        expect(pthread_create(&workers[i], NULL, contend, NULL) == 0, "expected a thread");
    expect(pthread_create(&waiter, NULL, wait_for_group, NULL) == 0, "expected a thread");
    for (int i = 0; i < FORKS; i++) {
        ga_mutex_lock(&mutex);
        ga_sem_acquire(&semaphore, 1);
        pid_t child = fork();
        expect(child >= 0, "expected a child");
        if (child == 0)
            _exit(be_the_child());
        ga_mutex_unlock(&mutex);
        ga_sem_release(&semaphore, 1);
        int status = 0;
        expect(waitpid(child, &status, 0) == child, "expected to wait for child %d", i);
        expect(status == 0, "expected child %d to end well, its status is %#x", i,
               (unsigned)status);
    }
    atomic_store(&over, true);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    ga_waitgroup_done(&group);
    pthread_join(waiter, NULL);
    return 0;
}
