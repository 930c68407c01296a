// SPDX-License-Identifier: MIT
//
// A large block that must move while the process has more address space than its limit allows: the
// kernel refuses to move pages, perhaps midway. realloc returns NULL or the block with all that it
// held, and what it held stays readable; once the limit is raised everything works.

#include "address_space.h"

#include <malloc.h>

#define MB   ((size_t)1 << 20)
#define SIZE (8 * MB)

static void fill(size_t *numbers, size_t from, size_t to)
{
    for (size_t i = from / sizeof(*numbers); i < to / sizeof(*numbers); i++)
        numbers[i] = i;
}

static void expect_kept(const size_t *numbers, size_t size)
{
    for (size_t i = 0; i < size / sizeof(*numbers); i++)
        expect(numbers[i] == i, "expected number %zu of a block of %zu bytes to be kept", i, size);
}

/* The soft limit alone, which may be raised again. */
static void lower_limit(size_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    expect(setrlimit(RLIMIT_AS, &limit) == 0, "expected to set RLIMIT_AS to %zu bytes", bytes);
}

/* A block with another one right behind it, and a wide free place elsewhere in the heap. */
static size_t *walled_block(void)
{
    size_t *wide = malloc(64 * MB), *block = malloc(SIZE), *wall = malloc(2 * MB);
    expect(wide && block && wall, "expected three large blocks");
    fill(block, 0, SIZE);
    memset(wall, 1, 2 * MB);
    free(wide);
    return block;
}

/* Grows the block some times with `below` bytes less than what the process has. */
static void grow_below(size_t below)
{
    watchdog(8);
    size_t *block = walled_block();
    size_t size = SIZE;
    lower_limit((address_space_kilobytes() << 10) - below);
    for (unsigned i = 0; i < 4; i++) {
        size_t *grown = realloc(block, size + 2 * MB);
        if (grown) {
            block = grown;
            expect_kept(block, size);
            fill(block, size, size + 2 * MB);
            size += 2 * MB;
        }
        expect_kept(block, size);
        free(malloc(4 * MB));
    }
    lower_limit(RLIM_INFINITY);
    block = realloc(block, size + 32 * MB);
    expect(block != NULL, "expected realloc to succeed under no limit");
    expect_kept(block, size);
    fill(block, size, size + 32 * MB);
    size_t *another = walled_block();
    another = realloc(another, 2 * SIZE);
    expect_kept(another, SIZE);
    expect_kept(block, size + 32 * MB);
    free(another);
    free(block);
    allocate_all_classes(16 * MB);
    malloc_trim(0);
    allocate_all_classes(16 * MB);
    _exit(0);
}

int main(void)
{
    static const size_t below[] = {0, 4096, MB, 7 * MB, 9 * MB, 40 * MB, 64 * MB};
    promise_begin(60);
    for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
        pid_t child = fork();
        if (child == 0)
            grow_below(below[i]);
        expect_success(child, "the child under a lowered limit");
    }
    return 0;
}
