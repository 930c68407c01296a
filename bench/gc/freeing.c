// SPDX-License-Identifier: MIT
//
// A program that frees all it allocates: blocks of 16 to 512 bytes, replaced at random among
// 100,000. It is run with the collector on and off.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector.h"

#define LIVE       100000
#define TURNS      20000000
#define QUICK_PART 1000

static char *blocks[LIVE];

void run_freeing(int quick)
{
    uint64_t random = 88172645463325252u;
    double start = seconds_now();
    for (size_t i = 0; i < TURNS / (size_t)(quick ? QUICK_PART : 1); i++) {
        uint64_t number = next_random(&random);
        char **block = &blocks[number % LIVE];
        size_t size = 16 + (number >> 32) % 497;
        free(*block);
        *block = malloc(size);
        memset(*block, (int)i, size < 64 ? size : 64);
    }
    for (size_t i = 0; i < LIVE; i++)
        free(blocks[i]);
    printf("wall %.4f\n", seconds_now() - start);
}
