// SPDX-License-Identifier: MIT
//
// A thread that has shut itself in since the first cycle may go on allocating: in the marking that
// it does for that it never asks the kernel which pages of a large block there are, as the
// library's own threads do. The call for that ends the process here.

#include "collected.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#define LENGTH  2000
#define LARGE   ((size_t)2 << 20)
#define SECONDS 2

struct block {
    struct block *next;
    size_t size;
};

static struct block *eldest;

static struct block *make(size_t count)
{
    struct block *block = malloc(count % 32 ? 64 : LARGE);
    expect(block != NULL, "expected a block");
    block->next = NULL;
    block->size = count;
    return block;
}

static bool shut_in(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *work(void *unused)
{
    time_t end = time(NULL) + SECONDS;
    struct block *newest = eldest = make(0);
    if (!shut_in())
        exit(EXIT_SKIPPED);
    for (size_t count = 1; count % 256 || time(NULL) < end; count++) {
        newest = newest->next = make(count);
        if (count >= LENGTH)
            eldest = eldest->next;
    }
    for (size_t left = 1; eldest->next; left++, eldest = eldest->next)
        expect(eldest->next->size == eldest->size + 1 && left < LENGTH, "expected a whole queue");
    return unused;
}

int main(void)
{
    pthread_t thread;
    find_call("ga_gc_stats", &read_gc_stats);
    find_call("ga_gc_collect", &collect);
    full_cycle();
    expect(pthread_create(&thread, NULL, work, NULL) == 0, "expected a thread");
    pthread_join(thread, NULL);
    struct ga_gc_stats stats = gc_stats_now();
    expect(stats.cycles > 2, "expected cycles, and there were %lu", (unsigned long)stats.cycles);
    return 0;
}
