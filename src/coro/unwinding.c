// SPDX-License-Identifier: MIT
/*
 * unwinding.c: destructors on ga_exit, and backtraces.
 *
 * Place: spawn.c and report.c. Calls libgcc's unwinder. The shared library has a copy of its own,
 * so that a program in C gets backtraces too; but destructors are called by the program's, if there
 * is one: what it hands to the C++ runtime is its own.
 *
 * Invariants: no lock, no allocation of ours. The unwinder takes the loader's lock.
 */
#include <dlfcn.h>
#include <unwind.h>

#include "frame.h"
#include "unwinding.h"

/* --- Destructors --- */

union end_of_unwinding {
    void (*function)(void);
    void *pointer;
};

static _Unwind_Reason_Code go_on(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                                 struct _Unwind_Exception *exception,
                                 struct _Unwind_Context *context, void *argument)
{
    (void)version;
    (void)class;
    (void)exception;
    (void)context;
    if (actions & _UA_END_OF_STACK) {
        union end_of_unwinding end = {.pointer = argument};
        end.function();
    }
    return _URC_NO_REASON;
}

typedef _Unwind_Reason_Code forced_unwind(struct _Unwind_Exception *, _Unwind_Stop_Fn, void *);

#if defined(GOALLOC_SHARED)
static void *find(void *library)
{
    return dlsym(library, "_Unwind_ForcedUnwind");
}

/* NULL: there is none that others could use, and so no destructor that it could call. */
static forced_unwind *programs_unwinder(void)
{
    /* dlsym gives data pointers, C has no cast to functions. */
    union {
        void *pointer;
        forced_unwind *function;
    } found = {find(RTLD_DEFAULT)};
    if (!found.pointer) { /* perhaps of a library that was loaded for itself */
        void *libgcc = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_NOLOAD);
        if (libgcc) {
            found.pointer = find(libgcc);
            dlclose(libgcc);
        }
    }
    return found.function;
}
#else
/* Linked into the program, we have the program's own. */
static forced_unwind *programs_unwinder(void)
{
    return _Unwind_ForcedUnwind;
}
#endif

_Static_assert(sizeof(struct _Unwind_Exception) <= UNWINDING_SIZE, "a waiter has room for it");

/* The exception must not lie on the stack that is unwound. */
void unwind_all(struct waiter *self, void (*end)(void))
{
    static const _Unwind_Exception_Class ours = 0x676f616c65786974; /* "goalexit" */
    struct _Unwind_Exception *exception = (void *)self->unwinding;
    union end_of_unwinding at_end = {.function = end};
    *exception = (struct _Unwind_Exception){.exception_class = ours};
    forced_unwind *unwind = programs_unwinder();
    if (unwind)
        unwind(exception, go_on, at_end.pointer);
}

/* --- Backtraces --- */

struct trace {
    uintptr_t *frames;
    size_t count, room, skip;
};

static _Unwind_Reason_Code note(struct _Unwind_Context *context, void *argument)
{
    struct trace *trace = argument;
    if (trace->skip > 0) {
        trace->skip--;
        return _URC_NO_REASON;
    }
    uintptr_t address = (uintptr_t)_Unwind_GetIP(context);
    if (trace->count == trace->room || address == 0)
        return _URC_END_OF_STACK;
    trace->frames[trace->count++] = address;
    return _URC_NO_REASON;
}

static void walk(void *argument)
{
    _Unwind_Backtrace(note, argument);
    __asm__ volatile("" ::: "memory"); /* not a tail call: this frame is counted */
}

size_t unwind_frames(void *sp, uintptr_t *frames, size_t count)
{
    /* Parked: walk and coro_call_on_saved come before what is wanted. Else: walk, and this. */
    struct trace trace = {frames, 0, count, 2};
    if (sp)
        coro_call_on_saved(sp, walk, &trace);
    else
        walk(&trace);
    return trace.count;
}
