// SPDX-License-Identifier: MIT
/*
 * threads.c: what the scheduler asks about processors and threads.
 *
 * Place: called by src/coro. Calls nothing but the kernel.
 *
 * Invariants: errno is never touched; nothing allocates. Locking: none.
 */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <string.h>

#include "os.h"
#include "report.h"
#include "syscall.h"

#define CPU_WORDS 128 /* 8,192 processors */
#define DIGITS    "0123456789"

bool os_is_first_thread(void)
{
    return os_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0) == os_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static uint64_t number_at(const char *text)
{
    uint64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

/* "QUOTA PERIOD", or "max PERIOD". 0: no quota. */
static unsigned processors_of(const char *text)
{
    const char *period = strchr(text, ' ');
    if (*text < '0' || *text > '9' || !period || number_at(period + 1) == 0)
        return 0;
    uint64_t quota = number_at(text), per = number_at(period + 1);
    return (unsigned)((quota + per - 1) / per);
}

/* The tightest quota on the way from the process's group to the root; version 2 of cgroups. */
static unsigned quota_of_groups(void)
{
    char groups[1024], path[1200], text[64];
    unsigned least = 0;
    bool known = os_read_file("/proc/self/cgroup", groups, sizeof(groups)) > 0;
    char *group = known && strncmp(groups, "0::", 3) == 0 ? groups + 3 : NULL;
    if (!group)
        return 0;
    group[strcspn(group, "\n")] = '\0';
    for (;;) {
        struct text line;
        text_init(&line, path, sizeof(path));
        text_add(&line, "/sys/fs/cgroup%s/cpu.max", group);
        unsigned quota = os_read_file(path, text, sizeof(text)) ? processors_of(text) : 0;
        if (quota && (!least || quota < least))
            least = quota;
        char *end = strrchr(group, '/');
        if (!end)
            return least;
        *end = '\0';
    }
}

static unsigned quota_of_version_1(void)
{
    char quota[64], period[64], both[130];
    struct text line;
    if (!os_read_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof(quota)) ||
        !os_read_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof(period)))
        return 0;
    quota[strcspn(quota, "\n")] = '\0';
    text_init(&line, both, sizeof(both));
    text_add(&line, "%s %s", quota, period);
    return processors_of(both);
}

unsigned os_processors(void)
{
    uint64_t mask[CPU_WORDS] = {0};
    unsigned count = 0;
    long size = os_syscall(SYS_sched_getaffinity, 0, sizeof(mask), (long)(uintptr_t)mask, 0, 0, 0);
    for (long i = 0; i < size / 8; i++)
        count += count_bits(mask[i]);
    unsigned quota = quota_of_groups();
    if (!quota)
        quota = quota_of_version_1();
    if (quota && quota < count)
        count = quota;
    return count ? count : 1;
}

/* A list such as "0-3,8,10-11". */
static unsigned count_listed(const char *at)
{
    unsigned count = 0;
    while (*at >= '0' && *at <= '9') {
        uint64_t first = number_at(at), last = first;
        at += strspn(at, DIGITS);
        if (*at == '-') {
            last = number_at(at + 1);
            at += 1 + strspn(at + 1, DIGITS);
        }
        count += last >= first ? (unsigned)(last - first + 1) : 0;
        at += *at == ',';
    }
    return count;
}

/* The fourth field of loadavg is "RUNNING/ALL". */
bool os_count_running(const char *loadavg, const char *list, unsigned *running, unsigned *online)
{
    char text[256];
    if (!os_read_file(loadavg, text, sizeof(text)))
        return false;
    const char *slash = strchr(text, '/'), *at = slash;
    while (at && at > text && at[-1] != ' ')
        at--;
    *running = at ? (unsigned)number_at(at) : 0;
    *online = os_read_file(list, text, sizeof(text)) ? count_listed(text) : 0;
    return *running > 0 && *online > 0;
}

/* --- Threads --- */

unsigned os_threads(void)
{
    char text[4096];
    if (!os_read_file("/proc/self/status", text, sizeof(text)))
        return 0;
    const char *line = strstr(text, "\nThreads:");
    if (!line)
        return 0;
    line += strlen("\nThreads:");
    while (*line == ' ' || *line == '\t')
        line++;
    return (unsigned)number_at(line);
}

/* The third field of stat, behind the name in parentheses, is the state's letter. */
bool os_thread_sleeps(unsigned thread_id)
{
    char path[64], text[512];
    struct text line;
    text_init(&line, path, sizeof(path));
    text_add(&line, "/proc/self/task/%u/stat", thread_id);
    if (!os_read_file(path, text, sizeof(text)))
        return false;
    const char *end = strrchr(text, ')');
    return end && end[1] == ' ' && (end[2] == 'S' || end[2] == 'D');
}

void os_exit(int status)
{
    for (;;)
        os_syscall(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

void os_yield(void)
{
    os_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

void os_pause(uint64_t nanoseconds)
{
    atomic_uint word = 0;
    os_futex_wait_for(&word, 0, nanoseconds);
}

/* --- Barriers --- */

bool os_barrier_prepare(void)
{
    return os_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0) ==
           0;
}

bool os_barrier(void)
{
    return os_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0) == 0;
}
