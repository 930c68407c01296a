// SPDX-License-Identifier: MIT
//
// A block freed twice in a row is reported before it is handed out a second time, wherever in a
// thread's magazines the two lie, and whether or not others are freed after it.

#include "promise.h"

struct case_of {
    size_t size;
    unsigned magazine; /* at least how many blocks of that size a magazine holds */
};

static void *blocks[1024];

/* The second time one block is returned without a report, this ends well, which is wrong. */
static void free_twice(const struct case_of *it, unsigned before, unsigned after)
{
    unsigned count = 4 * it->magazine + 4, returned = 0;
    watchdog(10);
    close(2);
    for (unsigned i = 0; i < count; i++)
        blocks[i] = malloc(it->size);
    void *twice = blocks[before];
    for (unsigned i = 0; i <= before; i++)
        free(blocks[i]);
    free(twice);
    for (unsigned i = 1; i <= after; i++)
        free(blocks[before + i]);
    for (unsigned i = 0; i < count && returned < 2; i++)
        returned += malloc(it->size) == twice;
    _exit(0);
}

static void try(const struct case_of *it, unsigned before, unsigned after)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        free_twice(it, before, after);
    expect(waitpid(child, &status, 0) == child, "expected to wait for the child");
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
           "expected SIGABRT for a block of %zu bytes freed twice after %u others and before %u, "
           "got status 0x%x",
           it->size, before, after, (unsigned)status);
}

int main(void)
{
    static const struct case_of cases[] = {
        {112, 127}, {4000, 31}, {60000, 7}, {100000, 3}, {200000, 1}};
    promise_begin(60);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (unsigned before = 0; before <= 2 * cases[i].magazine + 2; before++)
            for (unsigned after = 0; after < 2; after++)
                try(&cases[i], before, after);
    return 0;
}
