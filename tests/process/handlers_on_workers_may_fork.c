// SPDX-License-Identifier: MIT
//
// The kernel runs a signal's handler on whichever thread doesn't block it: on a worker that idles,
// too. It may fork there.
#include <goalloc/coro.h>

#include <dirent.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "promise.h"

#define WORKERS 3

static atomic_int forked;

static void fork_here(int signal)
{
    (void)signal;
    pid_t child = fork();
    int status = 0;
    if (child == 0)
        _exit(7);
    expect(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7,
           "expected the child to end by itself, its status is %x", (unsigned)status);
    atomic_fetch_add(&forked, 1);
}

static void compute(void)
{
    volatile int x = 0;
    while (x < 100000)
        x++;
    ga_yield();
}

/* How many there are. */
static int signal_workers(void)
{
    int count = 0;
    DIR *threads = opendir("/proc/self/task");
    expect(threads != NULL, "expected to see the threads");
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        char path[300], name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof(name), file) && strcmp(name, "goalloc-worker\n") == 0) {
            syscall(SYS_tgkill, getpid(), atoi(entry->d_name), SIGUSR1);
            count++;
        }
        if (file)
            fclose(file);
    }
    closedir(threads);
    return count;
}

int main(void)
{
    promise_begin(60);
    signal(SIGUSR1, fork_here);
    ga_set_procs(WORKERS);
    for (int i = 0; i < 100; i++)
        ga_go(compute);
    ga_wait_all();
    ga_sleep(INT64_C(20000000)); /* until they idle */
    int workers = signal_workers();
    expect(workers > 0, "expected workers");
    while (atomic_load(&forked) < workers)
        ga_sleep(INT64_C(1000000));
    return 0;
}
