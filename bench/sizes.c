// SPDX-License-Identifier: MIT
//
// Sizes as programs ask for them.
//
// Place: the rows with mixed sizes draw theirs here, before the clock runs.
//
// The table follows what published measurements of C and C++ programs agree on (servers, compilers,
// interpreters): most requests are of a few words, a tenth is above 256 bytes, one in fifty above
// 1 KB, and the few large ones hold much of the memory.

#include "workload.h"

struct bucket {
    uint32_t upto;   // sizes of this bucket: above the last one's, up to this
    uint32_t weight; // per mille
};

static const struct bucket buckets[] = {
    {8, 40},   {16, 140},  {24, 120}, {32, 130}, {48, 130}, {64, 110},
    {96, 90},  {128, 60},  {192, 45}, {256, 35}, {384, 30}, {512, 25},
    {768, 15}, {1024, 10}, {2048, 8}, {4096, 6}, {8192, 4}, {16384, 2},
};

enum { NBUCKETS = sizeof buckets / sizeof buckets[0] };

static uint32_t draw(struct rng *r)
{
    uint32_t at = rng_below(r, 1000);
    uint32_t lo = 4;
    for (unsigned i = 0; i < NBUCKETS; i++) {
        if (at < buckets[i].weight)
            return lo + 1 + rng_below(r, buckets[i].upto - lo);
        at -= buckets[i].weight;
        lo = buckets[i].upto;
    }
    return buckets[NBUCKETS - 1].upto;
}

void sizes_draw(struct rng *r, uint32_t max, uint32_t out[SIZES])
{
    for (unsigned i = 0; i < SIZES; i++) {
        uint32_t size;
        do {
            size = draw(r);
        } while (size > max);
        out[i] = size < 8 ? 8 : size;
    }
}

size_t sizes_log_uniform(struct rng *r, size_t lo, size_t hi)
{
    unsigned doublings = 0;
    while ((lo << (doublings + 1)) <= hi)
        doublings++;
    size_t base = lo << rng_below(r, doublings);
    return (base + rng_below(r, (uint32_t)base) + 7) & ~(size_t)7;
}
