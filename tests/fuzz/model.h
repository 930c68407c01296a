// SPDX-License-Identifier: MIT
/*
 * model.h: what calls.c knows of the heap without asking it: the blocks it holds and what it wrote
 * into them, and the bytes of the input.
 *
 * A block carries words that tell the block and their place in it: all of them in a small block, in
 * a larger one some 64 and its end, so that an input with large blocks costs little.
 */
#ifndef GOALLOC_FUZZ_MODEL_H
#define GOALLOC_FUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- How it fails: abort is what the fuzzer takes for a find. --- */

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        abort();                                                                                   \
    } while (0)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            FAIL("%s doesn't hold", #condition);                                                   \
    } while (0)

/* --- The input; zeros where it has ended. --- */

struct input {
    const uint8_t *at, *end;
};

static inline unsigned take_byte(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static inline unsigned take_two(struct input *input)
{
    unsigned low = take_byte(input);
    return low | take_byte(input) << 8;
}

/* --- Blocks --- */

struct block {
    unsigned char *memory; /* NULL: none */
    size_t size;
    uint64_t id;
};

/* The distance of the words, a multiple of 8. */
static inline size_t pattern_stride(size_t size)
{
    return size <= 4096 ? 8 : size / 64 & ~(size_t)7;
}

static inline uint64_t pattern_word(uint64_t id, size_t offset)
{
    return (id ^ offset) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline void pattern_write(const struct block *block)
{
    size_t stride = pattern_stride(block->size), whole = block->size & ~(size_t)7;
    for (size_t offset = 0; offset < whole; offset += stride) {
        uint64_t word = pattern_word(block->id, offset);
        memcpy(block->memory + offset, &word, 8);
    }
    memset(block->memory + whole, (int)(block->id & 255), block->size - whole);
}

/* The pattern of `block` still stands in its first `size` bytes, which now lie at `memory`. */
static inline bool pattern_holds(const struct block *block, const unsigned char *memory,
                                 size_t size)
{
    size_t stride = pattern_stride(block->size), whole = block->size & ~(size_t)7;
    for (size_t offset = 0; offset < whole && offset + 8 <= size; offset += stride) {
        uint64_t word = pattern_word(block->id, offset);
        if (memcmp(memory + offset, &word, 8) != 0)
            return false;
    }
    for (size_t i = whole; i < block->size && i < size; i++)
        if (memory[i] != (block->id & 255))
            return false;
    return true;
}

static inline bool all_zero(const unsigned char *memory, size_t size)
{
    size_t step = size <= (size_t)256 << 10 ? 1 : 509;
    for (size_t i = 0; i < size; i += step)
        if (memory[i])
            return false;
    return size == 0 || memory[size - 1] == 0;
}

#endif
