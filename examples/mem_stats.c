// SPDX-License-Identifier: MIT
//
// The figures of Go's MemStats, as a server might log them every few seconds.
//
//   cc mem_stats.c $(pkg-config --cflags --libs goalloc) -o mem_stats && ./mem_stats

#include <goalloc/goalloc.h>
#include <stdio.h>
#include <stdlib.h>

static void log_memory(const char *when)
{
    struct ga_mem_stats stats;
    ga_read_mem_stats(&stats);
    printf(
        "%-8s %6llu KB in %llu blocks; %llu allocated so far; heap %llu KB, of it idle %llu KB\n",
        when, (unsigned long long)stats.heap_alloc >> 10, (unsigned long long)stats.heap_objects,
        (unsigned long long)stats.mallocs, (unsigned long long)stats.heap_sys >> 10,
        (unsigned long long)stats.heap_idle >> 10);
}

int main(void)
{
    static void *blocks[5000];
    log_memory("start:");
    for (int i = 0; i < 5000; i++)
        if ((blocks[i] = malloc(2000)) == NULL)
            return 1;
    log_memory("held:");
    for (int i = 0; i < 5000; i++)
        free(blocks[i]);
    log_memory("freed:");
    return 0;
}
