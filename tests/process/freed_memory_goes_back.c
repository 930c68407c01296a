// SPDX-License-Identifier: MIT
//
// What a program frees goes back to the system soon and unasked, large blocks and small ones alike;
// but a program that needs its memory again at once, and again, keeps it.

#include "promise.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define MB ((size_t)1 << 20)

static void **blocks;

/* The list of blocks isn't malloc's: it would be in use. */
static void in_child(void (*body)(void), const char *what)
{
    pid_t child = fork();
    if (child == 0) {
        watchdog(30);
        body();
        _exit(0);
    }
    expect_success(child, what);
}

static void allocate(size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(size);
        expect(blocks[i] != NULL, "expected a block of %zu bytes", size);
        memset(blocks[i], 1, size);
    }
}

static void shuffle(size_t count)
{
    struct random random = {42};
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = random_next(&random) % (i + 1);
        void *block = blocks[i];
        blocks[i] = blocks[j];
        blocks[j] = block;
    }
}

static void free_all(size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

/* A program that does a little now and then. */
static void idle(void)
{
    const struct timespec tenth = {0, 100000000};
    for (unsigned i = 0; i < 10; i++) {
        nanosleep(&tenth, NULL);
        free(malloc(100));
    }
}

/* 256 MB of 64 KB: RSS is at most 12 MB above what it was. */
static void free_large(void)
{
    const size_t count = 4096, size = (size_t)64 << 10;
    size_t start = resident_kilobytes();
    allocate(count, size);
    size_t full = resident_kilobytes();
    expect(full >= start + (count * size >> 10), "expected RSS to grow by 256 MB, to %zu KB", full);
    free_all(count);
    idle();
    size_t end = resident_kilobytes();
    expect(end <= start + (12 << 10), "expected RSS to come back to %zu KB and 12 MB, it is %zu KB",
           start, end);
}

/* Two million of 100 bytes in random order: at most a tenth stays. */
static void free_small(void)
{
    const size_t count = 2000000;
    size_t start = resident_kilobytes();
    allocate(count, 100);
    size_t peak = resident_kilobytes() - start;
    expect(peak >= count * 100 >> 10, "expected RSS to grow by 200 MB, it grew by %zu KB", peak);
    shuffle(count);
    free_all(count);
    idle();
    size_t end = resident_kilobytes() - start;
    expect(end <= peak / 10, "expected at most a tenth of %zu KB to stay, %zu KB did", peak, end);
}

static long page_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* 128 MB again and again: its pages are fetched anew some few times, not twenty, and in the end not
 * at all. */
static void sawtooth(void)
{
    const size_t count = 2048, size = (size_t)64 << 10;
    long before = page_faults();
    allocate(count, size);
    long fill = page_faults() - before;
    free_all(count);
    long all = 0, last = 0;
    for (unsigned i = 1; i < 20; i++) {
        allocate(count, size);
        free_all(count);
        last = page_faults() - before - all;
        all += last;
    }
    expect(all <= 4 * fill, "expected at most 4 times the %ld page faults of one fill, got %ld",
           fill, all);
    expect(last <= fill / 10, "expected the last fill to find its pages, it had %ld page faults",
           last);
}

int main(void)
{
    promise_begin(60);
    size_t list = 2000000 * sizeof(*blocks);
    blocks = mmap(NULL, list, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(blocks != MAP_FAILED, "expected memory for a list of blocks");
    memset(blocks, 1, list); /* it counts from the start */
    in_child(free_large, "the program that frees 256 MB");
    in_child(free_small, "the program that frees small blocks");
    in_child(sawtooth, "the program that needs its memory again");
    return 0;
}
