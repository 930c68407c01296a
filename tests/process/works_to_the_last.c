// SPDX-License-Identifier: MIT
//
// malloc and free work to the end of a process: in atexit and on_exit handlers, in the program's
// destructors, and in a library's destructor that runs after the allocator's own.

#include "promise.h"

#include <sys/mman.h>

#include "libraries/first_and_last.h"

enum mark_index { MARK_ATEXIT, MARK_ON_EXIT, MARK_PROGRAM, MARK_LIBRARY, MARK_COUNT };

static volatile int *marks;
static void *from_main[64];

static void work(enum mark_index index)
{
    allocate_all_classes((size_t)4 << 20);
    use_whole_family();
    for (unsigned i = index; i < 64; i += MARK_COUNT)
        free(from_main[i]);
    if (marks)
        marks[index] = 1;
}

static void at_exit(void)
{
    work(MARK_ATEXIT);
}

static void on_exit_handler(int status, void *unused)
{
    (void)status;
    (void)unused;
    work(MARK_ON_EXIT);
}

__attribute__((destructor)) static void program_destructor(void)
{
    work(MARK_PROGRAM);
}

int main(void)
{
    static const char *const names[] = {"atexit handler", "on_exit handler", "program's destructor",
                                        "library's destructor"};
    promise_begin(20);
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    expect(shared != MAP_FAILED, "expected a shared page");
    for (unsigned i = 0; i < 64; i++)
        from_main[i] = malloc((size_t)1 << i % 20);
    marks = shared;
    pid_t child = fork();
    if (child == 0) {
        watchdog(10);
        last_ran = &marks[MARK_LIBRARY];
        atexit(at_exit);
        on_exit(on_exit_handler, NULL);
        exit(0);
    }
    expect_success(child, "the child that exits");
    for (unsigned i = 0; i < MARK_COUNT; i++)
        expect(marks[i] == 1, "expected the %s to have run to its end", names[i]);
    return 0;
}
