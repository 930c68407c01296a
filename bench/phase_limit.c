// SPDX-License-Identifier: MIT
//
// Memory under a limit.
//
// memlimit: 150 MB of live objects of the sizes programs ask for; on top of them, every 0.05 s for
// 20 s, a burst of 24 MiB in blocks of one size, another each time, freed in random order. At most
// 174 MB are live, but what each burst leaves behind fits none of the others: an allocator that
// isn't told to hold back keeps some of each. Run with GOMEMLIMIT=200MiB. over_s is the longest
// time that more than 200 MiB were resident, without what the program had before it began.

#include "phase.h"
#include "rss.h"
#include "workload.h"

enum {
    LIMIT_KB = 200 << 10,
    LIVE = 150 * 1000 * 1000,
    BURST = 24 << 20,
    BURST_LO = 16,
    BURST_HI = 256 << 10,
    LOOK = 1 << 20, // bytes between two looks at the memory
    MEAN_SIZE = 80, // below the distribution's mean
    SECONDS = 20,
    QUICK_S = 2,
};

struct limited {
    void **live, **burst;
    size_t n_live;
    struct rng rng;
    size_t base_kb;    // what the program has beside its blocks
    double over_since; // 0: it isn't
    double over_s;     // the longest time
    uint64_t most_kb;
    uint32_t size[SIZES];
};

static void look(struct limited *l)
{
    uint64_t kb = rss_now_kb() - l->base_kb;
    double now = phase_seconds();
    l->most_kb = kb > l->most_kb ? kb : l->most_kb;
    if (kb <= LIMIT_KB)
        l->over_since = 0;
    else if (l->over_since == 0)
        l->over_since = now;
    if (l->over_since > 0 && now - l->over_since > l->over_s)
        l->over_s = now - l->over_since;
}

static void fill_live(struct limited *l)
{
    for (size_t bytes = 0; bytes < LIVE; l->n_live++) {
        size_t size = l->size[l->n_live & SIZES_MASK];
        l->live[l->n_live] = malloc(size);
        phase_fill(l->live[l->n_live], size);
        touch(l->live[l->n_live]);
        bytes += size;
    }
}

static void burst(struct limited *l)
{
    size_t size = sizes_log_uniform(&l->rng, BURST_LO, BURST_HI), n = 0;
    for (size_t bytes = 0, looked = 0; bytes < BURST; bytes += size) {
        l->burst[n] = malloc(size);
        phase_fill(l->burst[n], size);
        touch(l->burst[n++]);
        if (bytes - looked >= LOOK) {
            look(l);
            looked = bytes;
        }
    }
    look(l);
    for (; n > 0; n--) {
        size_t at = rng_below(&l->rng, (uint32_t)n);
        free(l->burst[at]);
        l->burst[at] = l->burst[n - 1];
    }
    look(l);
}

void phase_memlimit(struct phases *p, bool quick)
{
    struct limited *l = table_new(1, sizeof *l);
    size_t live_room = LIVE / MEAN_SIZE, burst_room = BURST / BURST_LO + 1;
    l->live = table_new(live_room, sizeof *l->live);
    l->burst = table_new(burst_room, sizeof *l->burst);
    l->rng = rng_seed(83);
    sizes_draw(&l->rng, 16 << 10, l->size);
    size_t own = sizeof *l + (live_room + burst_room) * sizeof *l->live;
    phase_fill(l->live, live_room * sizeof *l->live); // all of the tables, before they count
    phase_fill(l->burst, burst_room * sizeof *l->burst);
    l->base_kb = rss_now_kb();
    fill_live(l);
    phase_mark(p, "full", own);
    double start = phase_seconds(), end = start + (quick ? QUICK_S : SECONDS), work = 0;
    for (double at = start; at < end; at += 0.05) {
        phase_sleep(at - phase_seconds());
        double from = phase_seconds();
        burst(l);
        work += phase_seconds() - from;
    }
    phase_value(p, "work_s", work);
    phase_value(p, "over_s", l->over_s);
    phase_value(p, "most_kb", (double)l->most_kb);
    phase_mark(p, "ended", own);
}
