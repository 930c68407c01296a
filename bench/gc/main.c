// SPDX-License-Identifier: MIT
//
// usage: ga_gc_bench ROW [quick]
//
// One row of `./dev bench gc`, in a process of its own. Prints lines of a name and a figure; the
// last ones are the process's peak of resident memory in MB and the longest stop in ms.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector.h"

double seconds_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Not getrusage's, which a process inherits from whoever started it. */
static double peak_megabytes(void)
{
    char line[256];
    double kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kilobytes = strtod(line + 6, NULL);
    if (status)
        fclose(status);
    return kilobytes / 1024;
}

static int run_row(const char *row, int quick)
{
    if (strcmp(row, "trees") == 0)
        run_trees(1, quick);
    else if (strcmp(row, "trees2") == 0)
        run_trees(2, quick);
    else if (strcmp(row, "graph") == 0)
        run_graph(quick);
    else if (strcmp(row, "window") == 0)
        run_window(quick);
    else if (strcmp(row, "marking") == 0)
        run_marking(quick);
    else if (strcmp(row, "freeing") == 0)
        run_freeing(quick);
    else
        return 0;
    return 1;
}

int main(int argc, char **argv)
{
    collector_begin();
    if (argc < 2 || !run_row(argv[1], argc > 2)) {
        fprintf(stderr, "usage: %s trees|trees2|graph|window|marking|freeing [quick]\n", argv[0]);
        return 2;
    }
    printf("rss %.2f\nstop %.4f\n", peak_megabytes(), collector_longest_stop() * 1e3);
    return 0;
}
