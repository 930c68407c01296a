// SPDX-License-Identifier: MIT
/*
 * stress.h: how long a stress test runs, what it is seeded with, how it fails, and the patterns by
 * which a block is known.
 *
 * usage of each test: [SECONDS [SEED]]; without them GOALLOC_STRESS_SECONDS and GOALLOC_STRESS_SEED
 * of the environment, else 30 seconds and a seed of the clock's. The seed is printed first.
 */
#ifndef GOALLOC_STRESS_H
#define GOALLOC_STRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/dice.h"

struct stress {
    double seconds;
    uint64_t seed;
    struct timespec start;
};
static struct stress stress;

static inline void stress_begin(int argc, char **argv)
{
    const char *seconds = argc > 1 ? argv[1] : getenv("GOALLOC_STRESS_SECONDS");
    const char *seed = argc > 2 ? argv[2] : getenv("GOALLOC_STRESS_SEED");
    clock_gettime(CLOCK_MONOTONIC, &stress.start);
    stress.seconds = seconds ? strtod(seconds, NULL) : 30;
    stress.seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)stress.start.tv_nsec + 1;
    printf("seed %llu, %.0f seconds\n", (unsigned long long)stress.seed, stress.seconds);
    fflush(stdout);
}

/* Since the start. */
static inline double stress_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - stress.start.tv_sec) +
           (double)(now.tv_nsec - stress.start.tv_nsec) * 1e-9;
}

static inline bool stress_goes_on(void)
{
    return stress_seconds() < stress.seconds;
}

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: seed %llu: ", __FILE__, __LINE__,                                  \
                (unsigned long long)stress.seed);                                                  \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        abort();                                                                                   \
    } while (0)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            FAIL("%s doesn't hold", #condition);                                                   \
    } while (0)

/* A block and what was written into it: words that tell the block and their place in it. */
struct block {
    unsigned char *memory;
    size_t size;
    uint64_t id;
};

/* Up to 16 KB every word is written, in larger blocks each 64th. */
static inline size_t pattern_stride(size_t size)
{
    return size <= 16384 ? 8 : 512;
}

static inline uint64_t pattern_word(uint64_t id, size_t offset)
{
    return (id ^ offset) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline void pattern_write(const struct block *block)
{
    size_t offset = 0;
    for (; offset + 8 <= block->size; offset += pattern_stride(block->size)) {
        uint64_t word = pattern_word(block->id, offset);
        memcpy(block->memory + offset, &word, 8);
    }
    if (block->size < 8)
        memset(block->memory, (int)(block->id & 255), block->size);
    else
        memset(block->memory + block->size - block->size % 8, (int)(block->id & 255),
               block->size % 8);
}

/* The pattern of `block` still stands in its first `size` bytes, which now lie at `memory`. */
static inline bool pattern_holds(const struct block *block, const void *memory, size_t size)
{
    const unsigned char *bytes = memory;
    for (size_t offset = 0; offset + 8 <= size && offset + 8 <= block->size;
         offset += pattern_stride(block->size)) {
        uint64_t word = pattern_word(block->id, offset);
        if (memcmp(bytes + offset, &word, 8) != 0)
            return false;
    }
    for (size_t i = block->size - block->size % 8; i < block->size && i < size; i++)
        if (bytes[i] != (block->id & 255))
            return false;
    return true;
}

static inline bool all_zero(const void *memory, size_t size)
{
    const unsigned char *bytes = memory;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

#endif
