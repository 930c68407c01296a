// SPDX-License-Identifier: MIT
//
// ga_launch: runs a program under an allocator and writes down what it used.
//
//     GA_PRELOAD=/path/to/libX.so ga_launch FD TIMES COMMAND [ARGUMENT…]
//
// Place: the harness starts programs through it. Two reasons: the kernel counts a process's peak
// from that of the process that forked it, so a child of the harness can't have a smaller peak than
// the interpreter that runs the harness, and this is a few hundred kilobytes; and LD_PRELOAD is set
// for the program alone. COMMAND is run TIMES times, one after another; the figures are sums, the
// peak is of the largest. One JSON object goes to descriptor FD. Ends with the program's status,
// 128 + signal if one killed it, 127 if it couldn't be started.

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

extern char **environ;

struct used {
    double wall, user, sys;
    long peak_kb, minflt, majflt, switches;
    int status;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

// False if it couldn't be started; errno says why.
static bool run_once(char **argv, struct used *u)
{
    struct rusage r;
    pid_t pid;
    double start = now();
    int error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (error) {
        errno = error;
        return false;
    }
    while (wait4(pid, &u->status, 0, &r) < 0) {
        if (errno != EINTR)
            return false;
    }
    u->wall += now() - start;
    u->user += seconds(r.ru_utime);
    u->sys += seconds(r.ru_stime);
    u->peak_kb = r.ru_maxrss > u->peak_kb ? r.ru_maxrss : u->peak_kb;
    u->minflt += r.ru_minflt;
    u->majflt += r.ru_majflt;
    u->switches += r.ru_nvcsw + r.ru_nivcsw;
    return true;
}

static int exit_status(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    struct used u = {0};
    if (argc < 4) {
        fputs("usage: ga_launch FD TIMES COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    int fd = atoi(argv[1]);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    const char *preload = getenv("GA_PRELOAD");
    if (preload && *preload)
        setenv("LD_PRELOAD", preload, 1);
    unsetenv("GA_PRELOAD");
    for (int i = atoi(argv[2]); i > 0; i--) {
        if (!run_once(argv + 3, &u)) {
            fprintf(stderr, "ga_launch: %s: %s\n", argv[3], strerror(errno));
            return 127;
        }
        if (exit_status(u.status) != 0)
            break;
    }
    dprintf(fd,
            "{\"wall_s\":%.6f,\"user_s\":%.6f,\"sys_s\":%.6f,\"peak_kb\":%ld,\"minflt\":%ld,"
            "\"majflt\":%ld,\"switches\":%ld,\"status\":%d}\n",
            u.wall, u.user, u.sys, u.peak_kb, u.minflt, u.majflt, u.switches,
            exit_status(u.status));
    return exit_status(u.status);
}
