// SPDX-License-Identifier: MIT
//
// A program that has allocated once and then forbids itself all system calls but those for memory,
// waiting, writing and the end goes on allocating, in threads too, reallocating and trimming.

#include "promise.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define THREADS 4

static pthread_barrier_t started, before, after;

/* Skips to "allow", `distance` instructions on, if the call is this one. */
#define ALLOW(number, distance) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), (distance), 0)

static void forbid_other_system_calls(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_mmap, 9),
        ALLOW(SYS_munmap, 8),
        ALLOW(SYS_mremap, 7),
        ALLOW(SYS_madvise, 6),
        ALLOW(SYS_mprotect, 5),
        ALLOW(SYS_futex, 4),
        ALLOW(SYS_write, 3),
        ALLOW(SYS_exit, 2),
        ALLOW(SYS_exit_group, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "expected to set no_new_privs");
    /* All threads at once. */
    long failed =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    expect(failed == 0, "expected to install a seccomp filter");
}

static void grow(void)
{
    size_t size = 10;
    char *text = malloc(size);
    text[9] = 'x';
    for (; size < (size_t)64 << 20; size += size / 2)
        text = realloc(text, size + size / 2);
    expect(text && text[9] == 'x', "expected realloc to keep the bytes");
    text = realloc(text, 5);
    free(text);
}

static void *thread_body(void *index)
{
    struct random random = {(size_t)index + 1};
    void *blocks[512] = {NULL};
    pthread_barrier_wait(&started);
    pthread_barrier_wait(&before);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned at = random_next(&random) % 512;
        free(blocks[at]);
        blocks[at] = malloc(8 + random_size(&random, 20));
        memset(blocks[at], 1, 8);
    }
    for (unsigned i = 0; i < 512; i++)
        free(blocks[i]);
    grow();
    pthread_barrier_wait(&after);
    /* A thread's end makes calls of libc's own: these wait for the process's end instead. */
    pthread_barrier_wait(&before);
    return NULL;
}

static void in_child(void)
{
    watchdog(20);
    pthread_barrier_init(&started, NULL, THREADS + 1);
    pthread_barrier_init(&before, NULL, THREADS + 1);
    pthread_barrier_init(&after, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        expect(pthread_create(&thread, NULL, thread_body, (void *)i) == 0, "expected a thread");
        pthread_detach(thread);
    }
    allocate_all_classes(1000);
    pthread_barrier_wait(&started);
    forbid_other_system_calls();
    pthread_barrier_wait(&before);
    allocate_all_classes((size_t)16 << 20);
    use_whole_family();
    grow();
    pthread_barrier_wait(&after);
    malloc_trim(0);
    allocate_all_classes((size_t)16 << 20);
    _exit(0);
}

int main(void)
{
    promise_begin(30);
    pid_t child = fork();
    if (child == 0)
        in_child();
    expect_success(child, "the program under seccomp");
    return 0;
}
