// SPDX-License-Identifier: MIT
//
// A program that does nothing makes at most 5 more system calls with the library than with an empty
// one, and its RSS at its end is at most 150 KB above that without any preload.
//
// The RSS is that of smaps_rollup, which counts pages (the peak in `status` is counted in batches),
// and the mean of many runs. The kernel maps what lies around a page of the file that it fetches,
// up to 64 KB, touched or not, as the layout of the run has it: code that never runs is counted
// too, although all processes share it. Hence the margin: pthread_atfork reads one of libc's
// constants, and with it come 64 KB of them.
//
// usage: start_up_is_cheap LIBRARY EMPTY-LIBRARY, without a preload

#include "promise.h"

#include <sys/ptrace.h>

#define MAX_SYSTEM_CALLS 5
#define MAX_KILOBYTES    150
#define KILOBYTES_MARGIN 64
#define RUNS             100

struct cost {
    long system_calls;
    long kilobytes;
};

static void run_traced(const char *preload)
{
    char name[] = "/bin/true", *arguments[] = {name, NULL};
    char variable[4096], *environment[] = {variable, NULL};
    snprintf(variable, sizeof(variable), "LD_PRELOAD=%s", preload ? preload : "");
    if (!preload)
        environment[0] = NULL;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(EXIT_SKIPPED);
    raise(SIGSTOP);
    execve(name, arguments, environment);
    _exit(3);
}

/* Follows the child to its end, counting system calls from its exec on. */
static struct cost follow(pid_t child)
{
    struct cost cost = {0, -1};
    char file[64];
    long stops = 0;
    int status;
    snprintf(file, sizeof(file), "/proc/%d/smaps_rollup", child);
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        int event = status >> 16;
        if (event == PTRACE_EVENT_EXEC)
            stops = 0;
        else if (event == PTRACE_EVENT_EXIT)
            cost.kilobytes = proc_number(file, "Rss:");
        else if (WSTOPSIG(status) == (SIGTRAP | 0x80))
            stops++;
        ptrace(PTRACE_SYSCALL, child, NULL, NULL);
    }
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "expected true to end well, status 0x%x",
           (unsigned)status);
    /* A stop at the way in and one at the way out of each. */
    cost.system_calls = stops / 2;
    return cost;
}

static struct cost measure(const char *preload)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        run_traced(preload);
    expect(waitpid(child, &status, 0) == child, "expected to wait for the child");
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
        puts("skipped: this process may not trace its children");
        exit(EXIT_SKIPPED);
    }
    ptrace(PTRACE_SETOPTIONS, child, NULL,
           (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT));
    ptrace(PTRACE_SYSCALL, child, NULL, NULL);
    return follow(child);
}

struct costs {
    struct cost plain, empty, ours;
};

/* Interleaved, so that what else the machine does falls on all alike. */
static struct costs measure_all(const char *library, const char *nothing)
{
    struct costs costs = {{0, 0}, {0, 0}, {0, 0}};
    for (unsigned i = 0; i < RUNS; i++) {
        struct cost plain = measure(NULL), empty = measure(nothing), ours = measure(library);
        costs.plain.kilobytes += plain.kilobytes;
        costs.empty.kilobytes += empty.kilobytes;
        costs.ours.kilobytes += ours.kilobytes;
        costs.plain.system_calls = plain.system_calls;
        costs.empty.system_calls = empty.system_calls;
        costs.ours.system_calls = ours.system_calls;
    }
    costs.plain.kilobytes /= RUNS;
    costs.empty.kilobytes /= RUNS;
    costs.ours.kilobytes /= RUNS;
    return costs;
}

int main(int argc, char **argv)
{
    watchdog(60);
    expect(argc == 3, "expected the library's and an empty library's path as arguments");
    struct costs costs = measure_all(argv[1], argv[2]);
    struct cost plain = costs.plain, empty = costs.empty, ours = costs.ours;
    printf("system calls: %ld without preload, %ld with an empty library, %ld with goalloc\n",
           plain.system_calls, empty.system_calls, ours.system_calls);
    printf("RSS in KB: %ld without preload, %ld with an empty library, %ld with goalloc\n",
           plain.kilobytes, empty.kilobytes, ours.kilobytes);
    expect(empty.system_calls > plain.system_calls, "expected the empty library to be loaded");
    expect(ours.system_calls <= empty.system_calls + MAX_SYSTEM_CALLS,
           "expected at most %d system calls beyond the empty library's %ld, counted %ld",
           MAX_SYSTEM_CALLS, empty.system_calls, ours.system_calls);
    expect(ours.kilobytes <= plain.kilobytes + MAX_KILOBYTES + KILOBYTES_MARGIN,
           "expected an RSS at most %d KB above %ld KB, it is %ld KB", MAX_KILOBYTES,
           plain.kilobytes, ours.kilobytes);
    return 0;
}
