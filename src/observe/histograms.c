// SPDX-License-Identifier: MIT
/*
 * histograms.c: distributions, in the public form.
 *
 * Place: metrics.c. Computes from a snapshot; calls nothing.
 *
 * Blocks by size: the size classes are the buckets. A bucket begins one byte above the class
 * before, and blocks without a class have the last one. Times: powers of two (provider.h). Locking,
 * fork: none; all is the caller's.
 */
#include "internal.h"

_Static_assert(SIZE_CLASS_COUNT <= GA_HISTOGRAM_MAX, "a histogram has room for every class");
_Static_assert(TIME_BUCKETS <= GA_HISTOGRAM_MAX, "and for every time");

static void read_sizes(const struct snapshot *now, bool frees, struct ga_histogram *out)
{
    out->count = SIZE_CLASS_COUNT;
    out->bounds[0] = 1;
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class ++) {
        const struct class_figures *figures = &now->classes[class];
        out->counts[class - 1] = frees ? figures->frees : figures->allocs;
        out->bounds[class] = (double)size_classes[class].size + 1;
    }
    out->counts[SIZE_CLASS_COUNT - 1] = frees ? now->classes[0].frees : now->classes[0].allocs;
    out->bounds[SIZE_CLASS_COUNT] = __builtin_inf();
}

static void read_times(const uint64_t *counts, struct ga_histogram *out)
{
    double bound = 1e-9;
    out->count = TIME_BUCKETS;
    out->bounds[0] = 0;
    for (unsigned i = 0; i < TIME_BUCKETS; i++) {
        bound *= 2;
        out->counts[i] = counts[i];
        out->bounds[i + 1] = bound;
    }
    out->bounds[TIME_BUCKETS] = __builtin_inf();
}

void histogram_read(enum histogram_id id, const struct snapshot *now, struct ga_histogram *out)
{
    if (!out)
        return;
    switch (id) {
    case HISTOGRAM_ALLOCS:
    case HISTOGRAM_FREES:
        read_sizes(now, id == HISTOGRAM_FREES, out);
        return;
    case HISTOGRAM_PAUSES:
        read_times(now->gc.pauses, out);
        return;
    case HISTOGRAM_LATENCIES:
        read_times(now->coro.latencies, out);
        return;
    }
}
