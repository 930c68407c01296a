// SPDX-License-Identifier: MIT
/*
 * limit.c: see limit.h for what it decides and why.
 *
 * Place: scavenger.c shows it samples and does what it says. Depends on nothing.
 *
 * Invariants: what is to be released is at most what is free, and at most what brings the held
 * bytes down to the goal.
 * Locking: the caller's.
 */
#include "limit.h"

/* A smaller part than this of the limit isn't worth a system call, unless it is all that's needed.
 */
#define PART_SHIFT 10
#define MAX_PART   ((size_t)1 << 20)
#define MIN_PART   ((size_t)64 << 10)
/* A drain takes at most one in so many parts of the time. */
#define DRAIN_SHARE 4

static size_t level_of(size_t bytes)
{
    return bytes - bytes / 64;
}

size_t limit_level(const struct limit *limit)
{
    if (limit->bytes == SIZE_MAX)
        return SIZE_MAX;
    return limit->over_since ? 0 : level_of(limit->bytes); /* 0: to see it fall again */
}

static size_t least_part(size_t bytes)
{
    size_t part = bytes >> PART_SHIFT;
    return part < MIN_PART ? MIN_PART : part > MAX_PART ? MAX_PART : part;
}

size_t limit_release(const struct limit *limit, const struct limit_sample *sample)
{
    if (sample->held <= level_of(limit->bytes))
        return 0;
    size_t over = sample->held - (limit->bytes - limit->bytes / 16);
    if (over <= sample->free)
        return over;
    return sample->free < least_part(limit->bytes) ? 0 : sample->free;
}

bool limit_drain_due(const struct limit *limit, const struct limit_sample *sample)
{
    return sample->held > level_of(limit->bytes) && sample->now >= limit->drain_at;
}

void limit_drained(struct limit *limit, uint64_t began, uint64_t ended)
{
    limit->drain_at = ended + (ended - began) * (DRAIN_SHARE - 1);
}

void limit_watch(struct limit *limit, const struct limit_sample *sample)
{
    bool over = sample->held > limit->bytes;
    if (over && !limit->over_since) {
        limit->over_since = sample->now;
        GA_STORE_ANY(limit->times_over, limit->times_over + 1);
    } else if (!over && limit->over_since) {
        GA_STORE_ANY(limit->time_over, limit->time_over + (sample->now - limit->over_since));
        limit->over_since = 0;
    }
}
