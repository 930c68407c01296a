// SPDX-License-Identifier: MIT
//
// A bounded queue of pointers from one thread to one other.
//
// The rows that hand blocks between threads should measure the allocator and not the hand-over, so
// this is the cheapest queue there is: a ring, two positions a cache line apart, each side working
// from its last look at the other's position and publishing its own once in QUEUE_STEP pointers.
//
// Invariants: tail - head is at most QUEUE_CAP; only the consumer writes head, only the producer
// writes tail; the release store of a position makes the slots before it visible.

#ifndef GA_BENCH_QUEUE_H
#define GA_BENCH_QUEUE_H

#include <sched.h>

#include "workload.h"

enum {
    QUEUE_CAP = 4096,
    QUEUE_MASK = QUEUE_CAP - 1,
    QUEUE_STEP = 64, // divides QUEUE_CAP
    QUEUE_SPIN = 200,
};

struct queue {
    alignas(CACHE_LINE) _Atomic size_t head; // written by the consumer, read by the producer
    alignas(CACHE_LINE) _Atomic size_t tail; // written by the producer, read by the consumer
    alignas(CACHE_LINE) size_t put;          // producer only: next slot to fill
    size_t head_seen;                        // producer only: head at the last look
    alignas(CACHE_LINE) size_t got;          // consumer only: next slot to empty
    size_t tail_seen;                        // consumer only: tail at the last look
    alignas(CACHE_LINE) void *slot[QUEUE_CAP];
};

static inline void queue_reset(struct queue *q)
{
    atomic_store(&q->head, 0);
    atomic_store(&q->tail, 0);
    q->put = q->head_seen = q->got = q->tail_seen = 0;
}

// Waits a little: spins at first, then lets another thread run (there may be one core only).
static inline void queue_relax(unsigned *spins)
{
    if (++*spins % QUEUE_SPIN == 0)
        sched_yield();
    else
        cpu_relax();
}

static inline void queue_publish(struct queue *q)
{
    atomic_store_explicit(&q->tail, q->put, memory_order_release);
}

// False if the queue is full.
static inline bool queue_try_put(struct queue *q, void *p)
{
    if (q->put - q->head_seen == QUEUE_CAP) {
        q->head_seen = atomic_load_explicit(&q->head, memory_order_acquire);
        if (q->put - q->head_seen == QUEUE_CAP)
            return false;
    }
    q->slot[q->put++ & QUEUE_MASK] = p;
    if (q->put % QUEUE_STEP == 0)
        queue_publish(q);
    return true;
}

// NULL if the queue is empty.
static inline void *queue_try_get(struct queue *q)
{
    if (q->got == q->tail_seen) {
        q->tail_seen = atomic_load_explicit(&q->tail, memory_order_acquire);
        if (q->got == q->tail_seen)
            return NULL;
    }
    void *p = q->slot[q->got++ & QUEUE_MASK];
    if (q->got % QUEUE_STEP == 0 || q->got == q->tail_seen)
        atomic_store_explicit(&q->head, q->got, memory_order_release);
    return p;
}

static inline void queue_put(struct queue *q, void *p)
{
    unsigned spins = 0;
    while (!queue_try_put(q, p)) {
        queue_publish(q);
        queue_relax(&spins);
    }
}

static inline void *queue_get(struct queue *q)
{
    unsigned spins = 0;
    void *p;
    while (!(p = queue_try_get(q)))
        queue_relax(&spins);
    return p;
}

#endif
