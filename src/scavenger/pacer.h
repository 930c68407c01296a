// SPDX-License-Identifier: MIT
/*
 * pacer.h: how much to give back, and when. A pure function of what it is shown: no clock, no heap.
 *
 * Releasing memory is cheap (0.08 ns a byte), fetching it again is not (0.5 ns a byte). So the
 * pacer releases at once what has been freed, and watches. If the heap grows back into what it
 * released so soon that fetching it again took more than a tenth of the time since (within 5 ns a
 * byte), it regrets, and from then on holds memory back for about that long after it was last in
 * use. Every further regret doubles the hold, every release that isn't regretted halves it, down to
 * none. What is held back is at most twice what was regretted: a program that grew back a little of
 * its heap is no reason to keep a large one.
 *
 *   no hold --regret--> hold 5 ns a byte --regret--> twice as long ... 8 s
 *      ^                     |  ^                         |
 *      +--- not regretted ---+  +----- not regretted -----+
 *
 * Whatever it does costs at most 1% of one core over the life of the process.
 */
#ifndef GOALLOC_PACER_H
#define GOALLOC_PACER_H

#include "../goalloc.h"

#define PACER_SECOND UINT64_C(1000000000)

/* Guarded by the scavenger's lock. */
struct pacer {
    uint64_t hold;        /* how long memory is kept after it was last needed; 0: not at all */
    size_t regretted;     /* the largest release that was regretted since there was no hold */
    size_t peak;          /* the most that was in use ... */
    uint64_t peak_at;     /* ... lately, and when it last was about that much */
    size_t released;      /* what the last release gave back and may yet be regretted; 0: nothing */
    uint64_t released_at; /* when */
    size_t released_below; /* what was in use then */
    uint64_t credit;       /* nanoseconds of processor that may be spent */
    uint64_t credit_at;    /* when that was reckoned */
};

struct pacer_sample {
    uint64_t now;
    size_t in_use; /* bytes that the program or a thread's cache holds */
    size_t peak;   /* the most they were since the last sample */
    size_t free;   /* bytes that could be released: dirty pages and depots */
    size_t kept;   /* the collector will soon have the heap grow to so much; 0: it knows nothing */
};

void pacer_init(struct pacer *pacer, uint64_t now);
/* How many bytes to release now. */
size_t pacer_decide(struct pacer *pacer, const struct pacer_sample *sample);
/* Tells it what was released after that sample, of the bytes that it decided on. */
void pacer_released(struct pacer *pacer, const struct pacer_sample *sample, size_t decided,
                    size_t released);
/* Above this much in use, the last release is being regretted: show it a sample. SIZE_MAX: never.
 */
size_t pacer_regret_level(const struct pacer *pacer);
/* When there'll be something to release if nothing changes; 0: never. */
uint64_t pacer_due(const struct pacer *pacer, const struct pacer_sample *sample);

#endif
