// SPDX-License-Identifier: MIT
//
// Programs that are about memory over time: `ga_bench --phase NAME`.
//
// A program runs through phases and marks the end of each; what is printed in the end is one JSON
// line with the memory at every mark, values of the program's own, and the memory every 50 ms.

#ifndef GA_BENCH_PHASE_H
#define GA_BENCH_PHASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct phases;

struct phase_program {
    const char *name, *what;
    void (*run)(struct phases *p, bool quick);
};

extern const struct phase_program phase_programs[]; // ends with a NULL name

// Runs a program and prints its line. False if there is no such program.
bool phase_run(const char *name, bool quick);

// ---- for the programs ------------------------------------------------------------------------

// The end of a phase: memory now, counted exactly. `own` bytes of it are the program's tables, and
// not the allocator's doing.
void phase_mark(struct phases *p, const char *name, size_t own);

// One more figure, printed under its name.
void phase_value(struct phases *p, const char *name, double value);

double phase_seconds(void);            // of a clock that only goes forward
void phase_sleep(double s);            // without allocating
void phase_tick_for(double s);         // sleeps, but makes and drops a small block each 0.1 s
void phase_fill(void *p, size_t size); // writes one word of each page

void phase_torture(struct phases *p, bool quick);
void phase_free256(struct phases *p, bool quick);
void phase_free256_idle(struct phases *p, bool quick);
void phase_small8m(struct phases *p, bool quick);
void phase_sawtooth(struct phases *p, bool quick);
void phase_server(struct phases *p, bool quick);
void phase_memlimit(struct phases *p, bool quick);

#endif
