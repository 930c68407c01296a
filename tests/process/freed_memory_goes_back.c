// SPDX-License-Identifier: MIT
//
// What a program frees goes back to the system soon and unasked, large blocks and small ones alike,
// and what lies between blocks that it keeps; but a program that needs its memory again at once,
// and again, keeps it.

#include "promise.h"

#include <malloc.h>
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

/* A program that goes on working: more than a thread's cache has. */
static void work(void)
{
    static void *some[1000];
    const struct timespec tenth = {0, 100000000};
    for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
        some[i] = malloc(100);
    for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
        free(some[i]);
    nanosleep(&tenth, NULL);
}

/* Of so many blocks of 1 KB, in shuffled order, one in ten stays: of the pages on which none lies,
 * two in three, at least half of them go back. */
static void keep_a_tenth(size_t count)
{
    shuffle(count);
    for (size_t i = count / 10; i < count; i++)
        free(blocks[i]);
}

static void check_the_tenth(size_t count)
{
    for (size_t i = 0; i < count / 10; i++)
        for (size_t at = 0; at < 1024; at++)
            expect(((char *)blocks[i])[at] == 1, "expected the kept blocks to be as they were");
}

static void thin(void)
{
    const size_t count = 64 << 10;
    size_t start = resident_kilobytes();
    allocate(count, 1024);
    size_t peak = resident_kilobytes() - start, end;
    keep_a_tenth(count);
    do { /* until the watchdog comes */
        work();
        end = resident_kilobytes() - start;
    } while (end > peak * 2 / 3);
    check_the_tenth(count);
}

static void thin_and_trim(void)
{
    const size_t count = 64 << 10;
    size_t start = resident_kilobytes();
    allocate(count, 1024);
    size_t peak = resident_kilobytes() - start;
    keep_a_tenth(count);
    expect(malloc_trim(0) == 1, "expected malloc_trim to say that memory went back");
    size_t end = resident_kilobytes() - start;
    expect(end < peak / 2, "expected at most half of %zu KB to stay, %zu KB did", peak, end);
    check_the_tenth(count);
    allocate(count, 1024);
    free_all(count);
}

/* Every second block of a page: nothing else is to be given back, and nobody comes by but the
 * scavenger's own thread. */
static void thin_and_sleep(void)
{
    const size_t count = 15000;
    const struct timespec tenth = {0, 100000000};
    size_t start = resident_kilobytes();
    allocate(count, 4096);
    size_t peak = resident_kilobytes() - start;
    for (size_t i = 0; i < count; i += 2)
        free(blocks[i]);
    while (resident_kilobytes() - start > peak * 2 / 3) /* until the watchdog comes */
        nanosleep(&tenth, NULL);
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

/* The same program again, with a thread of the scavenger's. */
static void again_in_background(char **argv)
{
    setenv("GOALLOC", "background", 1);
    execv("/proc/self/exe", argv);
    expect(false, "expected the program to start again");
}

int main(int argc, char **argv)
{
    (void)argc;
    promise_begin(90);
    size_t list = 2000000 * sizeof(*blocks);
    blocks = mmap(NULL, list, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(blocks != MAP_FAILED, "expected memory for a list of blocks");
    memset(blocks, 1, list); /* it counts from the start */
    if (getenv("GOALLOC")) {
        in_child(thin_and_sleep, "the program that sleeps");
        return 0;
    }
    in_child(free_large, "the program that frees 256 MB");
    in_child(free_small, "the program that frees small blocks");
    in_child(thin, "the program that keeps a tenth");
    in_child(thin_and_trim, "the program that keeps a tenth and trims");
    in_child(sawtooth, "the program that needs its memory again");
    again_in_background(argv);
}
