// SPDX-License-Identifier: MIT
//
// A child of vfork may allocate before it execs, as shells do it, while the parent's other threads
// allocate; posix_spawn and system work likewise. The parent's heap, which the child borrows, is
// whole afterwards.

#include "promise.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>

extern char **environ;

static atomic_bool stop;

static void *allocate_for_ever(void *seed)
{
    struct random random = {(uint64_t)(uintptr_t)seed};
    void *blocks[64] = {NULL};
    while (!atomic_load(&stop)) {
        unsigned i = random_next(&random) % 64;
        free(blocks[i]);
        blocks[i] = malloc(random_size(&random, 18));
    }
    for (unsigned i = 0; i < 64; i++)
        free(blocks[i]);
    return NULL;
}

static void by_vfork(char **arguments)
{
    pid_t child = vfork();
    if (child == 0) {
        allocate_all_classes((size_t)1 << 20);
        execv("/proc/self/exe", arguments);
        _exit(3);
    }
    expect_success(child, "a vfork child");
}

static void by_spawn(char **arguments)
{
    pid_t child = -1;
    expect(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0,
           "expected posix_spawn to succeed");
    expect_success(child, "a spawned child");
}

int main(int argc, char **argv)
{
    char after_exec[] = "after-exec", *arguments[] = {argv[0], after_exec, NULL};
    pthread_t threads[2];
    promise_begin(30);
    if (argc > 1 && strcmp(argv[1], "after-exec") == 0) {
        allocate_all_classes((size_t)1 << 20);
        return 0;
    }
    for (size_t i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, allocate_for_ever, (void *)(i + 1));
    for (unsigned i = 0; i < 60; i++) {
        by_vfork(arguments);
        by_spawn(arguments);
    }
    expect(system("true") == 0, "expected system() to run true");
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    allocate_all_classes((size_t)4 << 20);
    return 0;
}
