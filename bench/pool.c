// SPDX-License-Identifier: MIT
//
// Worker threads that live as long as a row, and the workloads' own tables.
//
// Place: called by the threaded rows. The workers outlive an iteration, so that the figures hold
// the allocator's threaded work and not the creation of threads (the churn rows measure that).
//
// Locking: two barriers of workers + 1. The caller writes fn and arg before it enters `start`, the
// workers read them after: the barrier orders the two.

#include <stdio.h>
#include <sys/mman.h>

#include "workload.h"

struct worker {
    struct pool *pool;
    unsigned index;
    pthread_t thread;
};

struct pool {
    unsigned n;
    pool_fn *fn; // NULL tells the workers to end
    void *arg;
    pthread_barrier_t start, end;
    struct worker *workers;
};

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    for (;;) {
        pthread_barrier_wait(&w->pool->start);
        if (!w->pool->fn)
            return NULL;
        w->pool->fn(w->pool->arg, w->index);
        pthread_barrier_wait(&w->pool->end);
    }
}

void thread_start(pthread_t *id, void *(*fn)(void *), void *arg)
{
    if (pthread_create(id, NULL, fn, arg) != 0) {
        perror("ga_bench: pthread_create");
        exit(1);
    }
}

struct pool *pool_new(unsigned workers)
{
    struct pool *p = table_new(1, sizeof *p);
    p->n = workers;
    p->workers = table_new(workers, sizeof *p->workers);
    pthread_barrier_init(&p->start, NULL, workers + 1);
    pthread_barrier_init(&p->end, NULL, workers + 1);
    for (unsigned i = 0; i < workers; i++) {
        p->workers[i] = (struct worker){.pool = p, .index = i};
        thread_start(&p->workers[i].thread, worker_main, &p->workers[i]);
    }
    return p;
}

void pool_run(struct pool *p, pool_fn *fn, void *arg)
{
    p->fn = fn;
    p->arg = arg;
    pthread_barrier_wait(&p->start);
    pthread_barrier_wait(&p->end);
}

void pool_free(struct pool *p)
{
    p->fn = NULL;
    pthread_barrier_wait(&p->start);
    for (unsigned i = 0; i < p->n; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_barrier_destroy(&p->start);
    pthread_barrier_destroy(&p->end);
    table_free(p->workers, p->n, sizeof *p->workers);
    table_free(p, 1, sizeof *p);
}

void *table_new(size_t count, size_t size)
{
    void *p = mmap(NULL, count * size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        perror("ga_bench: mmap of a table");
        exit(1);
    }
    return p;
}

void table_free(void *table, size_t count, size_t size)
{
    munmap(table, count * size);
}
