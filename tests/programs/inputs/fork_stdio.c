// SPDX-License-Identifier: MIT
// Threads that open, flush and close streams while the main thread forks: fork takes the stdio
// locks after the fork handlers ran, the threads hold them while they call malloc. An allocator
// that locks itself in its fork handler without thinking of that stands still here.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, FORKS = 60 };

static atomic_bool stop;

// The stream's own write function: fflush(NULL) calls it with the list of streams locked, and it
// asks for blocks that no thread's cache holds.
static ssize_t write_and_allocate(void *cookie, const char *data, size_t size)
{
    (void)cookie;
    (void)data;
    for (size_t i = 1; i <= 32; i++) {
        char *volatile block = malloc(i * 9000U);
        if (!block) {
            abort();
        }
        block[0] = 1;
        free(block);
    }
    return (ssize_t)size;
}

static void *use_stdio(void *unused)
{
    cookie_io_functions_t functions = {.write = write_and_allocate};
    while (!atomic_load(&stop)) {
        FILE *file = fopencookie(NULL, "w", functions);
        if (!file) {
            abort();
        }
        fprintf(file, "%p\n", (void *)file);
        fflush(NULL);
        fclose(file);
    }
    return unused;
}

static void *allocate(void *unused)
{
    void *kept[64] = {0};
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        free(kept[i % 64]);
        kept[i % 64] = malloc(i * 7919U % 5000U);
    }
    for (unsigned i = 0; i < 64; i++) {
        free(kept[i]);
    }
    return unused;
}

// What a child does: allocates, uses stdio, starts a thread of its own, ends.
static _Noreturn void be_child(void)
{
    pthread_t thread;
    FILE *file = fopen("/dev/null", "w");
    void *block = malloc(100000);
    atomic_store(&stop, true);
    int bad = !file || !block || pthread_create(&thread, NULL, allocate, NULL) ||
              pthread_join(thread, NULL);
    free(block);
    fclose(file);
    _exit(bad ? 1 : 0);
}

int main(void)
{
    pthread_t threads[2 * THREADS];
    int good = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[2 * i], NULL, use_stdio, NULL);
        pthread_create(&threads[2 * i + 1], NULL, allocate, NULL);
    }
    for (int i = 0; i < FORKS; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            be_child();
        }
        if (child > 0 && waitpid(child, &status, 0) == child && status == 0) {
            good++;
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2 * THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%d children ended well\n", good);
    return 0;
}
