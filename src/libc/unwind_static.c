// SPDX-License-Identifier: MIT
/*
 * unwind_static.c: who called, in a static program: not known.
 *
 * Place: the static library has this instead of unwind_shared.c: an unwinder would be linked into
 * every program for the sake of a mode that it may never use.
 */
#include "internal.h"

bool unwind_init(void)
{
    return true;
}

bool unwind_open(const void *caller)
{
    (void)caller;
    return true;
}
