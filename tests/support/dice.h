// SPDX-License-Identifier: MIT
/* dice.h: a small generator, seeded by the caller, the same on every machine. */
#ifndef GOALLOC_TEST_DICE_H
#define GOALLOC_TEST_DICE_H

#include <stddef.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

/* xorshift64*: the low bits are the weak ones, so the halves are swapped. */
static inline uint64_t dice_next(struct dice *dice)
{
    uint64_t x = dice->state ? dice->state : 0x9e3779b97f4a7c15;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    dice->state = x;
    x *= 0x2545f4914f6cdd1d;
    return x >> 32 | x << 32;
}

static inline size_t dice_below(struct dice *dice, size_t limit)
{
    return (size_t)(dice_next(dice) % limit);
}

#endif
