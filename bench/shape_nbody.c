// SPDX-License-Identifier: MIT
//
// An n-body simulation after Barnes and Hut: in each step the tree over all bodies is built from
// new nodes, walked for every body's force, and dropped. One size, a burst of allocations, a long
// phase that reads what they returned, a burst of frees in tree order: what shows beside the calls
// is how close together the nodes lie.
//
// An iteration simulates STEPS steps of BODIES bodies; the checksum is of their last positions.

#include <math.h>
#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    BODIES = 4000,
    STEPS = 3,
    CHILDREN = 8,
    MAX_DEPTH = 40,
};

#define OPENING   0.8  // a cell this much narrower than it is far counts as one body
#define SOFTENING 1e-4 // keeps close pairs from flying apart
#define TIME_STEP 1e-3

struct body {
    double at[3], speed[3];
};

// A cell of space: a leaf holds one body (or several at one place), an inner one has children.
struct cell {
    double centre[3], half; // the cube
    double sum[3];          // of the bodies' positions, divided by mass once the tree is built
    double mass;            // bodies in the cube
    const struct body *only;
    struct cell *child[CHILDREN];
};

static struct cell *cell_new(const double centre[3], double half)
{
    struct cell *c = calloc(1, sizeof *c);
    memcpy(c->centre, centre, sizeof c->centre);
    c->half = half;
    return c;
}

static void insert(struct cell *c, const struct body *b, unsigned depth);

static void insert_below(struct cell *c, const struct body *b, unsigned depth)
{
    unsigned octant = 0;
    double centre[3];
    for (unsigned d = 0; d < 3; d++) {
        bool upper = b->at[d] >= c->centre[d];
        octant |= (unsigned)upper << d;
        centre[d] = c->centre[d] + (upper ? c->half : -c->half) / 2;
    }
    if (!c->child[octant])
        c->child[octant] = cell_new(centre, c->half / 2);
    insert(c->child[octant], b, depth + 1);
}

static void insert(struct cell *c, const struct body *b, unsigned depth)
{
    bool empty = c->mass == 0;
    for (unsigned d = 0; d < 3; d++)
        c->sum[d] += b->at[d];
    c->mass += 1;
    if (empty) {
        c->only = b;
        return;
    }
    if (depth == MAX_DEPTH)
        return;
    if (c->only) {
        insert_below(c, c->only, depth);
        c->only = NULL;
    }
    insert_below(c, b, depth);
}

static void settle_masses(struct cell *c)
{
    for (unsigned d = 0; d < 3; d++)
        c->sum[d] /= c->mass;
    for (unsigned i = 0; i < CHILDREN; i++) {
        if (c->child[i])
            settle_masses(c->child[i]);
    }
}

static void pull(const struct cell *c, const struct body *b, double force[3])
{
    double away[3], square = SOFTENING;
    for (unsigned d = 0; d < 3; d++) {
        away[d] = c->sum[d] - b->at[d];
        square += away[d] * away[d];
    }
    double width = c->half * 2;
    if (c->only || width * width * OPENING * OPENING < square) {
        double strength = c->mass / (square * sqrt(square));
        for (unsigned d = 0; d < 3; d++)
            force[d] += away[d] * strength;
        return;
    }
    for (unsigned i = 0; i < CHILDREN; i++) {
        if (c->child[i])
            pull(c->child[i], b, force);
    }
}

static void cell_free(struct cell *c)
{
    for (unsigned i = 0; i < CHILDREN; i++) {
        if (c->child[i])
            cell_free(c->child[i]);
    }
    free(c);
}

static void step(struct body *body)
{
    static const double origin[3];
    struct cell *root = cell_new(origin, 16);
    for (unsigned i = 0; i < BODIES; i++)
        insert(root, &body[i], 0);
    settle_masses(root);
    for (unsigned i = 0; i < BODIES; i++) {
        double force[3] = {0};
        pull(root, &body[i], force);
        for (unsigned d = 0; d < 3; d++)
            body[i].speed[d] += force[d] * TIME_STEP / BODIES;
    }
    for (unsigned i = 0; i < BODIES; i++) {
        for (unsigned d = 0; d < 3; d++)
            body[i].at[d] += body[i].speed[d] * TIME_STEP;
    }
    cell_free(root);
}

static void run(struct bench *b)
{
    bench_ops(b, (uint64_t)STEPS * BODIES);
    while (bench_next(b)) {
        struct body *body = malloc(BODIES * sizeof *body);
        struct rng r = rng_seed(51);
        for (unsigned i = 0; i < BODIES; i++) {
            for (unsigned d = 0; d < 3; d++) {
                // Denser towards the middle, so that the tree is uneven.
                double x = (double)rng_below(&r, 1u << 30) / (1u << 29) - 1;
                body[i].at[d] = x * fabs(x);
                body[i].speed[d] = 0;
            }
        }
        for (unsigned i = 0; i < STEPS; i++)
            step(body);
        double sum = 0;
        for (unsigned i = 0; i < BODIES; i++)
            sum += body[i].at[0] + 3 * body[i].at[1] + 7 * body[i].at[2];
        uint64_t bits;
        memcpy(&bits, &sum, sizeof bits);
        bench_check(b, bits);
        free(body);
    }
}

void shape_nbody_rows(void)
{
    rows_add(&(struct bench_row){.name = "shape/nbody", .run = run});
}
