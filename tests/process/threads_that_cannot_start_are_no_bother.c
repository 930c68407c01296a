// SPDX-License-Identifier: MIT
//
// With GOALLOC=background in a process that may start no thread: free still works, keeps errno, and
// memory goes back by the slow paths instead.

#include "promise.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define BLOCKS 1000
#define SIZE   ((size_t)64 << 10)

/* As RLIMIT_NPROC would, which doesn't hold for root. */
static void forbid_threads(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "expected to set no_new_privs");
    expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "expected a seccomp filter");
}

static void *do_nothing(void *unused)
{
    return unused;
}

static void use_memory(void)
{
    static void *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
        expect(blocks[i] != NULL, "expected a block");
        memset(blocks[i], 1, SIZE);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        errno = 12345;
        free(blocks[i]);
        expect(errno == 12345, "expected free to keep errno, it is %d", errno);
    }
}

int main(int argc, char **argv)
{
    pthread_t thread;
    const char *list = getenv("GOALLOC");
    promise_begin(60);
    if (argc < 2 || !list || strcmp(list, "background") != 0) {
        char again[] = "again", *arguments[] = {argv[0], again, NULL};
        setenv("GOALLOC", "background", 1);
        execv("/proc/self/exe", arguments);
        expect(false, "expected to start this program again");
    }
    forbid_threads();
    expect(pthread_create(&thread, NULL, do_nothing, NULL) == EAGAIN, "expected to get no thread");
    use_memory();
    size_t resident = resident_kilobytes();
    expect(resident < 40000, "expected memory to have gone back, %zu KB are resident", resident);
    for (unsigned i = 0; i < 10; i++)
        use_memory();
    expect(proc_number("/proc/self/status", "Threads:") == 1, "expected a single thread");
    return 0;
}
