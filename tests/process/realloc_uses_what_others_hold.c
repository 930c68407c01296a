// SPDX-License-Identifier: MIT
//
// Where there's no more address space, realloc of a large block succeeds by the free blocks of all
// other sizes that threads and depots hold, and a realloc to less never fails.

#include "address_space.h"

#define MB    ((size_t)1 << 20)
#define LIMIT (96 * MB)

static void in_child(void (*body)(void), const char *what)
{
    pid_t child = fork();
    if (child == 0) {
        watchdog(10);
        limit_address_space((address_space_kilobytes() << 10) + LIMIT);
        body();
        _exit(0);
    }
    expect_success(child, what);
}

/* Frees all of a chain, whose blocks stay in the thread's magazines and the depots. */
static void hold(size_t size, size_t bytes)
{
    struct link *chain = NULL;
    for (size_t sum = 0; sum < bytes; sum += size) {
        struct link *block = malloc(size);
        expect(block != NULL, "expected %zu bytes below the limit", size);
        block->next = chain;
        chain = block;
    }
    free_chain(chain);
}

static void grow_large(void)
{
    size_t size = 2 * MB;
    char *block = malloc(size);
    mark(block, size, 1);
    hold(65536, 40 * MB);
    hold(1000, 10 * MB);
    hold(100, 1 * MB);
    char *grown = realloc(block, 64 * MB);
    expect(grown != NULL, "expected realloc to 64 MB to use what 51 MB of free blocks hold");
    expect(grown[0] == 1 && grown[size - 1] == 1, "expected realloc to keep the bytes");
    free(grown);
    allocate_all_classes(2 * MB);
}

static void grow_small(void)
{
    char *block = malloc(120000);
    mark(block, 120000, 1);
    hold(65536, 40 * MB);
    hold(1000, 10 * MB);
    char *grown = realloc(block, 64 * MB);
    expect(grown != NULL, "expected realloc to 64 MB to use what 50 MB of free blocks hold");
    expect(grown[0] == 1 && grown[119999] == 1, "expected realloc to keep the bytes");
    free(grown);
}

/* To the last byte, then all of them smaller. */
static void shrink_all(void)
{
    static char *blocks[400];
    static const size_t sizes[] = {5 * MB, 2 * MB, 300000, 70000, 5000, 600};
    size_t bytes, size[400], count = 0;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (unsigned j = 0; j < 5; j++, count++) {
            size[count] = sizes[i];
            blocks[count] = malloc(sizes[i]);
            mark(blocks[count], sizes[i], (unsigned char)count);
        }
    for (size_t small = MB; small >= 16; small /= 2)
        allocate_to_the_limit(small, &bytes);
    for (unsigned divisor = 3; divisor <= 300; divisor *= 10)
        for (size_t i = 0; i < count; i++) {
            size_t less = size[i] / divisor;
            char *shrunk = realloc(blocks[i], less ? less : 1);
            expect(shrunk != NULL, "expected realloc from %zu bytes to %zu to succeed", size[i],
                   less);
            expect(shrunk[0] == (char)i, "expected realloc to keep the bytes");
            blocks[i] = shrunk;
        }
}

int main(void)
{
    promise_begin(40);
    in_child(grow_large, "the program whose large block grows");
    in_child(grow_small, "the program whose block becomes large");
    in_child(shrink_all, "the program whose blocks shrink");
    return 0;
}
