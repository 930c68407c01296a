// SPDX-License-Identifier: MIT
//
// The benchmarks' whole view of google-benchmark: a C face over its timing loop.
//
// Why a shim: the allocator under test serves C programs, so the workloads are C; and only the loop
// (how often to repeat, what to subtract) is worth taking from a library. A row is registered once
// with its arguments; ga_bench runs each as: setup, the timed function (called several times while
// the library looks for a repeat count), teardown. What setup builds is therefore in memory while
// the row runs, and isn't paid for in the figures.
//
// One *iteration* is what runs between two calls of bench_next(); one *operation* is what the
// figure is stated in ("ns per malloc+free pair"). bench_ops() says how many operations an
// iteration holds: thousands in the micro rows, so that the loop's own cost is out of the figure.

#ifndef GA_BENCH_SHIM_H
#define GA_BENCH_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BENCH_ARGS = 2,     // numbers a row may be registered with
    BENCH_COUNTERS = 4, // extra figures a row may report
    BENCH_NAME = 64,    // longest row name
};

struct bench_counter {
    const char *name;
    double value;
};

// The state of one row while it runs. Workloads read the first part and leave the second to the
// shim; one thread (the one that called the row's function) touches it.
struct bench {
    long arg[BENCH_ARGS]; // as registered; immutable
    unsigned threads;     // worker threads the row should use; immutable
    bool quick;           // smaller working sets: a smoke test, not a measurement
    void *ctx;            // what setup built; the row's own

    uint64_t ops;   // operations per iteration, 1 unless bench_ops() says otherwise
    uint64_t check; // checksum of one iteration's results, 0 if the row has none
    struct bench_counter counters[BENCH_COUNTERS];
    unsigned ncounters;
    const char *error; // why the row gave up, or NULL
    void *state;       // google-benchmark's
};

struct bench_row {
    char name[BENCH_NAME];
    void (*run)(struct bench *b);
    void (*setup)(struct bench *b);    // may be NULL
    void (*teardown)(struct bench *b); // may be NULL
    long arg[BENCH_ARGS];
    unsigned threads;
    long iterations; // exactly so many, or 0: as many as the minimum time needs
};

// What one row gave. Times are of the last, measured call of the row's function.
struct bench_result {
    double wall_s;       // over all iterations
    double cpu_s;        // of the whole process, over all iterations
    uint64_t iterations; //
    uint64_t minflt;     // page faults without input or output, over all iterations
    uint64_t majflt;     //
};

// The timed loop: while (bench_next(b)) { one iteration }. It must be left by this returning false.
bool bench_next(struct bench *b);

// Stops and restarts the clock inside an iteration. Each costs a system call or two, so only for
// iterations of a millisecond or more.
void bench_pause(struct bench *b);
void bench_resume(struct bench *b);

// Ends the row with a reason. The function must return soon after; bench_next() returns false.
void bench_fail(struct bench *b, const char *why);

static inline void bench_ops(struct bench *b, uint64_t per_iteration)
{
    b->ops = per_iteration;
}

// A row whose iterations all compute the same thing says what they computed; the harness compares
// it between allocators, so that a broken one can't win by being wrong.
static inline void bench_check(struct bench *b, uint64_t sum)
{
    b->check = sum;
}

// Reports one more figure. `name` must outlive the row; the last value given counts.
void bench_count(struct bench *b, const char *name, double value);

// Runs `row` once: setup, timed loop, teardown. `min_time` in seconds. False if the row failed
// (b->error says why).
bool bench_run_row(const struct bench_row *row, struct bench *b, double min_time,
                   struct bench_result *out);

#ifdef __cplusplus
}
#endif
#endif
