// SPDX-License-Identifier: MIT
//
// The kernel runs a signal's handler on whichever thread doesn't block it: on a worker that idles,
// too, whoever started that. It may fork there. (One at a time: as in any malloc two handlers that
// each interrupted a thread with a lock in its hands, and fork at once, wait for each other.)
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

static bool signal_thread(int thread, int signal)
{
    return syscall(SYS_tgkill, getpid(), thread, signal) == 0;
}

/* The runtime's monitor starts another worker in the place of one that is kept in a call. */
static void be_kept(void)
{
    usleep(100000);
}

/* One that isn't needed may end. */
static void signal_worker(int thread)
{
    int before = atomic_load(&forked);
    signal_thread(thread, SIGUSR1);
    while (atomic_load(&forked) == before && signal_thread(thread, 0))
        ga_sleep(INT64_C(1000000));
}

static void signal_workers(void)
{
    int workers[64], count = 0;
    DIR *threads = opendir("/proc/self/task");
    expect(threads != NULL, "expected to see the threads");
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        char path[300], name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof(name), file) && strcmp(name, "goalloc-worker\n") == 0)
            workers[count++] = atoi(entry->d_name);
        if (file)
            fclose(file);
    }
    closedir(threads);
    expect(count > 0, "expected workers");
    for (int i = 0; i < count; i++)
        signal_worker(workers[i]);
    expect(atomic_load(&forked) > 0, "expected a worker that stays");
}

int main(void)
{
    promise_begin(60);
    signal(SIGUSR1, fork_here);
    ga_set_procs(WORKERS);
    for (int i = 0; i < 100; i++)
        ga_go(i % 10 ? compute : be_kept);
    ga_wait_all();
    ga_sleep(INT64_C(20000000)); /* until they idle */
    signal_workers();
    return 0;
}
