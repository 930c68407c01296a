// SPDX-License-Identifier: MIT
/*
 * A million coroutines that all wait: what each costs, and what is left when they have ended.
 * usage: ga_million [COUNT]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <goalloc/coro.h>

typedef ga_chan(int) ints;

/* By read alone: libc's streams would allocate, from an arena a thread. */
static long resident_kb(void)
{
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    const char *space = got > 0 ? strchr(text, ' ') : NULL;
    return space ? atol(space) * (sysconf(_SC_PAGESIZE) / 1024) : -1;
}

static long mappings(void)
{
    static char text[4096];
    long count = 0;
    int fd = open("/proc/self/maps", O_RDONLY);
    for (ssize_t got; (got = read(fd, text, sizeof(text))) > 0;)
        for (ssize_t i = 0; i < got; i++)
            count += text[i] == '\n';
    close(fd);
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
    long before = resident_kb(), maps_before = mappings();
    ints c = ga_make(ints);
    ga_set_procs(0);
    ga_unlock_os_thread();
    for (int i = 0; i < 1000; i++)
        ga_go(nothing);
    ga_wait_all();
    ga_sleep(INT64_C(2000000000)); /* until their memory has gone back */
    long ready = resident_kb(), maps_ready = mappings();
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
           (double)(resident_kb() - before) / (double)count);
    printf("mappings             %8ld more than at the start, %ld than after a first thousand\n",
           mappings() - maps_before, mappings() - maps_ready);
    ga_close(c);
    ga_wait_all();
    printf("end                  %8.2f us each\n",
           (double)(ga_now() - parked) / 1e3 / (double)count);
    for (int i = 0; i <= 5; i++) {
        printf("RSS %d s later        %8.1f MB (at the start %.1f, after a first thousand %.1f)\n",
               i, (double)resident_kb() / 1024, (double)before / 1024, (double)ready / 1024);
        fflush(stdout);
        ga_sleep(INT64_C(1000000000));
    }
    ga_chan_free(c);
    return 0;
}
