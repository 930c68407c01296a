// SPDX-License-Identifier: MIT
/*
 * waits.c: a thread that was stopped in the midst of a wait goes on waiting.
 *
 * A signal handler ends some system calls with EINTR, whatever SA_RESTART says: poll, epoll_wait,
 * select, sleeping, timed waits on a futex. A program that gets no signals may not expect that. So
 * the handler that stopped a thread looks whether it interrupted such a call, and then:
 *
 *   the kernel has kept what is left of the time  (poll, nanosleep, timed futex waits)
 *       -> calls restart_syscall, with the program's signal mask, before the handler returns:
 *          returning would make the kernel forget
 *   the call has no time, or its time was updated in the program's memory  (select, ppoll, pause)
 *       -> has the program make the same call again when the handler returns
 *   the call has a time that nobody has kept  (epoll_wait)
 *       -> makes it again in the handler, for as long as it was asked for first, counted from here:
 *          it may end late, by what it had waited before, and never early
 *
 * A handler that waits so may itself be stopped, again and again. Each time it is found in the
 * window below; its frames go, and the wait goes on in those of the first:
 *
 *   program | frame of the first stop | handler, in the window | frame of another | handler
 *                                                ^______________ goes on here ________|
 *
 * A signal of the program's ends the wait with EINTR, as it should.
 *
 * Place: src/gc's handler, last thing. Calls the kernel.
 * Invariants: nothing but the interrupted call's result, and whether it is made again, is changed
 * in the context. Locking: none. Signals: runs in a handler with all of them blocked.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "os.h"
#include "proc.h"
#include "syscall.h"

#if defined(__x86_64__)

struct wait {
    long number, arguments[6]; /* what the window calls */
    uint64_t mask;             /* the program's signal mask */
    uint64_t deadline;         /* of a call whose time is kept here; 0: none */
};

_Static_assert(offsetof(struct wait, mask) == 56, "the window knows its place");

/* Sets the mask, makes the call, and returns its result. Another stop may begin it anew. */
long os_wait_window(const struct wait *wait);
extern GA_HIDDEN const char os_wait_begin[], os_wait_end[];
__asm__(".text\n.p2align 4\n.hidden os_wait_window\n.globl os_wait_window\n"
        ".type os_wait_window, @function\nos_wait_window:\n"
        "\t.cfi_startproc\n"
        "\tpushq %rbx\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_rel_offset %rbx, 0\n"
        "\tmovq %rdi, %rbx\n"
        ".hidden os_wait_begin\n.globl os_wait_begin\nos_wait_begin:\n"
        "\tmovl $14, %eax\n" /* rt_sigprocmask */
        "\tmovl $2, %edi\n"  /* SIG_SETMASK */
        "\tleaq 56(%rbx), %rsi\n"
        "\txorl %edx, %edx\n"
        "\tmovl $8, %r10d\n"
        "\tsyscall\n"
        "\tmovq 0(%rbx), %rax\n"
        "\tmovq 8(%rbx), %rdi\n"
        "\tmovq 16(%rbx), %rsi\n"
        "\tmovq 24(%rbx), %rdx\n"
        "\tmovq 32(%rbx), %r10\n"
        "\tmovq 40(%rbx), %r8\n"
        "\tmovq 48(%rbx), %r9\n"
        "\tsyscall\n"
        ".hidden os_wait_end\n.globl os_wait_end\nos_wait_end:\n"
        "\tpopq %rbx\n\t.cfi_adjust_cfa_offset -8\n"
        "\tret\n\t.cfi_endproc\n"
        ".size os_wait_window, . - os_wait_window\n");

/* Leaves this handler's frames for those that the registers belong to, at the window's begin. */
GA_NORETURN static void go_back(const greg_t *registers)
{
    _Static_assert(REG_R12 == 4 && REG_R15 == 7 && REG_RBP == 10 && REG_RBX == 11 && REG_RSP == 15,
                   "the instructions below know their places");
    __asm__ volatile("movq 32(%0), %%r12\n\tmovq 40(%0), %%r13\n\tmovq 48(%0), %%r14\n\t"
                     "movq 56(%0), %%r15\n\tmovq 80(%0), %%rbp\n\tmovq 88(%0), %%rbx\n\t"
                     "movq 120(%0), %%rsp\n\tjmp os_wait_begin"
                     :
                     : "a"(registers)
                     : "memory");
    __builtin_unreachable();
}

