// SPDX-License-Identifier: MIT
/*
 * process.c: waiting, time, output, and what the kernel says about this process.
 *
 * Place: called from everywhere. Calls libc for the auxiliary vector and the clock only: neither
 * allocates, takes a lock or makes a system call.
 *
 * Locking: none. Fork and signals: safe in both.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "os.h"
#include "syscall.h"

atomic_size_t os_system_call_count;

void os_futex_wait(atomic_uint *word, unsigned expected)
{
    os_syscall(SYS_futex, (long)(uintptr_t)word, FUTEX_WAIT_PRIVATE, (long)expected, 0, 0, 0);
}

void os_futex_wait_for(atomic_uint *word, unsigned expected, uint64_t nanoseconds)
{
    struct timespec wait = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};
    os_syscall(SYS_futex, (long)(uintptr_t)word, FUTEX_WAIT_PRIVATE, (long)expected,
               (long)(uintptr_t)&wait, 0, 0);
}

void os_futex_wake(atomic_uint *word, int how_many)
{
    os_syscall(SYS_futex, (long)(uintptr_t)word, FUTEX_WAKE_PRIVATE, how_many, 0, 0, 0);
}

void os_block_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

void os_restore_signals(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

unsigned os_thread_id(void)
{
    return (unsigned)os_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

uint64_t os_random_seed(void)
{
    uint64_t seed = 0;
    const void *bytes = (const void *)getauxval(AT_RANDOM);
    if (bytes)
        memcpy(&seed, bytes, sizeof(seed));
    /* The same bytes are the stack protector's secret: never let the seed itself be seen. */
    seed ^= seed >> 33;
    seed *= UINT64_C(0xff51afd7ed558ccd);
    seed ^= seed >> 33;
    seed *= UINT64_C(0xc4ceb9fe1a85ec53);
    seed ^= seed >> 33;
    return seed;
}

uintptr_t os_linker_address(void)
{
    return getauxval(AT_BASE);
}

uintptr_t os_program_entry(void)
{
    return getauxval(AT_ENTRY);
}

bool os_is_setuid(void)
{
    return getauxval(AT_SECURE) != 0;
}

static uint64_t clock_now(clockid_t clock)
{
    struct timespec now = {0, 0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t os_nanotime(void)
{
    return clock_now(CLOCK_MONOTONIC);
}

uint64_t os_coarse_nanotime(void)
{
    return clock_now(CLOCK_MONOTONIC_COARSE);
}

size_t os_read_file(const char *path, char *text, size_t size)
{
    long fd =
        os_syscall(SYS_openat, AT_FDCWD, (long)(uintptr_t)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return 0;
    long length = os_syscall(SYS_read, fd, (long)(uintptr_t)text, (long)size - 1, 0, 0, 0);
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    length = length > 0 ? length : 0;
    text[length] = '\0';
    return (size_t)length;
}

uint64_t os_wall_time(void)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The second number of /proc/self/statm is the resident size in OS pages. */
size_t os_resident_bytes(void)
{
    char text[128];
    if (!os_read_file("/proc/self/statm", text, sizeof(text)))
        return 0;
    const char *at = strchr(text, ' ');
    size_t pages = 0;
    for (at = at ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
        pages = pages * 10 + (size_t)(*at - '0');
    return pages * os_page_size();
}

void os_write(int fd, const char *text, size_t length)
{
    os_syscall(SYS_write, fd, (long)(uintptr_t)text, (long)length, 0, 0, 0);
}

int os_open_append(const char *path)
{
    return (int)os_syscall(SYS_openat, AT_FDCWD, (long)(uintptr_t)path,
                           O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600, 0, 0);
}

int os_open_read(const char *path)
{
    return (int)os_syscall(SYS_openat, AT_FDCWD, (long)(uintptr_t)path, O_RDONLY | O_CLOEXEC, 0, 0,
                           0);
}

long os_read(int fd, char *buffer, size_t size)
{
    return os_syscall(SYS_read, fd, (long)(uintptr_t)buffer, (long)size, 0, 0, 0);
}

void os_close(int fd)
{
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

size_t os_system_calls(void)
{
    return atomic_load_explicit(&os_system_call_count, memory_order_relaxed);
}
