// SPDX-License-Identifier: MIT
//
// Memory that is freed and not needed again: does it come back, and how soon?
//
// free256: 256 MiB in blocks of 64 KiB are freed; for five seconds the program then makes one small
// block each 0.1 s, as one that waits for requests does. free256_idle: it only sleeps, and an
// allocator that works off its debts in malloc and free alone never gets to run. small8m: eight
// million blocks of 16 to 112 bytes (about 500 MB) are freed in random order, so that pages empty
// one by one and late; then ten seconds with a small block each 0.1 s.

#include "phase.h"
#include "workload.h"

enum {
    BIG = 64 << 10,
    BIGS = 4096, // 256 MiB
    BIGS_QUICK = 512,
    SMALLS = 8000000,
    QUICK_PART = 16, // a smoke test's share of the blocks
};

static void free_bigs(struct phases *p, bool quick)
{
    size_t n = quick ? BIGS_QUICK : BIGS;
    void **block = table_new(n, sizeof *block);
    for (size_t i = 0; i < n; i++) {
        block[i] = malloc(BIG);
        phase_fill(block[i], BIG);
    }
    phase_mark(p, "full", n * sizeof *block);
    for (size_t i = 0; i < n; i++)
        free(block[i]);
    table_free(block, n, sizeof *block);
    phase_mark(p, "freed", 0);
}

void phase_free256(struct phases *p, bool quick)
{
    free_bigs(p, quick);
    phase_tick_for(quick ? 1 : 5);
    phase_mark(p, "settled", 0);
}

void phase_free256_idle(struct phases *p, bool quick)
{
    free_bigs(p, quick);
    phase_sleep(quick ? 1 : 5);
    phase_mark(p, "settled", 0);
}

void phase_small8m(struct phases *p, bool quick)
{
    size_t n = quick ? SMALLS / QUICK_PART : SMALLS;
    void **block = table_new(n, sizeof *block);
    struct rng r = rng_seed(80);
    double start = phase_seconds();
    for (size_t i = 0; i < n; i++)
        block[i] = alloc_touched(16 + (rng_below(&r, 96) & ~7u));
    phase_mark(p, "full", n * sizeof *block);
    for (size_t i = n; i > 0; i--) { // a shuffle that frees what it draws
        size_t at = rng_below(&r, (uint32_t)i);
        free(block[at]);
        block[at] = block[i - 1];
    }
    table_free(block, n, sizeof *block);
    phase_value(p, "work_s", phase_seconds() - start);
    phase_mark(p, "freed", 0);
    phase_tick_for(quick ? 1 : 2);
    phase_mark(p, "after_2s", 0);
    phase_tick_for(quick ? 1 : 8);
    phase_mark(p, "settled", 0);
}
