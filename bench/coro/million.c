// SPDX-License-Identifier: MIT
/*
 * A million coroutines that all wait: what each costs, and what is left when they have ended.
 * usage: ga_million [COUNT]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <goalloc/coro.h>

typedef ga_chan(int) ints;

static long status_kb(const char *field)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, field, strlen(field)) == 0)
            value = atol(line + strlen(field) + 1);
    if (file)
        fclose(file);
    return value;
}

static long mappings(void)
{
    long count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    for (int c; file && (c = getc(file)) != EOF;)
        count += c == '\n';
    if (file)
        fclose(file);
    return count;
}

static void wait_for_end(ints c)
{
    (void)ga_recv(c);
}

static void nothing(void)
{
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 1000000;
    long before = status_kb("VmRSS"), maps_before = mappings();
    ints c = ga_make(ints);
    ga_set_procs(0);
    ga_unlock_os_thread();
    for (int i = 0; i < 1000; i++)
        ga_go(nothing);
    ga_wait_all();
    ga_sleep(INT64_C(2000000000)); /* until their memory has gone back */
    long ready = status_kb("VmRSS"), maps_ready = mappings();
    int64_t start = ga_now();
    for (long i = 0; i < count; i++)
        if (ga_go(wait_for_end, c) != 0) {
            perror("ga_million");
            return 1;
        }
    ga_yield();
    int64_t parked = ga_now();
    printf("create and park      %8.2f us each\n", (double)(parked - start) / 1e3 / (double)count);
    printf("memory               %8.2f KB each\n",
           (double)(status_kb("VmRSS") - before) / (double)count);
    printf("mappings             %8ld more than at the start, %ld than after a first thousand\n",
           mappings() - maps_before, mappings() - maps_ready);
    ga_close(c);
    ga_wait_all();
    printf("end                  %8.2f us each\n",
           (double)(ga_now() - parked) / 1e3 / (double)count);
    for (int i = 0; i <= 5; i++) {
        printf("RSS %d s later        %8.1f MB (at the start %.1f, after a first thousand %.1f)\n",
               i, (double)status_kb("VmRSS") / 1024, (double)before / 1024, (double)ready / 1024);
        fflush(stdout);
        ga_sleep(INT64_C(1000000000));
    }
    ga_chan_free(c);
    return 0;
}
