// SPDX-License-Identifier: MIT
//
// The fragmentation torture's three steps, for the timed row and for the program that measures
// memory after each.

#ifndef GA_BENCH_TORTURE_H
#define GA_BENCH_TORTURE_H

#include "workload.h"

struct torture {
    void **block;   // live ones, dense
    size_t n, room; // of block
    size_t most;    // blocks ever live at once
    size_t bytes;   // live, as asked for
    struct rng rng;
    uint32_t next_size;
    uint32_t size[SIZES];
};

// Room for the blocks that `bytes` of memory are filled with.
struct torture *torture_new(size_t bytes);

// Memory the torture itself holds, which isn't the allocator's doing.
size_t torture_own_bytes(const struct torture *t);

// Allocates until `bytes` are live, in sizes as programs ask for them (sizes.c).
void torture_grow(struct torture *t, size_t bytes);

// Frees nine blocks of ten, drawn at random.
void torture_thin(struct torture *t);

// Allocates until `bytes` are live again, in other sizes: log-uniform from 48 bytes to 32 KB.
void torture_refill(struct torture *t, size_t bytes);

void torture_clear(struct torture *t);
void torture_free(struct torture *t);

#endif