/*
 * The number of the call that ended at `at`, which libc loads right before it, or with one load of
 * an argument in between. Negative: it can't be told.
 */
static long call_number(uintptr_t at)
{
    unsigned char code[11]; /* mov $N, %eax; mov 8(%rsp), %edi; syscall */
    uint32_t number;
    if (os_copy_memory(code, at - sizeof(code), sizeof(code)) != sizeof(code))
        return -1;
    if (code[9] != 0x0f || code[10] != 0x05)
        return -1;
    bool loads = code[5] == 0x8b && code[6] == 0x7c && code[7] == 0x24;
    const unsigned char *load = code[4] == 0xb8 ? code + 4 : code;
    if (*load != 0xb8 || (load == code && !loads))
        return -1;
    memcpy(&number, load + 1, sizeof(number));
    return number;
}

#define FUTEX_COMMAND 0x7f
#define FUTEX_TIMED   ((1u << 0) | (1u << 9)) /* FUTEX_WAIT, FUTEX_WAIT_BITSET */

/* Whether the kernel has kept the call's time for restart_syscall. */
static bool is_kept(long number, const greg_t *registers)
{
    switch (number) {
    case SYS_poll:
    case SYS_nanosleep:
        return true;
    case SYS_clock_nanosleep:
        return !(registers[REG_RSI] & TIMER_ABSTIME);
    case SYS_futex:
        return registers[REG_R10] && (FUTEX_TIMED >> (registers[REG_RSI] & FUTEX_COMMAND) & 1);
    default:
        return false;
    }
}

/* Whether making the call again is the same as going on with it. */
static bool is_repeatable(long number, const greg_t *registers)
{
    switch (number) {
    case SYS_select:
    case SYS_pselect6:
    case SYS_ppoll:
    case SYS_pause:
    case SYS_rt_sigsuspend:
    case SYS_semop:
    case SYS_clock_nanosleep: /* until a time of day */
        return true;
    case SYS_rt_sigtimedwait:
        return registers[REG_RDX] == 0;
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
        return (int)registers[REG_R10] < 0;
    default:
        return false;
    }
}

static bool has_milliseconds(long number, const greg_t *registers)
{
    return (number == SYS_epoll_wait || number == SYS_epoll_pwait) && (int)registers[REG_R10] > 0;
}

#define MILLISECOND UINT64_C(1000000)

/* What is left until the deadline; rounded up, as the kernel would. */
static void refresh(struct wait *wait)
{
    if (!wait->deadline)
        return;
    uint64_t now = os_nanotime();
    uint64_t left = now < wait->deadline ? wait->deadline - now : 0;
    wait->arguments[3] = (long)((left + MILLISECOND - 1) / MILLISECOND);
}

/* Waits on, in this handler's frames; the result is the interrupted call's. */
static void wait_here(ucontext_t *context, struct wait *wait)
{
    memcpy(&wait->mask, &context->uc_sigmask, sizeof(wait->mask));
    refresh(wait);
    context->uc_mcontext.gregs[REG_RAX] = os_wait_window(wait);
}

static bool is_in_window(const greg_t *registers)
{
    uintptr_t at = (uintptr_t)registers[REG_RIP];
    return at >= (uintptr_t)os_wait_begin && at <= (uintptr_t)os_wait_end &&
           (at != (uintptr_t)os_wait_end || registers[REG_RAX] == -EINTR);
}

void os_resume_wait(void *of_handler)
{
    ucontext_t *context = of_handler;
    greg_t *registers = context->uc_mcontext.gregs;
    if (is_in_window(registers)) {
        refresh((struct wait *)registers[REG_RBX]);
        go_back(registers);
    }
    if (registers[REG_RAX] != -EINTR)
        return;
    long number = call_number((uintptr_t)registers[REG_RIP]);
    if (is_kept(number, registers)) {
        wait_here(context, &(struct wait){.number = SYS_restart_syscall});
    } else if (is_repeatable(number, registers)) {
        registers[REG_RAX] = number;
        registers[REG_RIP] -= 2;
    } else if (has_milliseconds(number, registers)) {
        struct wait wait = {
            .number = number,
            .arguments = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                          registers[REG_R10], registers[REG_R8], registers[REG_R9]},
            .deadline = os_nanotime() + (uint64_t)registers[REG_R10] * MILLISECOND,
        };
        wait_here(context, &wait);
    }
}

#else

/* On other processors a stop may end a wait with EINTR. */
void os_resume_wait(void *context)
{
    (void)context;
}

#endif
