// SPDX-License-Identifier: MIT
//
// fork while other threads malloc, free, fopen and fflush as fast as they can: neither the parent
// nor a child ever waits for a lock that nobody will release, and the child can allocate blocks of
// all classes, free what the parent allocated, use stdio, start threads and exec.

#include "promise.h"

#include <pthread.h>
#include <stdatomic.h>

#define FORKERS          2
#define FORKS_PER_FORKER 150

static atomic_bool stop;
static void *inherited[32];

static void *allocate_for_ever(void *seed)
{
    struct random random = {(uint64_t)(uintptr_t)seed};
    void *blocks[256] = {NULL};
    while (!atomic_load(&stop)) {
        unsigned i = random_next(&random) % 256;
        free(blocks[i]);
        blocks[i] = malloc(random_size(&random, 18));
    }
    for (unsigned i = 0; i < 256; i++)
        free(blocks[i]);
    return NULL;
}

static void *open_for_ever(void *unused)
{
    while (!atomic_load(&stop)) {
        FILE *file = fopen("/dev/null", "w");
        expect(file != NULL, "expected to open /dev/null");
        fputs("a line", file);
        fclose(file);
    }
    return unused;
}

static void *flush_for_ever(void *unused)
{
    while (!atomic_load(&stop))
        fflush(NULL);
    return unused;
}

static void *thread_of_child(void *unused)
{
    allocate_all_classes(100000);
    return unused;
}

static void in_child(int number, char **argv)
{
    pthread_t thread;
    watchdog(10);
    allocate_all_classes((size_t)2 << 20);
    use_whole_family();
    for (unsigned i = 0; i < 32; i++)
        free(inherited[i]);
    open_for_ever(NULL);
    fflush(NULL);
    if (number % 5 == 0) {
        pthread_create(&thread, NULL, thread_of_child, NULL);
        pthread_join(thread, NULL);
    }
    if (number % 10 == 0) {
        char after_exec[] = "after-exec", *arguments[] = {argv[0], after_exec, NULL};
        execv("/proc/self/exe", arguments);
        _exit(3);
    }
    _exit(0);
}

static void *fork_again_and_again(void *argv)
{
    for (int i = 0; i < FORKS_PER_FORKER; i++) {
        pid_t child = fork();
        if (child == 0) {
            atomic_store(&stop, true);
            in_child(i, argv);
        }
        expect_success(child, "a child of busy threads");
    }
    return NULL;
}

int main(int argc, char **argv)
{
    void *(*const bodies[])(void *) = {allocate_for_ever, allocate_for_ever, allocate_for_ever,
                                       open_for_ever, flush_for_ever};
    const size_t workers = sizeof(bodies) / sizeof(*bodies);
    pthread_t threads[sizeof(bodies) / sizeof(*bodies)], forker;
    promise_begin(60);
    if (argc > 1 && strcmp(argv[1], "after-exec") == 0) {
        allocate_all_classes(100000);
        return 0;
    }
    for (unsigned i = 0; i < 32; i++)
        inherited[i] = malloc((size_t)1 << i % 22);
    for (size_t i = 0; i < workers; i++)
        expect(pthread_create(&threads[i], NULL, bodies[i], (void *)(i + 1)) == 0,
               "expected to start %zu threads", workers);
    /* One fork from a thread, one from the main thread, at the same time. */
    pthread_create(&forker, NULL, fork_again_and_again, argv);
    fork_again_and_again(argv);
    pthread_join(forker, NULL);
    atomic_store(&stop, true);
    for (size_t i = 0; i < workers; i++)
        pthread_join(threads[i], NULL);
    allocate_all_classes((size_t)2 << 20);
    return 0;
}
