// SPDX-License-Identifier: MIT
/*
 * signals.c: a stack overflow's report, and SIGQUIT's.
 *
 * Place: installed when the runtime starts, not before. Calls the reporter, or wakes the monitor.
 *
 * A coroutine that runs off its stack touches its guard page; the handler of SIGSEGV runs on a
 * stack of its own, one a machine, knows the guard, and says whose it is. Any other SIGSEGV goes to
 * the handler that was there before, or does what it does without one. SIGQUIT is only handled
 * where the program leaves it to the system, which would end it too.
 *
 * Invariants: no stack is switched here. Signals: this is all about them.
 */
#include <signal.h>

#include "internal.h"

static struct sigaction before; /* SIGSEGV's; constant once set */

void *signals_make_stack(void)
{
    return coro_alloc_unset(os_signal_stack_size());
}

/* The same instruction faults again under the restored action. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(number, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(number);
    else
        os_signal_restore(number, &before);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    struct waiter *waiter = stack_of_guard((uintptr_t)info->si_addr);
    if (waiter && info->si_code > 0)
        report_overflow(waiter, (uintptr_t)info->si_addr, context);
    pass_on(number, info, context);
}

static void on_quit(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    monitor_dump();
}

void signals_start(void)
{
    os_signal_handle(SIGSEGV, on_fault, &before);
    os_signal_handle_default(SIGQUIT, on_quit);
}
