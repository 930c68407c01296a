// SPDX-License-Identifier: MIT
/*
 * limit.h: what to do as the memory limit comes near. Like the pacer a function of what it is
 * shown: no clock, no heap.
 *
 *   0 .......... goal ........... level .. limit
 *                (15/16)          (63/64)
 *                  <-- down to here if held is above the level -->
 *
 * Above the level free pages are released until the goal is reached, whatever the pacer would
 * rather keep. Where that isn't enough, caches are drained: objects that lie in them keep their
 * pages. Draining again and again while the program really needs what it holds would only cost, so
 * a drain is due again after three times what the last one took.
 */
#ifndef GOALLOC_LIMIT_H
#define GOALLOC_LIMIT_H

#include "../goalloc.h"

/* Guarded by the scavenger's lock, which the statistics pass by. */
struct limit {
    size_t bytes;        /* SIZE_MAX: none */
    uint64_t drain_at;   /* no drain before */
    uint64_t over_since; /* when more was held than the limit allows; 0: it isn't */
    size_t times_over;   /* how often that began */
    uint64_t time_over;  /* nanoseconds, of those times that have ended */
};

struct limit_sample {
    uint64_t now;
    size_t held; /* all but what is released: in use, free and for the library itself */
    size_t free; /* of it, pages that could be released */
};

/* Above this much held it wants to be shown a sample. SIZE_MAX: never. */
size_t limit_level(const struct limit *limit);
/* How many bytes of free pages to release. */
size_t limit_release(const struct limit *limit, const struct limit_sample *sample);
/* Whether to drain caches, that being what is held after the release. */
bool limit_drain_due(const struct limit *limit, const struct limit_sample *sample);
/* Tells it that a drain, and the release after it, took from `began` to `ended`. */
void limit_drained(struct limit *limit, uint64_t began, uint64_t ended);
/* Tells it what is held after all that: keeps count of how often and how long it was too much. */
void limit_watch(struct limit *limit, const struct limit_sample *sample);

#endif
