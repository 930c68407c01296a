// SPDX-License-Identifier: MIT
//
// A child that runs coroutines starts threads of its own, on the stacks that its parent's had:
// after many generations the address space is as large as after the first. And thread-local storage
// may be larger than those stacks.
#include <goalloc/coro.h>

#include "promise.h"

#define GENERATIONS 50
#define COROUTINES  20
#define LARGE       ((size_t)400 << 10)

static __thread char large[LARGE];

static void use_thread_local_storage(void)
{
    large[0] = large[LARGE - 1] = 1;
    ga_yield();
}

static void use_nothing(void)
{
    ga_yield();
}

static void run_some(void (*function)(void))
{
    ga_set_procs(4);
    for (int i = 0; i < COROUTINES; i++)
        expect(ga_go(function) == 0, "a coroutine to start");
    ga_wait_all();
}

static size_t address_space_kb(void)
{
    char line[256];
    size_t size = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "VmSize:", 7) == 0)
            size = strtoul(line + 7, NULL, 10);
    expect(file && size > 0, "/proc/self/status to tell the size");
    fclose(file);
    return size;
}

static void go_on(int generation, size_t first)
{
    run_some(use_nothing);
    size_t size = address_space_kb();
    if (first == 0)
        first = size;
    expect(size < first + (16 << 10), "generation %d to have some %zu KB like the first, not %zu",
           generation, first, size);
    if (generation == GENERATIONS)
        return;
    pid_t child = fork();
    int status = -1;
    if (child == 0) {
        go_on(generation + 1, first);
        _exit(0);
    }
    expect(waitpid(child, &status, 0) == child && status == 0, "a child to end well, not with %x",
           (unsigned)status);
}

int main(void)
{
    go_on(0, 0);
    run_some(use_thread_local_storage);
    return 0;
}
