// SPDX-License-Identifier: MIT
/*
 * tasks.c: the process's threads, and interrupting them.
 *
 * Place: src/gc's stopping of the world. Calls nothing but the kernel.
 *
 * Threads are found in /proc, so that none is missed that libc doesn't know of. They are
 * interrupted by signal 33: libc keeps it for setuid, and no program can block it, while every
 * other one is blocked by some. libc's handler is called for what isn't ours, with the arguments
 * it would have had.
 *
 * Invariants: the handler in place is ours or, until os_catch_stop_signal has run again, libc's.
 * Locking: os_catch_stop_signal is called by the collector alone. Signals: see above.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <ucontext.h>

#include "os.h"
#include "proc.h"
#include "syscall.h"

#define STOP_SIGNAL 33

/* --- Listing --- */

struct directory_entry { /* the kernel's linux_dirent64 */
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static unsigned parse_number(const char *at)
{
    unsigned n = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (unsigned)(*at - '0');
    return n;
}

static void visit_entries(const char *at, const char *end,
                          void (*visit)(unsigned thread, void *context), void *context)
{
    while (at < end) {
        const struct directory_entry *entry = (const void *)at;
        unsigned thread = parse_number(entry->name);
        if (thread)
            visit(thread, context);
        at += entry->length;
    }
}

bool os_each_thread(void (*visit)(unsigned thread, void *context), void *context)
{
    _Alignas(struct directory_entry) char buffer[4096] = {0};
    long fd = os_syscall(SYS_openat, AT_FDCWD, (long)(uintptr_t) "/proc/self/task",
                         O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return false;
    long length;
    while ((length = os_syscall(SYS_getdents64, fd, (long)(uintptr_t)buffer, sizeof(buffer), 0, 0,
                                0)) > 0)
        visit_entries(buffer, buffer + length, visit, context);
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return length == 0;
}

/* --- Is it still there? --- */

/* The kernel's flags of a task. */
#define TASK_EXITING     0x00000004u
#define TASK_IO_WORKER   0x00000010u
#define TASK_USER_WORKER 0x00004000u

/* The text of /proc/self/task/N/stat, cut; its length, negative when there's none. */
static long read_stat(unsigned thread, char *text, size_t size)
{
    char path[64] = "/proc/self/task/", digits[16];
    size_t at = strlen(path), n = 0;
    do
        digits[n++] = (char)('0' + thread % 10);
    while (thread /= 10);
    while (n)
        path[at++] = digits[--n];
    memcpy(path + at, "/stat", sizeof("/stat"));
    long fd =
        os_syscall(SYS_openat, AT_FDCWD, (long)(uintptr_t)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return fd;
    long length = os_syscall(SYS_read, fd, (long)(uintptr_t)text, (long)size - 1, 0, 0, 0);
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    text[length > 0 ? length : 0] = '\0';
    return length;
}

/* "N (name) S parent group session tty foreground flags ...": the name may hold anything. */
bool os_thread_is_gone(unsigned thread)
{
    char text[512];
    long length = read_stat(thread, text, sizeof(text));
    if (length < 0)
        return length == -ENOENT || length == -ESRCH;
    const char *at = strrchr(text, ')');
    if (!at || at[1] != ' ')
        return false;
    char state = at[2];
    at += 3;
    for (int field = 0; at && field < 6; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    unsigned flags = at ? parse_number(at) : 0;
    return state == 'Z' || state == 'X' ||
           (flags & (TASK_EXITING | TASK_IO_WORKER | TASK_USER_WORKER)) != 0;
}

/* --- The signal --- */

struct kernel_action {
    union {
        void (*handle)(int, siginfo_t *, void *);
        uintptr_t address; /* SIG_DFL is 0, SIG_IGN is 1 */
    };
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

#define ACTION_RESTORER 0x04000000ul

static os_stop_handler *stop_handler;
static struct kernel_action libcs; /* what stands behind ours */

/* Ends a handler where libc has installed none, whose end could be used. The debugger knows these
 * bytes. On other processors the kernel brings its own. */
#if defined(__x86_64__)
__asm__(".text\n.p2align 4\n.globl os_signal_return\n.hidden os_signal_return\n.type "
        "os_signal_return, @function\nos_signal_return:\n"
        "\t.byte 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0\n\tsyscall\n"
        ".size os_signal_return, . - os_signal_return\n");
extern GA_HIDDEN void os_signal_return(void);

static void give_end(struct kernel_action *action)
{
    if (action->flags & ACTION_RESTORER)
        return;
    action->flags |= ACTION_RESTORER;
    action->restorer = os_signal_return;
}
#else
static void give_end(struct kernel_action *action)
{
    (void)action;
}
#endif

/* What we send has SI_QUEUE, which nobody else uses with this signal: libc sends SI_TKILL. */
static void handle(int number, siginfo_t *info, void *context)
{
    if (info->si_code == SI_QUEUE && info->si_value.sival_ptr) {
        stop_handler(info->si_value.sival_ptr, context);
        return;
    }
    if (libcs.address > 1)
        libcs.handle(number, info, context);
}

static long signal_action(const struct kernel_action *new, struct kernel_action *old)
{
    return os_syscall(SYS_rt_sigaction, STOP_SIGNAL, (long)(uintptr_t) new, (long)(uintptr_t)old,
                      sizeof(uint64_t), 0, 0);
}

bool os_catch_stop_signal(os_stop_handler *handler)
{
    struct kernel_action now = {.flags = 0};
    if (signal_action(NULL, &now) != 0)
        return false;
    if (now.handle == handle)
        return true;
    stop_handler = handler;
    libcs = now;
    now.handle = handle;
    now.flags |= SA_SIGINFO | SA_RESTART;
    now.flags &= ~(unsigned long)SA_ONSTACK;
    give_end(&now);
    now.mask = ~UINT64_C(0);
    return signal_action(&now, NULL) == 0;
}

bool os_send_stop_signal(unsigned thread, void *payload)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = STOP_SIGNAL;
    info.si_code = SI_QUEUE;
    info.si_pid = (pid_t)os_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
    info.si_value.sival_ptr = payload;
    return os_syscall(SYS_rt_tgsigqueueinfo, info.si_pid, (long)thread, STOP_SIGNAL,
                      (long)(uintptr_t)&info, 0, 0) == 0;
}

static uintptr_t start_of(const stack_t *stack)
{
    return (stack->ss_flags & SS_DISABLE) ? 0 : (uintptr_t)stack->ss_sp;
}

uintptr_t os_context_signal_stack(const void *context)
{
    const ucontext_t *at = context;
    return start_of(&at->uc_stack);
}

uintptr_t os_own_signal_stack(void)
{
    stack_t stack = {.ss_flags = SS_DISABLE};
    os_syscall(SYS_sigaltstack, 0, (long)(uintptr_t)&stack, 0, 0, 0, 0);
    return start_of(&stack);
}
