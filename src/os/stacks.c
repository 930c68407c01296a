// SPDX-License-Identifier: MIT
/*
 * stacks.c: memory for coroutines' stacks, their guard pages, and signals about them.
 *
 * Place: called by src/coro/stack.c and signals.c. Calls nothing but the kernel.
 *
 * A guard by MADV_GUARD_INSTALL is a mark in the page table: it costs no mapping, survives
 * MADV_DONTNEED, and hundreds are made in one call. mprotect splits the mapping at each, of which a
 * process may have 65,530.
 *
 * Invariants: errno is never touched. Locking: none. Fork and signals: safe in both.
 */
#include <errno.h>
#include <linux/mman.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "fault.h"
#include "os.h"
#include "syscall.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define PLACES_AT_ONCE ((size_t)64)

uintptr_t os_map_stacks(size_t size)
{
    if (os_fault_now(OS_FAULT_MMAP))
        return 0;
    long got = os_syscall(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got < 0 && got > -4096)
        return 0;
    /* A huge page would be fetched for each stack where the system gives them unasked. */
    os_syscall(SYS_madvise, got, (long)size, MADV_NOHUGEPAGE, 0, 0, 0);
    return (uintptr_t)got;
}

/* A page at each of `count` places, `stride` apart. */
struct places {
    uintptr_t first;
    size_t stride, count, page;
};

static bool advise_each(const struct places *all, int advice)
{
    for (size_t i = 0; i < all->count; i++)
        if (os_syscall(SYS_madvise, (long)(all->first + i * all->stride), (long)all->page, advice,
                       0, 0, 0) != 0)
            return false;
    return true;
}

/* Many in one call; a second time over what was done already does no harm. */
static bool advise_together(int self, const struct places *all, int advice)
{
    struct iovec places[PLACES_AT_ONCE];
    for (size_t done = 0; done < all->count;) {
        size_t left = all->count - done, n = left < PLACES_AT_ONCE ? left : PLACES_AT_ONCE;
        for (size_t i = 0; i < n; i++)
            places[i] = (struct iovec){(void *)(all->first + (done + i) * all->stride), all->page};
        if (os_syscall(SYS_process_madvise, self, (long)(uintptr_t)places, (long)n, advice, 0, 0) !=
            (long)(n * all->page))
            return false;
        done += n;
    }
    return true;
}

static bool advise_as_one(const struct places *all, int advice)
{
    long self = os_syscall(SYS_pidfd_open, os_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0), 0, 0, 0, 0, 0);
    if (self < 0)
        return false;
    bool done = advise_together((int)self, all, advice);
    os_syscall(SYS_close, self, 0, 0, 0, 0, 0);
    return done;
}

bool os_fetch_pages(uintptr_t first, size_t stride, size_t count)
{
    struct places all = {first, stride, count, os_page_size()};
    return !os_fault_now(OS_FAULT_FETCH) && advise_as_one(&all, MADV_POPULATE_WRITE);
}

static bool guard_by_advice(const struct places *all)
{
    return advise_as_one(all, MADV_GUARD_INSTALL) || advise_each(all, MADV_GUARD_INSTALL);
}

static bool protect(const struct places *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (os_syscall(SYS_mprotect, (long)(all->first + i * all->stride), (long)all->page,
                       PROT_NONE, 0, 0, 0) != 0)
            return false;
    return true;
}

enum os_guard os_guard_pages(uintptr_t first, size_t stride, size_t count, enum os_guard guard)
{
    struct places all = {first, stride, count, os_page_size()};
    if (guard == OS_GUARD_ADVICE && guard_by_advice(&all))
        return OS_GUARD_ADVICE;
    return protect(&all) ? OS_GUARD_PROTECT : OS_GUARD_NONE;
}

/* --- Stacks for signal handlers --- */

size_t os_signal_stack_size(void)
{
    size_t least = getauxval(AT_MINSIGSTKSZ);
    return round_up((least ? least : 4096) + 12288, 4096);
}

void os_signal_stack(void *memory, size_t size)
{
    stack_t now = {0}, wanted = {.ss_sp = memory, .ss_size = size};
    if (os_syscall(SYS_sigaltstack, 0, (long)(uintptr_t)&now, 0, 0, 0, 0) != 0 ||
        !(now.ss_flags & SS_DISABLE))
        return;
    os_syscall(SYS_sigaltstack, (long)(uintptr_t)&wanted, 0, 0, 0, 0, 0);
}

/* --- Handlers --- */

static struct sigaction action_of(os_signal_handler *handler)
{
    struct sigaction action = {.sa_sigaction = handler,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&action.sa_mask);
    return action;
}

void os_signal_handle(int number, os_signal_handler *handler, struct sigaction *before)
{
    struct sigaction action = action_of(handler);
    sigaction(number, &action, before);
}

void os_signal_handle_default(int number, os_signal_handler *handler)
{
    struct sigaction before;
    if (sigaction(number, NULL, &before) == 0 && !(before.sa_flags & SA_SIGINFO) &&
        before.sa_handler == SIG_DFL)
        os_signal_handle(number, handler, &before);
}

void os_signal_restore(int number, const struct sigaction *before)
{
    sigaction(number, before, NULL);
}
