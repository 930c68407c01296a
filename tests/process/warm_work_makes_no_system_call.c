// SPDX-License-Identifier: MIT
//
// Once warm, a program that allocates and frees makes no system call for it and takes no page
// fault: pairs of 64 KB and 1 MB, and batches freed first in, first out, of blocks up to 64 KB.

#include "promise.h"

#include <sys/resource.h>

#define BATCH           1000
#define MAX_PAGE_FAULTS 20

static void *batch[BATCH];

static long page_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* The library's own, those that ga_stats makes left out. */
static size_t system_calls(void)
{
    static size_t by_stats;
    size_t first = stats_now().system_calls, second = stats_now().system_calls;
    by_stats += 2 * (second - first);
    return second - by_stats;
}

static void pairs(size_t size, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        char *block = malloc(size);
        mark(block, size, 1);
        free(block);
    }
}

static void batches(size_t size, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < BATCH; i++) {
            batch[i] = malloc(size);
            mark(batch[i], size, (unsigned char)i);
        }
        for (unsigned i = 0; i < BATCH; i++)
            free(batch[i]);
    }
}

static void expect_quiet(void (*work)(size_t, unsigned), const char *what, size_t size,
                         unsigned rounds)
{
    work(size, 20);
    size_t calls = system_calls();
    long faults = page_faults();
    work(size, rounds);
    faults = page_faults() - faults;
    calls = system_calls() - calls;
    expect(calls == 0, "expected %s of %zu bytes to make no system call, counted %zu", what, size,
           calls);
    expect(faults <= MAX_PAGE_FAULTS, "expected %s of %zu bytes to take no page fault, counted %ld",
           what, size, faults);
}

int main(void)
{
    static const size_t pair_sizes[] = {16, 1000, 32 << 10, 64 << 10, 256 << 10, 1 << 20};
    promise_begin(60);
    for (unsigned i = 0; i < sizeof(pair_sizes) / sizeof(*pair_sizes); i++)
        expect_quiet(pairs, "pairs", pair_sizes[i], 100000);
    for (size_t size = 16; size <= 64 << 10; size *= 2)
        expect_quiet(batches, "batches", size, 50);
    return 0;
}
