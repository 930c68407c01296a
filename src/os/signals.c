// SPDX-License-Identifier: MIT
/*
 * signals.c: a handler of memory faults that goes before the program's own.
 *
 * Place: src/hardened asks for it where a mode has pages that trap. Calls libc's sigaction, which
 * brings the restorer along and leaves libc's own signals alone.
 *
 * Invariants: with no mode on nothing is installed. What the program had before is called after
 * ours, by its own flags as far as that is possible from inside a handler: on the stack that the
 * kernel chose for ours, which is the program's alternate one where it has one.
 * Locking: none; `before` is written once, before the handler is installed for the second time.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <ucontext.h>

#include "os.h"
#include "report.h"

static bool (*report)(uintptr_t address, const char *access); /* constant once installed, as: */
static struct sigaction segv_before, bus_before;

/* The processor's error code says whether an access was a write. */
#if defined(__x86_64__)
static const char *access_of(const void *context)
{
    const ucontext_t *at = context;
    return at->uc_mcontext.gregs[REG_ERR] & 2 ? "write" : "read";
}
#else
static const char *access_of(const void *context)
{
    (void)context;
    return "access";
}
#endif

static bool is_default(const struct sigaction *before)
{
    return !(before->sa_flags & SA_SIGINFO) &&
           (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN);
}

static void call_before(const struct sigaction *before, int number, siginfo_t *info, void *context)
{
    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, info, context);
    else
        before->sa_handler(number);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    const struct sigaction *before = number == SIGSEGV ? &segv_before : &bus_before;
    int error = errno;
    /* Sent by somebody, not caused by an access: si_addr means nothing. */
    bool sent = info->si_code <= 0;
    bool reported = !sent && report((uintptr_t)info->si_addr, access_of(context));
    errno = error;
    if (!is_default(before)) {
        call_before(before, number, info, context);
        return;
    }
    if (reported)
        report_abort();
    /* The access happens again when this returns, and so does a signal that was sent. */
    (void)sigaction(number, before, NULL);
    if (sent)
        (void)raise(number);
}

static bool install(int number, struct sigaction *before)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    return sigaction(number, NULL, before) == 0 && sigaction(number, &action, NULL) == 0;
}

bool os_handle_faults(bool (*handler)(uintptr_t address, const char *access))
{
    report = handler;
    return install(SIGSEGV, &segv_before) && install(SIGBUS, &bus_before);
}
