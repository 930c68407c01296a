// SPDX-License-Identifier: MIT
/* helpers.h: threads of the library's that mark beside the collector's. */
#ifndef GOALLOC_GC_HELPERS_H
#define GOALLOC_GC_HELPERS_H

#include "../goalloc.h"

/* By the collector's thread, with no lock held: there they are, if they can be. */
void helpers_start(void);
/* Has them mark, as many as there are idle processors or so many that with the collector's thread a
 * quarter of the processors is at it, as long as others may enter (work.h). */
void helpers_call(bool all);
/* From now on none is called: in a copy of the process, where there are none. */
void helpers_leave_out(void);
/* They come no more; who is inside may still be. */
void helpers_dismiss(void);

/* Whether that thread is one: it isn't stopped. */
bool helpers_has(unsigned thread);
/* What of their stacks is alive: libc keeps things there. */
void helpers_each_stack(void (*visit)(const void *start, const void *end));
void helpers_reset_in_child(void);

#endif
