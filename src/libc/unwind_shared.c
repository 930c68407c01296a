// SPDX-License-Identifier: MIT
/*
 * unwind_shared.c: who called, by the compiler's unwinder.
 *
 * Place: init.c, where a mode of src/hardened is on. Frame pointers can't be relied on: what
 * distributions build has none. libgcc_s's unwinder reads the tables that every program has for C++
 * and for glibc's own backtrace(). When it is called later it allocates nothing.
 *
 * C++ programs bring it along. For others it is opened, but not from the constructor, which comes
 * before libc's own: dlopen would have libc initialised with no arguments and no environment. It is
 * opened at the first malloc after that which doesn't come from the dynamic linker, whose tables
 * may be half changed then.
 *
 * Invariants: no lock of ours is held while it runs, since on an old glibc it takes the dynamic
 * linker's. Signals: works from a handler, as far as the stack can be read.
 */
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#include "../os/misuse.h"
#include "../os/os.h"
#include "internal.h"

typedef _Unwind_Reason_Code backtrace_function(_Unwind_Trace_Fn, void *);
typedef uintptr_t get_ip_function(struct _Unwind_Context *);

static backtrace_function *backtrace; /* constant after the constructor, as: */
static get_ip_function *get_ip;

/* Where the linker puts this library's first byte and its end. */
extern const char __ehdr_start[] GA_HIDDEN;
extern const char _end[] GA_HIDDEN;

struct walk {
    uintptr_t *frames;
    unsigned count, most;
};

static bool is_ours(uintptr_t ip)
{
    return ip >= (uintptr_t)__ehdr_start && ip < (uintptr_t)_end;
}

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *argument)
{
    struct walk *walk = argument;
    uintptr_t ip = get_ip(context);
    if (!ip || walk->count == walk->most)
        return _URC_END_OF_STACK;
    /* The innermost frames are the library's own, and say nothing. */
    if (walk->count || !is_ours(ip))
        walk->frames[walk->count++] = ip;
    return _URC_NO_REASON;
}

static unsigned unwind(uintptr_t *frames, unsigned most)
{
    struct walk walk = {frames, 0, most};
    backtrace(on_frame, &walk);
    return walk.count;
}

/* As a data pointer, which is what dlsym has; C has no cast to a function pointer. */
static void *find(void *library, const char *name, void *function, size_t size)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, size);
    return symbol;
}

static bool find_unwinder(void *library)
{
    bool found = find(library, "_Unwind_Backtrace", &backtrace, sizeof(backtrace)) &&
                 find(library, "_Unwind_GetIP", &get_ip, sizeof(get_ip));
    if (found)
        misuse_set_unwinder(unwind);
    return found;
}

bool unwind_init(void)
{
    return find_unwinder(RTLD_DEFAULT);
}

/* The dynamic linker is less than this long. */
#define LINKER_MAX ((uintptr_t)1 << 20)

bool unwind_open(const void *caller)
{
    uintptr_t from = (uintptr_t)caller, linker = os_linker_address();
    static atomic_bool opening; /* relaxed: one thread opens it, others go on without */
    if (!environ || is_ours(from) || from - linker < LINKER_MAX)
        return false;
    if (!atomic_exchange_explicit(&opening, true, memory_order_relaxed)) {
        int error = errno;
        void *library = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
        if (library)
            find_unwinder(library);
        errno = error;
    }
    return true;
}
