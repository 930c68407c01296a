// SPDX-License-Identifier: MIT
//
// Where the kernel refuses to take memory back, because the process has locked it or for another
// reason, the allocator doesn't keep trying: a second of allocating and freeing, 64 MB at a time,
// makes few system calls.

#include "promise.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#define BLOCKS 1024
#define SIZE   ((size_t)64 << 10)
/* A hundredth of what a call for each free of a block would make. */
#define MOST_CALLS 2000

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void refuse_madvise(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "expected to set no_new_privs");
    expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
           "expected to install a seccomp filter");
}

/* Who may not do this has the other way shown alone. */
static void lock_memory(void)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        _exit(0);
}

/* Every other one first, so that what is free lies in many pieces for a while. */
static unsigned churn(double seconds)
{
    static void *blocks[BLOCKS];
    unsigned rounds = 0;
    for (double end = now() + seconds; now() < end || rounds < 3; rounds++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            blocks[i] = malloc(SIZE);
            mark(blocks[i], SIZE, (unsigned char)i);
        }
        for (unsigned i = 0; i < BLOCKS; i += 2)
            free(blocks[i]);
        for (unsigned i = 1; i < BLOCKS; i += 2)
            free(blocks[i]);
    }
    return rounds;
}

static void in_child(void (*prepare)(void), const char *what)
{
    pid_t child = fork();
    if (child == 0) {
        watchdog(20);
        prepare();
        /* What a young process may spend goes first. */
        churn(0.5);
        size_t before = stats_now().system_calls;
        unsigned rounds = churn(1);
        size_t calls = stats_now().system_calls - before;
        expect(calls < MOST_CALLS, "%s: expected fewer than %u system calls in %u rounds, got %zu",
               what, MOST_CALLS, rounds, calls);
        _exit(0);
    }
    expect_success(child, what);
}

int main(void)
{
    promise_begin(40);
    in_child(refuse_madvise, "where madvise is refused");
    in_child(lock_memory, "where memory is locked");
    return 0;
}
