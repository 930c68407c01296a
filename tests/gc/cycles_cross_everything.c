// SPDX-License-Identifier: MIT
//
// Cycles run back to back while other threads fork, start and end threads, open and close
// libraries, map, move and unmap memory, handle signals, and change user ids, which libc does by
// the signal that stops threads. Nothing hangs, every child and every thread finds its blocks as
// they were.

#include "collected.h"

#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static atomic_bool stop;
static const char *folder;
static atomic_size_t done[8];

static void *kept_block(void **block)
{
    return *block = make_block(400);
}

static void expect_kept(void *block)
{
    expect(is_whole(hide(block), 400), "expected a block that is kept to be whole");
}

static void churn(unsigned times)
{
    struct random random = {times + 1};
    void *blocks[64] = {NULL};
    for (unsigned i = 0; i < times; i++) {
        unsigned at = (unsigned)(random_next(&random) % 64);
        if (i % 3)
            free(blocks[at]);
        blocks[at] = malloc(random_size(&random, 14));
    }
}

static void *fork_for_ever(void *number)
{
    void *block;
    kept_block(&block);
    while (!atomic_load(&stop)) {
        pid_t child = fork();
        if (child == 0) {
            watchdog(20);
            expect_kept(block);
            churn(2000);
            expect(collect() == 0, "expected a cycle in a child to succeed");
            expect_kept(block);
            _exit(0);
        }
        expect_success(child, "a child");
        expect_kept(block);
        atomic_fetch_add((atomic_size_t *)number, 1);
    }
    return NULL;
}

static void *short_life(void *unused)
{
    void *block;
    kept_block(&block);
    churn(200);
    expect_kept(block);
    return unused;
}

static void *start_for_ever(void *number)
{
    while (!atomic_load(&stop)) {
        pthread_t threads[4];
        for (unsigned i = 0; i < 4; i++)
            expect(pthread_create(&threads[i], NULL, short_life, NULL) == 0, "expected a thread");
        for (unsigned i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        atomic_fetch_add((atomic_size_t *)number, 1);
    }
    return NULL;
}

static void *open_for_ever(void *number)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/libkeeper.so", folder);
    while (!atomic_load(&stop)) {
        void *library = dlopen(path, RTLD_NOW), *symbol;
        void **(*place)(void);
        expect(library != NULL, "expected to open %s", path);
        symbol = dlsym(library, "keeper_thread");
        memcpy(&place, &symbol, sizeof(symbol));
        kept_block(place());
        churn(500);
        expect_kept(*place());
        dlclose(library);
        atomic_fetch_add((atomic_size_t *)number, 1);
    }
    return NULL;
}

static void *map_for_ever(void *number)
{
    while (!atomic_load(&stop)) {
        void **page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        expect(page != MAP_FAILED, "expected a mapping");
        kept_block(&page[7000]);
        churn(200);
        page = mremap(page, 65536, 262144, MREMAP_MAYMOVE);
        expect(page != MAP_FAILED, "expected a mapping to move");
        churn(200);
        expect_kept(page[7000]);
        munmap(page, 262144);
        char *large = malloc((size_t)2 << 20);
        large[0] = 1;
        large = realloc(large, (size_t)6 << 20);
        expect(large && large[0] == 1, "expected a large block to keep its bytes");
        free(large);
        atomic_fetch_add((atomic_size_t *)number, 1);
    }
    return NULL;
}

static void on_alarm(int number)
{
    (void)number;
    atomic_fetch_add(&done[5], 1);
}

static void *change_ids(void *number)
{
    uid_t uid = geteuid();
    while (!atomic_load(&stop)) {
        expect(seteuid(uid) == 0, "expected to set the user id that it is");
        usleep(3000);
        atomic_fetch_add((atomic_size_t *)number, 1);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    void *(*const bodies[])(void *) = {fork_for_ever, start_for_ever, open_for_ever, map_for_ever,
                                       change_ids};
    const size_t workers = sizeof(bodies) / sizeof(*bodies);
    struct itimerval every = {{0, 2000}, {0, 2000}};
    pthread_t threads[sizeof(bodies) / sizeof(*bodies)];
    unsigned cycles = 0;
    gc_promise_begin(100);
    folder = argc > 1 ? argv[1] : ".";
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGPROF, &action, NULL);
    setitimer(ITIMER_PROF, &every, NULL);
    for (size_t i = 0; i < workers; i++)
        pthread_create(&threads[i], NULL, bodies[i], &done[i]);
    time_t end = time(NULL) + 3;
    for (; time(NULL) < end; cycles++)
        expect(collect() == 0, "expected a cycle to succeed");
    atomic_store(&stop, true);
    for (size_t i = 0; i < workers; i++) {
        pthread_join(threads[i], NULL);
        expect(atomic_load(&done[i]) > 0, "expected worker %zu to come round", i);
    }
    printf("%u cycles; %zu forks, %zu threads, %zu libraries, %zu mappings, %zu ids, %zu signals\n",
           cycles, (size_t)done[0], (size_t)done[1] * 4, (size_t)done[2], (size_t)done[3],
           (size_t)done[4], (size_t)done[5]);
    expect_forced_way();
    return 0;
}
