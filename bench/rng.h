// SPDX-License-Identifier: MIT
//
// Small random numbers for workloads: the same sequence under every allocator and on every machine.
//
// xorshift64* (Marsaglia; Vigna): three shifts and a multiply, so that drawing an index costs about
// as much as the loop around it and hides nothing of the allocator.

#ifndef GA_BENCH_RNG_H
#define GA_BENCH_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s; // never 0
};

static inline struct rng rng_seed(uint64_t seed)
{
    // One round of splitmix64, so that neighbouring seeds (thread numbers) give unlike sequences.
    uint64_t z = seed + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (struct rng){.s = z ? z : 1};
}

static inline uint64_t rng_next(struct rng *r)
{
    r->s ^= r->s >> 12;
    r->s ^= r->s << 25;
    r->s ^= r->s >> 27;
    return r->s * 0x2545f4914f6cdd1du;
}

// Uniform in [0, n), n below 2^32, by multiply and shift: no division.
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
    return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}

#endif
