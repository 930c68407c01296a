// SPDX-License-Identifier: MIT
//
// Blocks that grow are given room to grow on, but not at any price: one that grows to 200 MB maps
// at most twice that and 64 MB more, and so do many that grow to a megabyte or eight.

#include "promise.h"

#define MB ((size_t)1 << 20)

static void expect_mapped(size_t bytes, const char *what)
{
    size_t mapped = stats_now().mapped, most = 2 * bytes + 64 * MB;
    expect(mapped <= most, "expected %s to map at most %zu MB of heap, they mapped %zu MB", what,
           most / MB, mapped / MB);
}

/* `count` blocks, one after the other or in turn, by steps of a half. */
static void grow(unsigned count, size_t size, bool in_turn, const char *what)
{
    static char *blocks[1000];
    size_t first = in_turn ? 1000 : size;
    for (size_t now = first; now <= size; now += now / 2)
        for (unsigned i = 0; i < count; i++)
            for (size_t step = in_turn ? now : 1000; step <= now; step += step / 2) {
                blocks[i] = realloc(blocks[i], step);
                mark(blocks[i], step, (unsigned char)i);
            }
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = realloc(blocks[i], size);
        mark(blocks[i], size, (unsigned char)i);
    }
    expect_mapped(count * size, what);
    _exit(0);
}

static void try(unsigned count, size_t size, bool in_turn, const char *what)
{
    pid_t child = fork();
    if (child == 0) {
        watchdog(20);
        grow(count, size, in_turn, what);
    }
    expect_success(child, what);
}

int main(void)
{
    promise_begin(60);
    try(1, 200 * MB, false, "one block of 200 MB");
    try(200, MB, false, "200 blocks of 1 MB");
    try(200, MB, true, "200 blocks of 1 MB in turn");
    try(30, 8 * MB, false, "30 blocks of 8 MB");
    try(30, 8 * MB, true, "30 blocks of 8 MB in turn");
    return 0;
}
