// SPDX-License-Identifier: MIT
//
// A server that hands its live blocks to fresh threads as old ones exit (the idea of Larson and
// Krishnan's benchmark): connections outlive the threads that serve them. Each thread replaces
// blocks of 8 to 1000 bytes at random in a standing set and then starts its successor, gives it the
// set, and exits. What shows is what a dead thread's caches cost and whether blocks freed by a
// thread that didn't allocate them pile up.

#include <semaphore.h>
#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    LIVE = 4000,      // blocks a chain of threads holds
    REPLACED = 10000, // by one thread before it exits
    GENERATIONS = 10, // threads one after another, an iteration
    SMALLEST = 8,
    LARGEST = 1000,
};

struct chain {
    alignas(CACHE_LINE) void *block[LIVE]; // the living thread's; handed on by pthread_create
    struct rng rng;
    unsigned left; // generations still to come
    sem_t done;    // posted by the last thread of an iteration
};

struct server {
    struct chain *chain;
    unsigned n;
};

static void replace_some(struct chain *c)
{
    for (unsigned i = 0; i < REPLACED; i++) {
        void **slot = &c->block[rng_below(&c->rng, LIVE)];
        free(*slot);
        *slot = alloc_touched(SMALLEST + rng_below(&c->rng, LARGEST - SMALLEST));
    }
}

static void *serve(void *arg)
{
    struct chain *c = arg;
    replace_some(c);
    if (--c->left > 0) {
        pthread_t successor;
        thread_start(&successor, serve, c);
        pthread_detach(successor);
    } else {
        sem_post(&c->done);
    }
    return NULL;
}

static void run_chains(struct server *s, unsigned generations)
{
    for (unsigned i = 0; i < s->n; i++) {
        pthread_t first;
        s->chain[i].left = generations;
        thread_start(&first, serve, &s->chain[i]);
        pthread_detach(first);
    }
    for (unsigned i = 0; i < s->n; i++) {
        while (sem_wait(&s->chain[i].done) != 0)
            ;
    }
}

static void setup(struct bench *b)
{
    struct server *s = table_new(1, sizeof *s);
    s->n = b->threads;
    s->chain = table_new(s->n, sizeof *s->chain);
    for (unsigned i = 0; i < s->n; i++) {
        s->chain[i].rng = rng_seed(20 + i);
        sem_init(&s->chain[i].done, 0, 0);
    }
    run_chains(s, 1); // fills the sets
    b->ctx = s;
}

static void teardown(struct bench *b)
{
    struct server *s = b->ctx;
    for (unsigned i = 0; i < s->n; i++) {
        for (unsigned k = 0; k < LIVE; k++)
            free(s->chain[i].block[k]);
        sem_destroy(&s->chain[i].done);
    }
    table_free(s->chain, s->n, sizeof *s->chain);
    table_free(s, 1, sizeof *s);
}

static void run(struct bench *b)
{
    struct server *s = b->ctx;
    bench_ops(b, (uint64_t)s->n * GENERATIONS * REPLACED);
    while (bench_next(b))
        run_chains(s, GENERATIONS);
}

void threaded_server_rows(unsigned threads)
{
    rows_add(&(struct bench_row){.name = "threaded/server/handover",
                                 .run = run,
                                 .setup = setup,
                                 .teardown = teardown,
                                 .threads = threads});
}
