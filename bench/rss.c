// SPDX-License-Identifier: MIT
//
// This process's memory, as the kernel counts it.
//
// Place: main.c after a row, the phase programs after a phase. It must not allocate: it is called
// when the heap's state is what is being measured. smaps_rollup is used for the present figure
// because the cheap counters (statm) lag behind by some pages on each core.

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rss.h"

enum { TEXT = 8192 };

// The whole file if it fits, else its beginning; an empty string if there is none.
static void slurp(const char *path, char text[TEXT])
{
    size_t used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && used < TEXT - 1) {
        ssize_t n = read(fd, text + used, TEXT - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    text[used] = '\0';
}

static uint64_t field(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static uint64_t count_maps(void)
{
    char text[TEXT];
    uint64_t lines = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    while (fd >= 0 && (n = read(fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    }
    if (fd >= 0)
        close(fd);
    return lines;
}

struct rss rss_read(void)
{
    char text[TEXT];
    struct rss r = {.maps = count_maps()};
    slurp("/proc/self/smaps_rollup", text);
    r.rss_kb = field(text, "\nRss:");
    r.lazy_kb = field(text, "\nLazyFree:");
    slurp("/proc/self/status", text);
    r.peak_kb = field(text, "\nVmHWM:");
    if (r.rss_kb == 0)
        r.rss_kb = field(text, "\nVmRSS:");
    return r;
}

uint64_t rss_now_kb(void)
{
    char text[TEXT];
    slurp("/proc/self/statm", text);
    const char *resident = strchr(text, ' ');
    uint64_t pages = resident ? strtoull(resident, NULL, 10) : 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}
