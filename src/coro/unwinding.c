// SPDX-License-Identifier: MIT
/*
 * unwinding.c: destructors on ga_exit, and backtraces.
 *
 * Place: spawn.c and report.c. Calls libgcc's unwinder through weak references: it is there where
 * C++ is, or where the program links it.
 *
 * Invariants: no lock, no allocation of ours. The unwinder takes the loader's lock.
 */
#include <unwind.h>

#include "frame.h"
#include "unwinding.h"

extern _Unwind_Reason_Code _Unwind_Backtrace(_Unwind_Trace_Fn, void *) __attribute__((weak));
extern _Unwind_Reason_Code _Unwind_ForcedUnwind(struct _Unwind_Exception *, _Unwind_Stop_Fn, void *)
    __attribute__((weak));
extern _Unwind_Ptr _Unwind_GetIP(struct _Unwind_Context *) __attribute__((weak));

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

_Static_assert(sizeof(struct _Unwind_Exception) <= UNWINDING_SIZE, "a waiter has room for it");

/* The exception must not lie on the stack that is unwound. */
void unwind_all(struct waiter *self, void (*end)(void))
{
    static const _Unwind_Exception_Class ours = 0x676f616c65786974; /* "goalexit" */
    struct _Unwind_Exception *exception = (void *)self->unwinding;
    union end_of_unwinding at_end = {.function = end};
    *exception = (struct _Unwind_Exception){.exception_class = ours};
    if (&_Unwind_ForcedUnwind)
        _Unwind_ForcedUnwind(exception, go_on, at_end.pointer);
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
    if (trace->count == trace->room)
        return _URC_END_OF_STACK;
    trace->frames[trace->count++] = (uintptr_t)_Unwind_GetIP(context);
    return _URC_NO_REASON;
}

static void walk(void *argument)
{
    _Unwind_Backtrace(note, argument);
    __asm__ volatile("" ::: "memory"); /* not a tail call: this frame is counted */
}

size_t unwind_frames(void *sp, uintptr_t *frames, size_t count)
{
    if (!&_Unwind_Backtrace || !&_Unwind_GetIP)
        return 0;
    /* Parked: walk and coro_call_on_saved come before what is wanted. Else: walk, and this. */
    struct trace trace = {frames, 0, count, 2};
    if (sp)
        coro_call_on_saved(sp, walk, &trace);
    else
        walk(&trace);
    return trace.count;
}
