// SPDX-License-Identifier: MIT
//
// Memory of programs that go on working.
//
// sawtooth: 512 MiB in blocks of 1 KB to 1 MB are allocated, written and freed every second for
// 30 s; the rest of each second the program sleeps. An allocator that gives memory back at once
// faults all of it in again each time; work_s is the time spent working, the sleep left out.
//
// server: 1 GB of live objects of the sizes programs ask for; over 60 s half of them, drawn at
// random, are replaced by objects of other sizes, a little every 0.1 s, while the live bytes stay
// what they were. The old holes don't fit the new objects; memory above what is live is the
// allocator's.

#include "phase.h"
#include "workload.h"

enum {
    TOOTH_LO = 1 << 10,
    TOOTH_HI = 1 << 20,
    TOOTH_BLOCKS = 1 << 16, // more than fit in a tooth
    TEETH = 30,
    TEETH_QUICK = 3,

    MEAN_SIZE = 100, // below the distribution's mean
    SERVER_S = 60,
    SERVER_TICK = 10, // a second
    QUICK_S = 3,
};

static size_t tooth(struct rng *r, void **block, size_t bytes)
{
    size_t n = 0, used = 0;
    while (used < bytes && n < TOOTH_BLOCKS) {
        size_t size = sizes_log_uniform(r, TOOTH_LO, TOOTH_HI);
        block[n] = malloc(size);
        phase_fill(block[n++], size);
        used += size;
    }
    for (size_t i = 0; i < n; i++)
        free(block[i]);
    return n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void phase_sawtooth(struct phases *p, bool quick)
{
    size_t bytes = (size_t)(quick ? 64 : 512) << 20;
    unsigned teeth = quick ? TEETH_QUICK : TEETH;
    void **block = table_new(TOOTH_BLOCKS, sizeof *block);
    struct rng r = rng_seed(81);
    double work = 0, took[TEETH];
    double start = phase_seconds();
    for (unsigned i = 0; i < teeth; i++) {
        double from = phase_seconds();
        tooth(&r, block, bytes);
        took[i] = phase_seconds() - from;
        work += took[i];
        phase_sleep(start + i + 1 - phase_seconds());
    }
    table_free(block, TOOTH_BLOCKS, sizeof *block);
    phase_value(p, "work_s", work);
    qsort(took, teeth, sizeof took[0], by_value);
    phase_value(p, "median_s", took[teeth / 2]); // of a tooth: what disturbed some isn't in it
    phase_mark(p, "ended", 0);
    phase_tick_for(2);
    phase_mark(p, "settled", 0);
}

struct server {
    void **object; // each holds its size in its first word
    size_t n, room, live;
    size_t old; // objects before this one haven't been replaced
    struct rng rng;
    uint32_t size[SIZES];
};

static void *object_new(struct server *s, size_t size)
{
    uint64_t *o = malloc(size);
    phase_fill(o, size);
    *o = size;
    s->live += size;
    return o;
}

// Replaces one old object by new ones of half as much again plus a bit, until the live bytes are
// what they were: fewer objects, each larger.
static void replace(struct server *s, size_t bytes)
{
    size_t at = rng_below(&s->rng, (uint32_t)s->old);
    uint64_t size = *(uint64_t *)s->object[at];
    s->live -= size;
    free(s->object[at]);
    s->object[at] = s->object[--s->old];
    s->object[s->old] = NULL;
    if (s->live < bytes)
        s->object[s->old] = object_new(s, size + size / 2 + 24);
}

void phase_server(struct phases *p, bool quick)
{
    size_t bytes = (size_t)(quick ? 64 : 1024) << 20;
    unsigned ticks = (quick ? QUICK_S : SERVER_S) * SERVER_TICK;
    struct server *s = table_new(1, sizeof *s);
    s->rng = rng_seed(82);
    s->room = bytes / MEAN_SIZE;
    s->object = table_new(s->room, sizeof *s->object);
    sizes_draw(&s->rng, 16 << 10, s->size);
    while (s->live < bytes && s->n < s->room) {
        s->object[s->n] = object_new(s, s->size[s->n & SIZES_MASK]);
        s->n++;
    }
    s->old = s->n;
    size_t own = sizeof *s + s->n * sizeof *s->object;
    phase_mark(p, "full", own);
    double start = phase_seconds(), work = 0;
    size_t to_replace = s->n / 2;
    for (unsigned i = 1; i <= ticks; i++) {
        double from = phase_seconds();
        size_t until = s->n - to_replace * i / ticks;
        while (s->old > until)
            replace(s, bytes);
        work += phase_seconds() - from;
        phase_sleep(start + (double)i / SERVER_TICK - phase_seconds());
    }
    phase_value(p, "work_s", work);
    phase_value(p, "live_kb", (double)s->live / 1024);
    phase_mark(p, "replaced", own);
    for (size_t i = 0; i < s->n; i++)
        free(s->object[i]);
    table_free(s->object, s->room, sizeof *s->object);
    table_free(s, 1, sizeof *s);
    phase_mark(p, "freed", 0);
    phase_tick_for(2);
    phase_mark(p, "settled", 0);
}
