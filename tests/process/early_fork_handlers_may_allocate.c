// SPDX-License-Identifier: MIT
//
// The same for handlers registered before the allocator's own, as a library's constructor does it:
// their prepare runs after the allocator's, and their parent and child before. Other threads
// allocate all the while, and wait without harm.

#include "promise.h"

#include <pthread.h>
#include <stdatomic.h>

#define FORKS   100
#define THREADS 3

static unsigned calls;
static atomic_bool stop;

static void work(void)
{
    allocate_all_classes((size_t)1 << 20);
    use_whole_family();
    calls++;
}

static void before_constructors(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    (void)environment;
    expect(pthread_atfork(work, work, work) == 0, "expected to register fork handlers");
}

__attribute__((section(".preinit_array"),
               used)) static void (*preinit)(int, char **, char **) = before_constructors;

static void *allocate_for_ever(void *seed)
{
    struct random random = {(size_t)seed};
    void *blocks[64] = {NULL};
    while (!atomic_load(&stop)) {
        size_t i = random_next(&random) % 64;
        free(blocks[i]);
        blocks[i] = malloc(random_size(&random, 20));
        mark(blocks[i], 1, (unsigned char)i);
    }
    for (size_t i = 0; i < 64; i++)
        free(blocks[i]);
    return NULL;
}

static void fork_once(unsigned number)
{
    pid_t child = fork();
    if (child == 0) {
        watchdog(10);
        allocate_all_classes((size_t)1 << 20);
        _exit(0);
    }
    expect_success(child, "a child");
    expect(calls == 2 * number, "expected %u calls of the handlers, counted %u", 2 * number, calls);
}

int main(void)
{
    pthread_t threads[THREADS];
    promise_begin(30);
    for (unsigned i = 1; i <= FORKS / 2; i++)
        fork_once(i);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, allocate_for_ever, (void *)(i + 1));
    for (unsigned i = FORKS / 2 + 1; i <= FORKS; i++)
        fork_once(i);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    allocate_all_classes((size_t)1 << 20);
    return 0;
}
