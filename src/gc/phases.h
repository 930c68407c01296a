// SPDX-License-Identifier: MIT
/*
 * phases.h: functions of the program's that are told where a cycle is, as src/libc adds them.
 */
#ifndef GOALLOC_GC_PHASES_H
#define GOALLOC_GC_PHASES_H

#include "../goalloc.h"
#include "goalloc/gc.h"

typedef void gc_phase_call(enum ga_gc_phase phase, void *argument);

/* false: there are as many as there may be. */
bool phases_add(gc_phase_call *call, void *argument);
/* One that was added so. On return it isn't being called by another thread, and won't be. */
void phases_remove(gc_phase_call *call, void *argument);

#endif
