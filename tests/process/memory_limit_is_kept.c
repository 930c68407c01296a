// SPDX-License-Identifier: MIT
//
// Under GOMEMLIMIT=200MiB a program with 150 MB of live blocks and bursts of garbage, each of
// another size, holds no more than that but for moments, and no block is lost; without the limit it
// holds more. A limit that can't be kept doesn't keep the program from its work.

#include "promise.h"

#include <malloc.h>
#include <time.h>

#define MB     ((size_t)1 << 20)
#define LIMIT  (200 * MB)
#define LIVE   ((size_t)150 * 1000 * 1000)
#define BURST  (24 * MB)
#define BURSTS 30
#define SIZE   1000

static char *live[LIVE / SIZE];
static char *burst[BURST / 16];

static size_t held_now(void)
{
    struct ga_stats stats = stats_now();
    return stats.in_use + stats.free_dirty;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fill_live(void)
{
    for (size_t i = 0; i < LIVE / SIZE; i++) {
        live[i] = malloc(SIZE);
        expect(live[i] != NULL, "expected a live block");
        memset(live[i], (int)(i % 251), SIZE);
    }
}

static void expect_live(void)
{
    for (size_t i = 0; i < LIVE / SIZE; i++)
        expect(live[i][0] == (char)(i % 251) && live[i][SIZE - 1] == (char)(i % 251),
               "expected block %zu to be as it was", i);
}

/* Sizes from 16 bytes to 200 KB, each some steps away from the one before. */
static size_t burst_size(unsigned i)
{
    return (size_t)16 << (i * 5 % 14);
}

/* The most that was held while a burst came and went. */
static size_t one_burst(unsigned i, struct random *random)
{
    size_t size = burst_size(i), count = BURST / size, most = 0;
    for (size_t j = 0; j < count; j++) {
        burst[j] = malloc(size);
        expect(burst[j] != NULL, "expected a block of %zu bytes", size);
        burst[j][0] = 1;
        if (j % (count / 16) == 0) {
            size_t held = held_now();
            most = held > most ? held : most;
        }
    }
    for (size_t j = count; j > 0; j--) {
        size_t at = random_next(random) % j;
        free(burst[at]);
        burst[at] = burst[j - 1];
    }
    return most;
}

struct outcome {
    size_t most;
    unsigned over; /* bursts in which more than the limit was held */
    double work;
};

static struct outcome work(void)
{
    struct random random = {7};
    struct outcome outcome = {0};
    double begun = now();
    fill_live();
    for (unsigned i = 0; i < BURSTS; i++) {
        size_t most = one_burst(i, &random);
        outcome.over += most > LIMIT;
        outcome.most = most > outcome.most ? most : outcome.most;
    }
    expect_live();
    outcome.work = now() - begun;
    return outcome;
}

static void within_limit(void)
{
    struct outcome outcome = work();
    expect(outcome.over <= BURSTS / 5,
           "expected the limit to be kept, it wasn't in %u of %u bursts", outcome.over, BURSTS);
    expect(outcome.most <= LIMIT + LIMIT / 4, "expected at most a little more than 200 MB, got %zu",
           outcome.most);
}

static void without_limit(void)
{
    struct outcome outcome = work();
    expect(outcome.over > BURSTS / 5, "expected this program to be one that needs a limit");
}

/* All that is live is too much: it goes on, and still gives back what it can. */
static void beyond_limit(void)
{
    work();
    malloc_trim(0);
    expect(held_now() < LIVE + LIVE / 4, "expected no more than what is live, got %zu", held_now());
}

static const struct program {
    const char *name, *limit, *options;
    void (*body)(void);
} programs[] = {
    {"within its limit", "200MiB", "", within_limit},
    {"with a limit of ours", "1MiB", "memlimit=200MiB", within_limit},
    {"without a limit", "off", "", without_limit},
    {"whose limit is taken off", "200MiB", "memlimit=off", without_limit},
    {"beyond its limit", "10MiB", "scavenge=off", beyond_limit},
};

static void run(const struct program *program)
{
    setenv("GOMEMLIMIT", program->limit, 1);
    setenv("GOALLOC", program->options, 1);
    run_again(program->name);
}

int main(int argc, char **argv)
{
    promise_begin(100);
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
        if (argc == 2 && strcmp(argv[1], programs[i].name) == 0) {
            programs[i].body();
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
        run(&programs[i]);
    return 0;
}
