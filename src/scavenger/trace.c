// SPDX-License-Identifier: MIT
/*
 * trace.c: GODEBUG=scavtrace=1, Go's line on what the scavenger gave back.
 *
 *   scav 4096 KiB work (bg), 0 KiB work (eager), 61440 KiB now, 87% util
 *
 * Place: scavenger.c tells it of each release. Calls src/mheap for the figures.
 *
 * bg: given back by the scavenger's own thread; eager: by the program's threads; both since the
 * line before. now: what of the heap's address space has no memory. util: how much of the rest is
 * in use. (forced): the program asked for it. There is a line at most each LINE_EVERY, but for
 * those; what comes in between adds up.
 *
 * Locking: `printing` is tried and never waited for; who finds it taken leaves the line to others.
 * Fork: the child gives it up.
 */
#include "../mheap/mheap.h"
#include "../options/options.h"
#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

#define LINE_EVERY UINT64_C(100000000) /* ns */

static _Atomic(uint64_t) background; /* bytes by the own thread; relaxed: a statistic */

static atomic_bool printing; /* acquire and release: guards the next */
static struct {
    uint64_t at;         /* when the last line was printed; 0: never */
    uint64_t background; /* bytes that the lines so far told of ... */
    uint64_t eager;
} told;

uint64_t scavenger_released_in_background(void)
{
    return atomic_load_explicit(&background, memory_order_relaxed);
}

static void print_line(bool forced)
{
    char line[160];
    struct text text;
    struct mheap_stats heap;
    mheap_read_stats(&heap);
    uint64_t bg = scavenger_released_in_background();
    uint64_t eager = heap.released - bg;
    size_t in_use = heap.in_use - heap.holes, retained = in_use + heap.free_dirty;
    text_init(&text, line, sizeof(line));
    text_add(&text, "scav %zu KiB work (bg), %zu KiB work (eager), %zu KiB now, %zu%% util%s\n",
             (size_t)((bg - told.background) >> 10), (size_t)((eager - told.eager) >> 10),
             (heap.mapped - retained) >> 10, retained ? in_use * 100 / retained : 0,
             forced ? " (forced)" : "");
    told.background = bg;
    told.eager = eager;
    os_write(2, line, (size_t)(text.at - line));
}

static void print_now_and_then(bool forced)
{
    uint64_t now = os_nanotime();
    if (atomic_exchange_explicit(&printing, true, memory_order_acquire))
        return;
    if (forced || !told.at || now - told.at >= LINE_EVERY) {
        told.at = now;
        print_line(forced);
    }
    atomic_store_explicit(&printing, false, memory_order_release);
}

void scavenger_trace(enum release_kind kind, size_t bytes)
{
    if (kind == RELEASE_BACKGROUND)
        atomic_fetch_add_explicit(&background, bytes, memory_order_relaxed);
    if (GA_UNLIKELY(godebug.scavtrace > 0) && (bytes || kind == RELEASE_FORCED))
        print_now_and_then(kind == RELEASE_FORCED);
}

/* What no line has told of yet. */
static bool something_is_left(void)
{
    struct mheap_stats heap;
    mheap_read_stats(&heap);
    return heap.released > told.background + told.eager;
}

void scavenger_trace_rest(void)
{
    if (godebug.scavtrace <= 0 || atomic_exchange_explicit(&printing, true, memory_order_acquire))
        return;
    if (something_is_left())
        print_line(false);
    atomic_store_explicit(&printing, false, memory_order_release);
}

void scavenger_forget_trace(void)
{
    atomic_store_explicit(&printing, false, memory_order_relaxed);
}
