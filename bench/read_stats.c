// SPDX-License-Identifier: MIT
//
// What a look at the statistics costs, with so many threads and so large a heap.
//
//   LD_PRELOAD=build/libgoalloc.so build-bench/bench/ga_read_stats 64 1024
//
// Each thread fills magazines of every size class and a part of the heap with 1 KB blocks, then
// goes on allocating, or with a third argument sleeps. Processor time of one call in microseconds,
// the least of many bursts, as others share the processor.

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../include/goalloc/goalloc.h"

/* The preload brings them. */
#pragma weak ga_read_mem_stats_sized
#pragma weak ga_metrics_read
#pragma weak ga_metrics_all
#pragma weak ga_stats

enum { BLOCK = 1024, SMALL = 200, BURSTS = 200, CALLS = 5, METRICS_MAX = 100 };

static size_t blocks_each;
static int sleeps;
static atomic_uint ready;

static void churn(void **small, unsigned *seed)
{
    for (unsigned i = 0; i < SMALL; i++) {
        free(small[i]);
        *seed = *seed * 1664525 + 1013904223;
        small[i] = malloc(16 + (*seed >> 8) % 30000);
    }
}

/* Never ends, nor gives anything back: the process's end does. */
static void *hold(void *number)
{
    void **blocks = calloc(blocks_each + SMALL, sizeof(*blocks));
    unsigned seed = (unsigned)(uintptr_t)number;
    for (size_t i = 0; i < blocks_each; i++)
        memset(blocks[i + SMALL] = malloc(BLOCK), 1, BLOCK);
    for (unsigned i = 0; i < 20; i++)
        churn(blocks, &seed);
    atomic_fetch_add(&ready, 1);
    for (;;) {
        if (sleeps)
            pause();
        churn(blocks, &seed);
        sched_yield();
    }
    return NULL;
}

static void start_threads(unsigned count)
{
    for (uintptr_t i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, hold, (void *)(i + 1)) != 0)
            exit(1);
    }
    while (atomic_load(&ready) < count)
        usleep(1000);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static void time_calls(const char *name, void (*call)(void))
{
    double least = 1e9;
    for (int burst = 0; burst < BURSTS; burst++) {
        double began = now();
        for (int i = 0; i < CALLS; i++)
            call();
        double each = (now() - began) / CALLS;
        least = each < least ? each : least;
    }
    printf("%-32s %8.1f us\n", name, least);
}

static void read_mem_stats(void)
{
    static struct ga_mem_stats stats;
    ga_read_mem_stats(&stats);
}

static void read_one(void)
{
    struct ga_metric sample = {.name = "/memory/classes/total:bytes"};
    ga_metrics_read(&sample, 1);
}

/* All but the one that takes system calls. */
static void read_all(void)
{
    static struct ga_metric samples[METRICS_MAX];
    static struct ga_histogram histogram;
    static size_t count;
    if (!count) {
        size_t all;
        const struct ga_metric_description *described = ga_metrics_all(&all);
        for (size_t i = 0; i < all && count < METRICS_MAX; i++)
            if (!strstr(described[i].name, "resident"))
                samples[count++] =
                    (struct ga_metric){.name = described[i].name, .histogram = &histogram};
    }
    ga_metrics_read(samples, count);
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    size_t megabytes = argc > 2 ? (size_t)atoi(argv[2]) : 1024;
    sleeps = argc > 3;
    if (!ga_read_mem_stats_sized || !ga_metrics_read || !ga_metrics_all || threads == 0) {
        fputs("usage: LD_PRELOAD=libgoalloc.so ga_read_stats [THREADS [MEGABYTES [sleep]]]\n",
              stderr);
        return 2;
    }
    blocks_each = (megabytes << 20) / BLOCK / threads;
    start_threads(threads);
    printf("%u threads%s, %zu MB\n", threads, sleeps ? " that sleep" : "", megabytes);
    time_calls("ga_read_mem_stats", read_mem_stats);
    time_calls("ga_metrics_read, one", read_one);
    time_calls("ga_metrics_read, all", read_all);
    _exit(fflush(stdout));
}
