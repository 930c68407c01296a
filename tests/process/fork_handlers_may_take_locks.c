// SPDX-License-Identifier: MIT
//
// A library's fork handlers may take a lock under which its threads malloc and free, also where the
// library's constructor registered them before the program began: the allocator's handlers are the
// first of all to be registered, so its locks are the last to be taken.

#include "promise.h"

#include <pthread.h>
#include <stdatomic.h>

#include "libraries/locker.h"

#define FORKS   100
#define THREADS 2

static atomic_bool stop;

/* Sizes that fill magazines, and large ones, so that the allocator's locks are taken too. */
static void *work_under_lock(void *seed)
{
    struct random random = {(size_t)seed};
    void *blocks[64] = {NULL};
    while (!atomic_load(&stop)) {
        locker_lock();
        for (unsigned i = 0; i < 64; i++) {
            free(blocks[i]);
            blocks[i] = malloc(random_size(&random, 19));
            mark(blocks[i], 1, (unsigned char)i);
        }
        locker_unlock();
    }
    for (unsigned i = 0; i < 64; i++)
        free(blocks[i]);
    return NULL;
}

static void fork_once(void)
{
    pid_t child = fork();
    if (child == 0) {
        watchdog(10);
        locker_lock();
        allocate_all_classes((size_t)64 << 10);
        locker_unlock();
        _exit(0);
    }
    expect_success(child, "a child");
}

int main(void)
{
    pthread_t threads[THREADS];
    promise_begin(60);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work_under_lock, (void *)(i + 1));
    for (unsigned i = 0; i < FORKS; i++)
        fork_once();
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
