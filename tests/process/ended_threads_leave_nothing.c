// SPDX-License-Identifier: MIT
//
// What a thread leaves behind the C library frees when it likes, while it holds a lock that whoever
// starts or joins a thread waits for, and on threads that are already at their end. That hangs in
// no mode, whatever the library would rather do just then; and no thread leaves a cache behind.

#include "promise.h"

#include <pthread.h>
#include <sys/prctl.h>

#define MB      ((size_t)1 << 20)
#define THREADS 16 /* their stacks are more than libc keeps */
#define ROUNDS  60

static void (*touch)(void);
static pthread_barrier_t all_there;

static void *come_and_go(void *with_storage)
{
    if (with_storage)
        touch();
    pthread_barrier_wait(&all_there);
    return NULL;
}

/* Threads at the same time, with a stack of the usual size each. */
static void start_threads(pthread_t ids[THREADS], bool detached, bool with_storage)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 8 * MB);
    pthread_attr_setdetachstate(&attributes, detached);
    for (int i = 0; i < THREADS; i++)
        expect(pthread_create(&ids[i], &attributes, come_and_go, with_storage ? ids : NULL) == 0,
               "expected a thread");
    pthread_attr_destroy(&attributes);
    pthread_barrier_wait(&all_there);
}

static void run_threads(bool with_storage)
{
    pthread_t ids[THREADS];
    start_threads(ids, false, with_storage);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
}

static void free_much_while_joining(void)
{
    run_threads(true);
}

/* The scavenger's thread, which the join could not start, comes with the next call. */
static void free_much_and_start_a_thread(void)
{
    run_threads(true);
    for (int tries = 0; tries < 100 && proc_number("/proc/self/status", "Threads:") < 2; tries++) {
        free(malloc(2 * MB));
        usleep(10000);
    }
    expect(proc_number("/proc/self/status", "Threads:") == 2, "expected the scavenger's thread");
}

/* What the loader allocates for threads starts no collector, either. */
static void allocate_much_by_the_loader(void)
{
    run_threads(true);
    expect(proc_number("/proc/self/status", "Threads:") == 1, "expected no thread but this one");
    for (int tries = 0; tries < 1000 && proc_number("/proc/self/status", "Threads:") < 2; tries++)
        expect(malloc(MB / 2) != NULL, "expected a block");
    expect(proc_number("/proc/self/status", "Threads:") >= 2, "expected the collector's thread");
}

static void wait_until_alone(void)
{
    while (proc_number("/proc/self/status", "Threads:") > 1)
        usleep(1000);
}

static void leave_no_cache(void)
{
    pthread_t ids[THREADS];
    for (int round = 0; round < ROUNDS; round++) {
        start_threads(ids, true, false);
        wait_until_alone();
    }
    expect(stats_now().threads <= 1, "expected no thread but this one to have a cache, %zu have",
           stats_now().threads);
}

static const struct program {
    const char *name;
    void (*body)(void);
    const char *options;
} programs[] = {
    {"by default", free_much_while_joining, ""},
    {"with a thread", free_much_and_start_a_thread, "background"},
    {"hardened, with a thread", free_much_while_joining, "hardened,background"},
    {"with a collector", allocate_much_by_the_loader, "gc=collect"},
    {"leaving no cache", leave_no_cache, ""},
    {"leaving no cache, hardened", leave_no_cache, "hardened"},
};

static void open_library(const char *directory)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/libroomy.so", directory);
    void *library = dlopen(path, RTLD_NOW);
    expect(library != NULL, "expected to open %s", path);
    void *symbol = dlsym(library, "roomy_touch");
    memcpy(&touch, &symbol, sizeof(touch));
}

/* Who hangs has all signals blocked: it ends with its parent. */
static void run(const struct program *program)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    open_library(getenv("LIBRARIES"));
    pthread_barrier_init(&all_there, NULL, THREADS + 1);
    program->body();
}

int main(int argc, char **argv)
{
    promise_begin(60);
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
        if (strcmp(argv[1], programs[i].name) == 0) {
            run(&programs[i]);
            return 0;
        }
    expect(argc == 2, "expected the helper libraries' directory");
    setenv("LIBRARIES", argv[1], 1);
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
        running = programs[i].name;
        setenv("GOALLOC", programs[i].options, 1);
        run_again(programs[i].name);
    }
    return 0;
}
