// SPDX-License-Identifier: MIT
//
// Where the memory is, asked from within a program.
//
//   cc statistics.c $(pkg-config --cflags --libs goalloc) -o statistics && ./statistics

#include <goalloc/goalloc.h>
#include <stdio.h>
#include <stdlib.h>

static void print_memory(const char *when)
{
    struct ga_stats stats;
    ga_stats(&stats, sizeof(stats));
    printf("%-14s %8zu KB live in %zu blocks, %zu KB cached, %zu KB free, RSS %zu KB\n", when,
           stats.live >> 10, stats.live_blocks, stats.cached >> 10,
           (stats.span_free + stats.free_dirty) >> 10, stats.resident >> 10);
}

int main(void)
{
    static char *blocks[10000];
    print_memory("at start:");
    for (int i = 0; i < 10000; i++)
        if ((blocks[i] = calloc(1, 1000)) == NULL)
            return 1;
    print_memory("10,000 blocks:");
    for (int i = 0; i < 10000; i++)
        free(blocks[i]);
    print_memory("freed:");
    return 0;
}
