// SPDX-License-Identifier: MIT
//
// A block that grows to 64 MB by steps of one half isn't copied again and again: each of its pages
// is touched about once, as the count of page faults shows, and its bytes stay; also where two
// blocks grow in turn, each in the other's way.

#include "promise.h"

#include <sys/resource.h>

#define LARGEST ((size_t)64 << 20)
#define FROM    ((size_t)1 << 10)

static long page_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* Bytes by their place, so that any that move are noticed. */
static unsigned char pattern(size_t at, unsigned char seed)
{
    return (unsigned char)(at * 31 / 4096 + at + seed);
}

struct growing {
    unsigned char *bytes;
    size_t size;
    unsigned char seed;
};

static void grow(struct growing *block, size_t size)
{
    block->bytes = realloc(block->bytes, size);
    expect(block->bytes != NULL, "expected realloc to %zu bytes", size);
    for (size_t at = block->size; at < size; at++)
        block->bytes[at] = pattern(at, block->seed);
    block->size = size;
}

static void expect_kept(const struct growing *block)
{
    for (size_t at = 0; at < block->size; at++)
        expect(block->bytes[at] == pattern(at, block->seed),
               "expected byte %zu of %zu to be kept by realloc", at, block->size);
}

/* `count` blocks grow in turn. */
static void grow_all(unsigned count)
{
    struct growing blocks[4] = {{NULL, 0, 1}, {NULL, 0, 2}, {NULL, 0, 3}, {NULL, 0, 4}};
    const long pages = (long)(count * LARGEST / (size_t)sysconf(_SC_PAGESIZE));
    long before = page_faults();
    for (size_t size = FROM; size < LARGEST; size += size / 2)
        for (unsigned i = 0; i < count; i++)
            grow(&blocks[i], size);
    for (unsigned i = 0; i < count; i++)
        grow(&blocks[i], LARGEST);
    long faults = page_faults() - before;
    /* To copy at each step would make it three times the pages. */
    expect(faults <= pages + pages / 4, "expected about %ld page faults for %u blocks, counted %ld",
           pages, count, faults);
    for (unsigned i = 0; i < count; i++) {
        expect_kept(&blocks[i]);
        blocks[i].bytes = realloc(blocks[i].bytes, 1000);
        blocks[i].size = 1000;
        expect_kept(&blocks[i]);
        free(blocks[i].bytes);
    }
}

int main(void)
{
    promise_begin(60);
    /* A fork each, so that none finds the other's pages. */
    for (unsigned count = 1; count <= 4; count *= 2) {
        pid_t child = fork();
        if (child == 0) {
            watchdog(30);
            grow_all(count);
            _exit(0);
        }
        expect_success(child, "the child whose blocks grow");
    }
    return 0;
}
