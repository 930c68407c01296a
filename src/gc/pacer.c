// SPDX-License-Identifier: MIT
/*
 * pacer.c: the policy that pacer.h states.
 *
 * Place: cycle.c and trigger.c call it. Calls nothing.
 *
 * Invariants: marked <= trigger <= goal, but where the limit is below what lives; the arithmetic
 * saturates instead of wrapping round.
 * Locking: none; the caller's.
 */
#include "pacer.h"

static size_t plus(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

static size_t minus(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t scale(size_t bytes, double by)
{
    double scaled = (double)bytes * by;
    return scaled >= (double)SIZE_MAX ? SIZE_MAX : (size_t)scaled;
}

static size_t percent_goal(const struct gc_pacer *pacer)
{
    if (pacer->percent < 0)
        return SIZE_MAX;
    double ratio = (double)pacer->percent / 100;
    size_t goal = plus(pacer->marked, scale(plus(pacer->marked, pacer->roots), ratio));
    return larger(goal, scale(GC_MIN_HEAP, ratio));
}

/* Never below what lives and a little more: a limit that can't be kept must not mean one cycle
 * after another. */
static size_t limit_goal(const struct gc_pacer *pacer, size_t overhead)
{
    if (pacer->limit == GC_NO_LIMIT)
        return SIZE_MAX;
    return larger(minus(pacer->limit, overhead), plus(pacer->marked, pacer->marked / 20 + 65536));
}

/* The most of the last cycles: a trigger that is late costs more than one that is early. */
static double cons_mark(const struct gc_pacer *pacer)
{
    double most = 0;
    for (unsigned i = 0; i < GC_HISTORY; i++)
        if (pacer->cons_mark[i] > most)
            most = pacer->cons_mark[i];
    return most;
}

static size_t trigger_for(const struct gc_pacer *pacer)
{
    if (pacer->stops || pacer->goal == SIZE_MAX)
        return pacer->goal;
    size_t way = minus(pacer->goal, pacer->marked);
    size_t least = plus(pacer->marked, scale(way, 0.7));
    size_t most = plus(pacer->marked, scale(way, 0.95));
    size_t runway = scale(plus(pacer->marked, pacer->roots), cons_mark(pacer));
    size_t trigger = minus(pacer->goal, runway);
    return trigger < least ? least : trigger > most ? most : trigger;
}

static void set_goal(struct gc_pacer *pacer, size_t overhead)
{
    size_t by_percent = percent_goal(pacer), by_limit = limit_goal(pacer, overhead);
    pacer->goal = by_percent < by_limit ? by_percent : by_limit;
    pacer->trigger = trigger_for(pacer);
}

void gc_pacer_init(struct gc_pacer *pacer, int percent, size_t limit, bool stops, uint64_t now)
{
    *pacer = (struct gc_pacer){.percent = percent, .limit = limit, .stops = stops, .ended = now};
    set_goal(pacer, 0);
}

void gc_pacer_set(struct gc_pacer *pacer, int percent, size_t limit)
{
    pacer->percent = percent;
    pacer->limit = limit;
    set_goal(pacer, 0);
}

void gc_pacer_ended(struct gc_pacer *pacer, const struct gc_result *result)
{
    double ratio = result->scanned ? (double)result->allocated / (double)result->scanned : 0;
    pacer->cons_mark[pacer->cycles % GC_HISTORY] = ratio;
    pacer->cycles++;
    pacer->marked = result->marked;
    pacer->roots = result->roots;
    pacer->scanned = result->scanned;
    pacer->ended = result->now;
    set_goal(pacer, result->overhead);
}

bool gc_pacer_is_limited(const struct gc_pacer *pacer)
{
    return pacer->goal < percent_goal(pacer);
}

enum gc_reason gc_pacer_due(const struct gc_pacer *pacer, size_t heap, uint64_t now)
{
    if (heap >= pacer->trigger)
        return GC_REASON_HEAP;
    bool forced = pacer->percent >= 0 && now - pacer->ended >= GC_FORCE_AFTER;
    return forced ? GC_REASON_TIME : GC_NO_REASON;
}

/* --- While a cycle is under way --- */

/* The least that counts as left, of either, and the most that is asked for a byte. */
#define LEAST_LEFT ((size_t)64 << 10)
#define MOST_ASKED 128

size_t gc_pacer_assist(const struct gc_pacer *pacer, const struct gc_progress *progress)
{
    size_t goal = pacer->goal, work = minus(pacer->scanned, progress->scanned);
    double insistence = (double)((size_t)1 << (progress->passes % 16)) / 2;
    if (goal == SIZE_MAX)
        return 0;
    if (progress->passes || work == 0) {
        goal = plus(goal, goal / 10);
        work = progress->passes ? scale(minus(progress->heap, progress->began), insistence)
                                : minus(plus(progress->began, pacer->roots), progress->scanned);
    }
    work = larger(work, LEAST_LEFT);
    size_t way = larger(minus(goal, progress->heap), LEAST_LEFT);
    double asked = (double)work / (double)way;
    return (size_t)((asked < MOST_ASKED ? asked : MOST_ASKED) * GC_ASSIST_UNIT);
}

/* What the collector's thread takes while it marks, of all processors. */
#define BACKGROUND_PART 4

void gc_limiter_init(struct gc_limiter *limiter, unsigned processors, uint64_t now)
{
    *limiter =
        (struct gc_limiter){.room = processors * GC_SECOND, .last = now, .processors = processors};
}

bool gc_limiter_update(struct gc_limiter *limiter, uint64_t now, uint64_t assisted, bool marking)
{
    uint64_t whole = (now - limiter->last) * limiter->processors;
    uint64_t collector = assisted + (marking ? whole / BACKGROUND_PART : 0);
    uint64_t program = whole > collector ? whole - collector : 0;
    limiter->last = now;
    limiter->fill += collector;
    limiter->fill -= limiter->fill < program ? limiter->fill : program;
    if (limiter->fill > limiter->room)
        limiter->fill = limiter->room;
    return limiter->fill == limiter->room;
}
