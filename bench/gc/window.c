// SPDX-License-Identifier: MIT
//
// A window over messages: each push makes a block of 1 KB and drops the one that was pushed 200,000
// pushes before, beside a gigabyte of links that live. What one push takes at worst is what a
// client of such a program waits.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector.h"

#define MESSAGE    1024
#define SLOTS      200000
#define PUSHES     5000000
#define LINKS      ((size_t)1 << 25) /* of 32 bytes */
#define CHAINS     1024
#define QUICK_PART 1000

struct link {
    struct link *next;
    long number, rest[2];
};

static struct link *chains[CHAINS];
static char **window;

static void make_links(size_t links)
{
    for (size_t i = 0; i < links; i++) {
        struct link *link = gc_alloc(sizeof(*link));
        if (!link)
            abort();
        link->number = (long)i;
        link->next = chains[i % CHAINS];
        chains[i % CHAINS] = link;
    }
}

static void check_links(size_t links)
{
    size_t found = 0;
    for (size_t i = 0; i < CHAINS; i++)
        for (const struct link *link = chains[i]; link; link = link->next)
            found += (size_t)link->number % CHAINS == i;
    if (found != links)
        abort();
}

void run_window(int quick)
{
    size_t part = quick ? QUICK_PART : 1, slots = SLOTS / part, pushes = PUSHES / part;
    double worst = 0;
    make_links(LINKS / part);
    window = gc_alloc(slots * sizeof(*window));
    double start = seconds_now(), before = start;
    for (size_t i = 0; i < pushes; i++) {
        char *message = gc_alloc(MESSAGE);
        memset(message, (int)i, MESSAGE);
        window[i % slots] = message;
        double now = seconds_now();
        worst = now - before > worst ? now - before : worst;
        before = now;
    }
    printf("rate %.1f\nworst %.4f\n", (double)pushes / (before - start) / 1e3, worst * 1e3);
    check_links(LINKS / part);
}
