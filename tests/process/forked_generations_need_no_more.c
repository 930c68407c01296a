// SPDX-License-Identifier: MIT
//
// A child that runs coroutines starts threads of its own, on the stacks that its parent's had:
// after many generations the address space is as large as after the first.
#include <goalloc/coro.h>

#include "address_space.h"

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

static void go_on(int generation, size_t first)
{
    run_some();
    size_t size = address_space_kilobytes();
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
