// SPDX-License-Identifier: MIT
/*
 * misuse.h: the report of a program's mistake with memory, the one form that all of them have.
 *
 *   goalloc: double free: 0x9c3e8b0030 (size class 7 of 112 bytes, thread 4711)
 *            ^ what       ^ address     ^ the block, as far as it is known
 *   goalloc:   allocated by thread 4711:
 *   goalloc:     0x55d0c2a01234 /usr/bin/program+0x1234
 *   ...
 *
 * The first line is all there is where no call was recorded. docs/security.md has the form for
 * users, and the same as JSON.
 */
#ifndef GOALLOC_MISUSE_H
#define GOALLOC_MISUSE_H

#include "../goalloc.h"

#define MISUSE_FRAMES 16

/* Who made a call: its thread and its return addresses, innermost first. */
struct misuse_trace {
    unsigned thread; /* 0: not known */
    unsigned depth;
    uintptr_t frames[MISUSE_FRAMES];
};

/* What isn't known is 0. */
struct misuse {
    const char *what;    /* "double free", "free of a foreign pointer" */
    const char *where;   /* beside the address: "isn't goalloc's"; NULL: by block and address */
    const char *hint;    /* behind all else in the first line; NULL: the usual one */
    const void *address; /* that was misused */
    const void *block;   /* the block it has to do with */
    size_t size;         /* of that block, as the program may use it */
    unsigned class;      /* size class of that block, and that class's size */
    size_t class_size;
    const struct misuse_trace *allocated, *freed, *now;
};

/* One report, then abort. No lock of the library's is held: a handler of SIGABRT may allocate. */
GA_NORETURN GA_COLD void misuse_report(const struct misuse *misuse);
/* The same; what it was is "FUNCTION of KIND". */
GA_NORETURN GA_COLD void misuse_call(const char *function, const char *kind,
                                     const struct misuse *about);
/* The same, but it returns: for a handler of faults that has another to call. */
GA_COLD void misuse_print(const struct misuse *misuse);

/* What the first line says at its end unless told otherwise. */
#define MISUSE_HINT "GOALLOC=hardened finds more"

/* In which form reports come, and what the first line says at its end where nothing else is said.
 * Once, at start. */
void misuse_set_output(bool json, const char *hint);

/* How return addresses are found: fills in at most so many and returns how many. Until one is set
 * no trace has frames. Once, at start. */
typedef unsigned misuse_unwinder(uintptr_t *frames, unsigned most);
void misuse_set_unwinder(misuse_unwinder *unwind);
/* The calling thread, whose number that is, and its return addresses. No lock may be held. */
void misuse_trace_now(struct misuse_trace *out, unsigned thread);

/* Writes the name of the file mapped at an address, and the address in it, as the linker counts. */
struct text;
void misuse_add_place(struct text *text, uintptr_t address);

#endif
