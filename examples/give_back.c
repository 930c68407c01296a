// SPDX-License-Identifier: MIT
//
// A program that gives its memory back to the kernel between two busy phases.
//
//   cc give_back.c $(pkg-config --cflags --libs goalloc) -o give_back && ./give_back

#include <goalloc/goalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 1000
#define SIZE   ((size_t)64 << 10)

static int busy_phase(void)
{
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        if ((blocks[i] = malloc(SIZE)) == NULL)
            return 0;
        memset(blocks[i], 1, SIZE);
    }
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return 1;
}

int main(void)
{
    for (int phase = 1; phase <= 2; phase++) {
        if (!busy_phase())
            return 1;
        printf("phase %d: %zu KB went back\n", phase, ga_free_os_memory() >> 10);
    }
    return 0;
}
