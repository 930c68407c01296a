// SPDX-License-Identifier: MIT
/*
 * pacer.c: see pacer.h for what it decides and why.
 *
 * Place: scavenger.c shows it samples and does what it says. Depends on nothing.
 *
 * Invariants: a decision is at most what is free, and 0 below MIN_RELEASE.
 * Locking: the caller's.
 */
#include "pacer.h"

/* Less than this isn't worth a system call. */
#define MIN_RELEASE ((size_t)512 << 10)
#define MIN_HOLD    (PACER_SECOND / 4)
#define MAX_HOLD    (8 * PACER_SECOND)
/* Nanoseconds that a byte has to stay away for its release to be worth it: ten times what fetching
 * it again costs. */
#define WORTH_PER_BYTE 5
/* One percent of the time, saved up for at most this much; and what a young process starts with. */
#define CREDIT_SHARE 100
#define MAX_CREDIT   (PACER_SECOND / 2)
#define FIRST_CREDIT (PACER_SECOND / 5)
/* What releasing costs, in nanoseconds: 0.3 to 0.45 us for each 4 KB. Not measured as it goes: the
 * clock of the processor time is a system call, and that of the wall charges what others do. */
#define COST_PER_MEGABYTE 100000

void pacer_init(struct pacer *pacer, uint64_t now)
{
    *pacer = (struct pacer){.credit = FIRST_CREDIT, .credit_at = now, .peak_at = now};
}

size_t pacer_regret_level(const struct pacer *pacer)
{
    return pacer->released ? pacer->released_below + pacer->released / 2 : SIZE_MAX;
}

static uint64_t clamp_hold(uint64_t hold)
{
    return hold < MIN_HOLD ? MIN_HOLD : hold > MAX_HOLD ? MAX_HOLD : hold;
}

static void judge_last_release(struct pacer *pacer, const struct pacer_sample *sample)
{
    if (!pacer->released)
        return;
    uint64_t age = sample->now - pacer->released_at;
    uint64_t worth = (uint64_t)pacer->released * WORTH_PER_BYTE;
    if (age > worth + pacer->hold) {
        pacer->hold = pacer->hold > MIN_HOLD ? pacer->hold / 2 : 0;
        pacer->regretted = pacer->hold ? pacer->regretted : 0;
        pacer->released = 0;
    } else if (sample->peak > pacer_regret_level(pacer)) {
        pacer->hold = clamp_hold(worth > pacer->hold * 2 ? worth : pacer->hold * 2);
        if (pacer->released > pacer->regretted)
            pacer->regretted = pacer->released;
        pacer->released = 0;
    }
}

static void follow_peak(struct pacer *pacer, const struct pacer_sample *sample)
{
    if (pacer->hold && sample->peak >= pacer->peak - pacer->peak / 8) {
        pacer->peak = sample->peak > pacer->peak ? sample->peak : pacer->peak;
        pacer->peak_at = sample->now;
    } else if (sample->now - pacer->peak_at >= pacer->hold) {
        pacer->peak = sample->in_use;
        pacer->peak_at = sample->now;
    }
}

static void earn(struct pacer *pacer, uint64_t now)
{
    pacer->credit += (now - pacer->credit_at) / CREDIT_SHARE;
    pacer->credit = pacer->credit < MAX_CREDIT ? pacer->credit : MAX_CREDIT;
    pacer->credit_at = now;
}

/* What is held beyond `needed` and a tenth of it. */
static size_t excess(const struct pacer_sample *sample, size_t needed)
{
    size_t held = sample->in_use + sample->free, goal = needed + needed / 10;
    size_t over = held > goal ? held - goal : 0;
    return over < sample->free ? over : sample->free;
}

/* The peak, as far as it is held back for, or what is to be kept. */
static size_t needed(const struct pacer *pacer, const struct pacer_sample *sample)
{
    size_t protected = sample->in_use + 2 * pacer->regretted;
    size_t held = pacer->peak < protected ? pacer->peak : protected;
    return held > sample->kept ? held : sample->kept;
}

size_t pacer_decide(struct pacer *pacer, const struct pacer_sample *sample)
{
    judge_last_release(pacer, sample);
    follow_peak(pacer, sample);
    earn(pacer, sample->now);
    size_t wanted = excess(sample, needed(pacer, sample));
    size_t affordable = pacer->credit / COST_PER_MEGABYTE << 20;
    size_t bytes = wanted < affordable ? wanted : affordable;
    return bytes < MIN_RELEASE ? 0 : bytes;
}

/* A release that failed is charged too: where the kernel refuses (locked memory), trying is all it
 * will ever do. */
void pacer_released(struct pacer *pacer, const struct pacer_sample *sample, size_t decided,
                    size_t released)
{
    uint64_t cost = (uint64_t)decided * COST_PER_MEGABYTE >> 20;
    pacer->credit -= cost < pacer->credit ? cost : pacer->credit;
    if (!released)
        return;
    /* A release in many steps is one: what it gave back adds up while it goes on. But once the heap
     * has grown in between, another begins: or small ones, each regretted, would never add up to
     * the half of a large one. */
    if (sample->peak > pacer->released_below + MIN_RELEASE)
        pacer->released = 0;
    pacer->released += released;
    pacer->released_at = sample->now;
    pacer->released_below = sample->in_use;
}

uint64_t pacer_due(const struct pacer *pacer, const struct pacer_sample *sample)
{
    if (excess(sample, sample->in_use) < MIN_RELEASE)
        return 0;
    uint64_t soon = sample->now + PACER_SECOND / 20;
    uint64_t held = pacer->peak_at + pacer->hold;
    return held > soon ? held : soon;
}
