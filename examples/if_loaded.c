// SPDX-License-Identifier: MIT
//
// A program that doesn't need goalloc, but uses what it offers when it is preloaded.
//
//   cc if_loaded.c $(pkg-config --cflags goalloc) -o if_loaded
//   ./if_loaded
//   LD_PRELOAD=$(pkg-config --variable=libdir goalloc)/libgoalloc.so ./if_loaded

#include <goalloc/goalloc.h>
#include <stdio.h>
#include <stdlib.h>

/* Weak: NULL when no library has them. */
#pragma weak ga_version
#pragma weak ga_stats

int main(void)
{
    struct ga_stats stats;
    void *block = malloc(100);
    if (ga_version && ga_stats) {
        ga_stats(&stats, sizeof(stats));
        printf("goalloc %s, %zu bytes live\n", ga_version(), stats.live);
    } else {
        puts("another malloc");
    }
    free(block);
    return 0;
}
