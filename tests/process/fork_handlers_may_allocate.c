// SPDX-License-Identifier: MIT
//
// Handlers that a program gives to pthread_atfork may malloc and free, in prepare, parent and
// child, and children may fork again: eight generations of them, each with blocks of its forebears.

#include "promise.h"

#include <pthread.h>

#define GENERATIONS 8

static unsigned prepare_calls, parent_calls, child_calls;
static void *held[3];

static void work(unsigned *calls)
{
    for (unsigned i = 0; i < 3; i++) {
        free(held[i]);
        held[i] = malloc((size_t)100 << i * 5);
        mark(held[i], 100, 1);
    }
    allocate_all_classes((size_t)1 << 20);
    ++*calls;
}

static void prepare(void)
{
    work(&prepare_calls);
}

static void parent(void)
{
    work(&parent_calls);
}

static void child(void)
{
    work(&child_calls);
}

/* What each child does with a block of its parent's. */
static void *begin_child(unsigned number, void *inherited)
{
    watchdog(20);
    expect_mark(inherited, 1000, (unsigned char)(number - 1));
    free(inherited);
    expect(child_calls == number, "expected %u calls of the child handler, counted %u", number,
           child_calls);
    allocate_all_classes((size_t)1 << 20);
    void *block = malloc(1000);
    mark(block, 1000, (unsigned char)number);
    return block;
}

/* Each generation waits for the next; the last ends first. */
static void fork_generations(void *block)
{
    for (unsigned number = 1; number <= GENERATIONS; number++) {
        pid_t child = fork();
        if (child == 0) {
            block = begin_child(number, block);
            continue;
        }
        expect_success(child, "a child");
        allocate_all_classes((size_t)1 << 20);
        if (number == 1)
            return;
        _exit(0);
    }
    _exit(0);
}

int main(void)
{
    promise_begin(30);
    expect(pthread_atfork(prepare, parent, child) == 0, "expected to register fork handlers");
    void *block = malloc(1000);
    mark(block, 1000, 0);
    fork_generations(block);
    expect(prepare_calls == 1 && parent_calls == 1,
           "expected one call of prepare and parent, counted %u and %u", prepare_calls,
           parent_calls);
    return 0;
}
