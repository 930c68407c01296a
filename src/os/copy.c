// SPDX-License-Identifier: MIT
/*
 * copy.c: a copy of this process, memory and the calling thread, to look at in peace.
 *
 * Place: src/gc's snapshot. Calls nothing but the kernel.
 *
 *   os_copy_start --clone--> begin_copy: own table of descriptors, empty; `begun`
 *        |                   dies with us; run; exit
 *   os_copy_has_ended ... until it has, or os_copy_kill
 *
 * The program must not notice. The copy is made without libc: no fork handler runs. Its end sends
 * no signal, which also hides it from wait and waitpid, unless they ask for __WCLONE or __WALL. No
 * tracer is told of it. It writes no core, and where memory gets short the kernel ends it before
 * us.
 *
 * Descriptors: a file that the program closes must be closed, whoever has a copy. So the copy
 * shares our table until its first call gives it an empty one. Kernels before 6.12 fill that with
 * the first 64 for a moment; until it is over the caller waits, and with it the world that it has
 * stopped.
 *
 * Invariants: what the copy runs takes no lock and calls nothing of libc that does: other threads
 * were stopped where they were, and aren't there. All signals are blocked in it, as in the thread
 * that made it.
 * Locking: the collector's thread alone. Fork: a copy has ended by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "os.h"
#include "proc.h"
#include "syscall.h"

#define RANGE_UNSHARE 2 /* close_range's, newer than some headers */
#define CLOSE_RANGE   436

/* A copy that hasn't begun by then, in nanoseconds, is given up. */
#define BEGIN_LIMIT UINT64_C(500000000)

static long call(long number, long a, long b, long c, long d)
{
    return os_syscall(number, a, b, c, d, 0, 0);
}

/* --- In the copy --- */

static void die_before_others(void)
{
    long fd = call(SYS_openat, AT_FDCWD, (long)(uintptr_t) "/proc/self/oom_score_adj",
                   O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    call(SYS_write, fd, (long)(uintptr_t) "1000", 4, 0);
    call(SYS_close, fd, 0, 0, 0);
}

/* false: it can't be kept from the program. */
static bool begin_copy(long parent, atomic_bool *begun)
{
    struct rlimit none = {0, 0};
    if (call(CLOSE_RANGE, 0, ~0u, RANGE_UNSHARE, 0) != 0)
        return false;
    atomic_store_explicit(begun, true, memory_order_release);
    call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
    if (call(SYS_getppid, 0, 0, 0, 0) != parent)
        return false; /* it has ended already */
    call(SYS_prctl, PR_SET_NAME, (long)(uintptr_t) "goalloc-copy", 0, 0);
    call(SYS_prlimit64, 0, RLIMIT_CORE, (long)(uintptr_t)&none, 0);
    die_before_others();
    return true;
}

/* --- In us --- */

/* Somebody who waits for all there is may have been told of its end in our place. */
bool os_copy_has_ended(long copy)
{
    return call(SYS_wait4, copy, 0, WNOHANG | __WALL, 0) != 0;
}

void os_copy_kill(long copy)
{
    if (os_copy_has_ended(copy))
        return;
    call(SYS_kill, copy, SIGKILL, 0, 0);
    while (call(SYS_wait4, copy, 0, __WALL, 0) == -EINTR) {
    }
}

/* The clock of another process: its number's complement, and what of its time (the kernel's
 * CPUCLOCK_SCHED). */
uint64_t os_copy_time(long copy)
{
    struct timespec ran = {0, 0};
    call(SYS_clock_gettime, (long)(~(unsigned long)copy << 3 | 2), (long)(uintptr_t)&ran, 0, 0);
    return (uint64_t)ran.tv_sec * 1000000000u + (uint64_t)ran.tv_nsec;
}

/* false: it has ended, or isn't given a processor. */
static bool await_begin(long copy, const atomic_bool *begun)
{
    uint64_t deadline = os_nanotime() + BEGIN_LIMIT;
    while (!atomic_load_explicit(begun, memory_order_acquire)) {
        if (os_copy_has_ended(copy))
            return false;
        if (os_nanotime() > deadline) {
            os_copy_kill(copy);
            return false;
        }
        os_yield();
    }
    return true;
}

long os_copy_start(void (*run)(void *context), void *context, atomic_bool *begun)
{
    long parent = call(SYS_getpid, 0, 0, 0, 0);
    long copy = call(SYS_clone, CLONE_FILES | CLONE_UNTRACED, 0, 0, 0);
    if (copy > 0)
        return await_begin(copy, begun) ? copy : -1;
    if (copy < 0)
        return copy;
    if (begin_copy(parent, begun))
        run(context);
    for (;;)
        call(SYS_exit_group, 0, 0, 0, 0);
}

void *os_map_shared(size_t size)
{
    uintptr_t at = (uintptr_t)os_syscall(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at > (uintptr_t)-4096 ? NULL : (void *)at;
}
