// SPDX-License-Identifier: MIT
//
// A child that runs coroutines starts threads of its own, on the stacks that its parent's had:
// after many generations the address space is as large as after the first.
#include <goalloc/coro.h>

#include "promise.h"

#define GENERATIONS 100
#define COROUTINES  4
#define SLACK       ((size_t)40 << 10) /* KB; threads have 260 each */
static void give_way(void)
{
    ga_yield();
}

static void run_some(void)
{
    ga_set_procs(2);
    for (int i = 0; i < COROUTINES; i++)
        expect(ga_go(give_way) == 0, "a coroutine to start");
    ga_wait_all();
    ga_sleep(INT64_C(3000000)); /* until its threads idle, and have given back what they keep */
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
    run_some();
    size_t size = address_space_kb();
    if (first == 0)
        first = size;
    expect(size < first + SLACK, "generation %d to have some %zu KB like the first, not %zu",
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
    return 0;
}
