// SPDX-License-Identifier: MIT
//
// The same for handlers registered before the allocator's own, as a library's constructor does it:
// their prepare runs after the allocator's, and their parent and child before.

#include "promise.h"

#include <pthread.h>

static unsigned calls;

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

int main(void)
{
    promise_begin(5);
    for (unsigned i = 1; i <= 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            watchdog(5);
            allocate_all_classes((size_t)1 << 20);
            _exit(0);
        }
        expect_success(child, "a child");
        expect(calls == 2 * i, "expected %u calls of the handlers, counted %u", 2 * i, calls);
    }
    return 0;
}
