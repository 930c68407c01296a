// SPDX-License-Identifier: MIT
//
// The rows of coroutines, channels and sync: what bench/go/main.go has, by the same names. Each row
// runs in a coroutine of its own, as Go's run in main's goroutine. usage: ga_coro_bench [PATTERN]
//
// Prints "NAME NANOSECONDS" a row: the median of sixty bursts, of elapsed time. How many processors
// there are is GOMAXPROCS's to say.

#include <goalloc/coro.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim.h"

typedef ga_chan(int) ints;

enum { BURSTS = 60, BATCH = 1000, ROUNDS = 5000 };
#define HOUR UINT64_C(3600000000000)

static void nothing(void)
{
}

static void spawn(struct bench *b)
{
    bench_ops(b, BATCH);
    while (bench_next(b)) {
        for (int i = 0; i < BATCH; i++)
            ga_go(nothing);
        ga_wait_all();
    }
}

static void yield_often(ga_scope *scope)
{
    (void)scope;
    for (int i = 0; i < ROUNDS; i++)
        ga_yield();
}

static void yield(struct bench *b)
{
    ga_scope *scope = ga_scope_new();
    bench_ops(b, ROUNDS);
    while (bench_next(b)) {
        ga_scope_go(scope, yield_often, scope);
        ga_scope_go(scope, yield_often, scope);
        ga_scope_wait(scope);
    }
    ga_scope_end(scope);
}

static void give_back(ints in, ints out)
{
    int v;
    while (ga_recv_ok(in, &v))
        ga_send(out, v);
}

static void ping_pong(struct bench *b)
{
    ints there = ga_make(ints), back = ga_make(ints);
    ga_go(give_back, there, back);
    bench_ops(b, BATCH);
    while (bench_next(b))
        for (int i = 0; i < BATCH; i++) {
            ga_send(there, i);
            (void)ga_recv(back);
        }
    ga_close(there);
    ga_wait_all();
    ga_chan_free(there);
    ga_chan_free(back);
}

static void produce(ints c, int count)
{
    for (int i = 0; i < count; i++)
        ga_send(c, i);
}

static void stream(struct bench *b)
{
    ints c = ga_make(ints, b->arg[0]);
    bench_ops(b, ROUNDS);
    while (bench_next(b)) {
        ga_go(produce, c, ROUNDS);
        for (int i = 0; i < ROUNDS; i++)
            (void)ga_recv(c);
    }
    ga_wait_all();
    ga_chan_free(c);
}

static void park_and_end(ga_scope *scope, ints c)
{
    (void)scope;
    (void)ga_recv(c);
}

/* Creates and parks so many, then ends them; nanoseconds for each. */
static void parked(struct bench *b)
{
    bench_ops(b, (uint64_t)b->arg[0]);
    while (bench_next(b)) {
        ints c = ga_make(ints);
        ga_scope *scope = ga_scope_new();
        for (long i = 0; i < b->arg[0]; i++)
            ga_scope_go(scope, park_and_end, scope, c);
        ga_yield();
        ga_close(c);
        ga_scope_end(scope);
        ga_chan_free(c);
    }
}

static void do_nothing(void *unused)
{
    (void)unused;
}

static void after_and_stop(struct bench *b)
{
    bench_ops(b, BATCH);
    while (bench_next(b))
        for (int i = 0; i < BATCH; i++)
            ga_timer_free(ga_after(INT64_C(1000000000), do_nothing, NULL));
}

/* Deadlines in an hour's time, in an order that no heap likes or fears. */
static void insert(struct bench *b)
{
    size_t count = (size_t)b->arg[0];
    ga_timer **timers = malloc(count * sizeof(ga_timer *));
    uint64_t random = 1;
    bench_ops(b, count);
    while (bench_next(b)) {
        for (size_t i = 0; i < count; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            timers[i] = ga_after((int64_t)(HOUR + (random >> 24)), do_nothing, NULL);
        }
        bench_pause(b);
        for (size_t i = 0; i < count; i++)
            ga_timer_free(timers[i]);
        bench_resume(b);
    }
    free(timers);
}

/* A hundred pairs that talk, with or without a loop beside them that never waits. */
static atomic_bool stop_hog;

static void hog(void)
{
    while (!atomic_load_explicit(&stop_hog, memory_order_relaxed))
        ;
}

static void talk_in(ga_scope *scope, ints there, ints back, long rounds)
{
    (void)scope;
    for (long i = 0; i < rounds; i++) {
        ga_send(there, 1);
        (void)ga_recv(back);
    }
    ga_close(there);
}

static void pairs(struct bench *b)
{
    enum { PAIRS = 100, EACH = 20000 };
    ints channels[2 * PAIRS];
    bench_ops(b, PAIRS * EACH);
    while (bench_next(b)) {
        ga_scope *scope = ga_scope_new();
        atomic_store(&stop_hog, false);
        if (b->arg[0])
            ga_go(hog);
        for (size_t i = 0; i < PAIRS; i++) {
            ints there = channels[2 * i] = ga_make(ints),
                 back = channels[2 * i + 1] = ga_make(ints);
            ga_go(give_back, there, back);
            ga_scope_go(scope, talk_in, scope, there, back, (long)EACH);
        }
        ga_scope_end(scope);
        atomic_store(&stop_hog, true);
        ga_wait_all();
        for (size_t i = 0; i < 2 * PAIRS; i++)
            ga_chan_free(channels[i]);
    }
}

static const struct bench_row rows[] = {
    {.name = "coro/spawn", .run = spawn},
    {.name = "coro/yield", .run = yield},
    {.name = "coro/parked/100000", .run = parked, .arg = {100000}},
    {.name = "chan/ping_pong", .run = ping_pong},
    {.name = "chan/stream/0", .run = stream, .arg = {0}},
    {.name = "chan/stream/1", .run = stream, .arg = {1}},
    {.name = "chan/stream/128", .run = stream, .arg = {128}},
    {.name = "chan/pairs/100", .run = pairs, .arg = {0}},
    {.name = "chan/pairs/100/hog", .run = pairs, .arg = {1}},
    {.name = "timer/after_stop", .run = after_and_stop},
    {.name = "timer/insert/100000", .run = insert, .arg = {100000}},
};

static int by_value(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static void run_row(const struct bench_row *row)
{
    double each[BURSTS];
    int bursts = strstr(row->name, "/pairs/") ? 3 : BURSTS; /* each takes long enough */
    for (int i = 0; i < bursts; i++) {
        struct bench b = {.arg = {row->arg[0]}, .threads = 1};
        struct bench_result result;
        if (!bench_run_row(row, &b, 0.004, &result)) {
            printf("%-22s failed: %s\n", row->name, b.error ? b.error : "no result");
            return;
        }
        each[i] = result.wall_s * 1e9 / (double)result.iterations / (double)b.ops;
    }
    qsort(each, (size_t)bursts, sizeof(*each), by_value);
    printf("%-22s %.1f\n", row->name, each[bursts / 2]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    /* google-benchmark runs on this thread; main's waits shall cost what others' do. */
    ga_set_procs(0);
    ga_unlock_os_thread();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (argc < 2 || strstr(rows[i].name, argv[1]))
            run_row(&rows[i]);
    return 0;
}
