// SPDX-License-Identifier: MIT
//
// The one C++ file of the benchmarks: drives google-benchmark for the C face in shim.h.
//
// Place: main.c calls bench_run_row(); the workloads call bench_next() and its kin. Only calls that
// are the same in google-benchmark 1.7 and later are used: the minimum time, repeat count and clock
// are set on the benchmark object and not by command-line flags, whose spelling changed, and
// threads are started by the workloads, because the meaning of its multi-threaded times changed.
//
// Invariants: one row runs at a time, on the calling thread. The figures kept are those of the last
// call of the row's function: earlier ones only look for the repeat count.

#include "shim.h"

#include <benchmark/benchmark.h>
#include <sys/resource.h>

namespace
{

// Takes the one run's figures instead of printing them: main.c prints.
class Keeper : public benchmark::BenchmarkReporter
{
  public:
    explicit Keeper(bench_result *out) : out_(out)
    {
    }

    bool ReportContext(const Context &) override
    {
        return true;
    }

    void ReportRuns(const std::vector<Run> &runs) override
    {
        for (const Run &r : runs) {
            out_->wall_s = r.real_accumulated_time;
            out_->cpu_s = r.cpu_accumulated_time;
            out_->iterations = static_cast<uint64_t>(r.iterations);
        }
    }

  private:
    bench_result *out_;
};

benchmark::State *state_of(struct bench *b)
{
    return static_cast<benchmark::State *>(b->state);
}

// One call of the row's function, with the page faults it took.
void timed_call(const bench_row *row, struct bench *b, bench_result *out, benchmark::State &st)
{
    struct rusage before, after;
    b->state = &st;
    b->ncounters = 0;
    getrusage(RUSAGE_SELF, &before);
    row->run(b);
    getrusage(RUSAGE_SELF, &after);
    out->minflt = static_cast<uint64_t>(after.ru_minflt - before.ru_minflt);
    out->majflt = static_cast<uint64_t>(after.ru_majflt - before.ru_majflt);
    b->state = nullptr;
}

} // namespace

bool bench_next(struct bench *b)
{
    return state_of(b)->KeepRunning();
}

void bench_pause(struct bench *b)
{
    state_of(b)->PauseTiming();
}

void bench_resume(struct bench *b)
{
    state_of(b)->ResumeTiming();
}

void bench_fail(struct bench *b, const char *why)
{
    b->error = why;
    if (b->state)
        state_of(b)->SkipWithError(why);
}

void bench_count(struct bench *b, const char *name, double value)
{
    for (unsigned i = 0; i < b->ncounters; i++) {
        if (b->counters[i].name == name) {
            b->counters[i].value = value;
            return;
        }
    }
    if (b->ncounters < BENCH_COUNTERS)
        b->counters[b->ncounters++] = {name, value};
}

bool bench_run_row(const struct bench_row *row, struct bench *b, double min_time,
                   struct bench_result *out)
{
    *out = bench_result();
    b->ops = 1;
    if (row->setup)
        row->setup(b);
    if (!b->error) {
        benchmark::ClearRegisteredBenchmarks();
        benchmark::internal::Benchmark *reg = benchmark::RegisterBenchmark(
            "row", [&](benchmark::State &st) { timed_call(row, b, out, st); });
        reg->UseRealTime()->MeasureProcessCPUTime();
        if (row->iterations > 0)
            reg->Iterations(row->iterations);
        else
            reg->MinTime(min_time);
        Keeper keeper(out);
        benchmark::RunSpecifiedBenchmarks(&keeper, "row");
    }
    if (row->teardown)
        row->teardown(b);
    return !b->error && out->iterations > 0;
}
