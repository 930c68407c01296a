// SPDX-License-Identifier: MIT
//
// A two-level logic minimiser: complements a cover of cubes by Shannon expansion, twice, and drops
// cubes that others contain. Cubes are blocks of a size that depends on the problem (28 to 56
// bytes), covers are arrays that grow by realloc, and the recursion holds both at every depth:
// mixed small sizes with stack-like lifetimes and a few that outlive them.
//
// An iteration solves PROBLEMS random problems of 6 to 13 variables; the checksum counts the cubes.

#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    PROBLEMS = 40,
    MIN_VARS = 6,
    MAX_VARS = 13,
    MIN_CUBES = 8,
    MAX_CUBES = 24,
    FIRST_ROOM = 4,
};

// What a cube says of one variable: it must be 0, must be 1, or may be either.
enum { ZERO = 1, ONE = 2, EITHER = 3 };

struct cube {
    uint32_t weight; // literals, i.e. variables that aren't EITHER
    uint8_t var[];
};

// Owns its cubes.
struct cover {
    uint32_t vars, n, room;
    struct cube **cube;
};

static struct cube *cube_new(uint32_t vars)
{
    struct cube *c = malloc(sizeof *c + vars * 4); // room for a name index, as minimisers keep
    c->weight = 0;
    memset(c->var, EITHER, vars);
    return c;
}

static struct cube *cube_copy(const struct cube *from, uint32_t vars)
{
    struct cube *c = cube_new(vars);
    c->weight = from->weight;
    memcpy(c->var, from->var, vars);
    return c;
}

static struct cover *cover_new(uint32_t vars)
{
    struct cover *f = malloc(sizeof *f);
    *f = (struct cover){.vars = vars};
    return f;
}

static void cover_add(struct cover *f, struct cube *c)
{
    if (f->n == f->room) {
        f->room = f->room ? f->room * 2 : FIRST_ROOM;
        f->cube = realloc(f->cube, f->room * sizeof(struct cube *));
    }
    f->cube[f->n++] = c;
}

static void cover_free(struct cover *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        free(f->cube[i]);
    free(f->cube);
    free(f);
}

static bool cube_contains(const struct cube *big, const struct cube *small, uint32_t vars)
{
    if (big->weight > small->weight)
        return false;
    for (uint32_t v = 0; v < vars; v++) {
        if (small->var[v] & ~big->var[v])
            return false;
    }
    return true;
}

// Drops every cube that another one contains; of two equal ones the first stays.
static void cover_reduce(struct cover *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        for (uint32_t j = 0; j < f->n && f->cube[i]; j++) {
            if (i == j || !f->cube[j] || !cube_contains(f->cube[j], f->cube[i], f->vars))
                continue;
            if (j > i && cube_contains(f->cube[i], f->cube[j], f->vars))
                continue;
            free(f->cube[i]);
            f->cube[i] = NULL;
        }
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->cube[i])
            f->cube[n++] = f->cube[i];
    }
    f->n = n;
}

// The cover where a variable has a value: cubes that exclude it fall away, the others forget it.
static struct cover *cofactor(const struct cover *f, uint32_t var, uint8_t value)
{
    struct cover *g = cover_new(f->vars);
    for (uint32_t i = 0; i < f->n; i++) {
        if (!(f->cube[i]->var[var] & value))
            continue;
        struct cube *c = cube_copy(f->cube[i], f->vars);
        c->weight -= c->var[var] != EITHER;
        c->var[var] = EITHER;
        cover_add(g, c);
    }
    return g;
}

// The variable most cubes speak of; vars if none does.
static uint32_t busiest(const struct cover *f)
{
    uint32_t best = f->vars, most = 0;
    for (uint32_t v = 0; v < f->vars; v++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < f->n; i++)
            count += f->cube[i]->var[v] != EITHER;
        if (count > most) {
            most = count;
            best = v;
        }
    }
    return best;
}

// Moves the cubes of `from` to `to`, each with the literal that `from` was computed for.
static void merge(struct cover *to, struct cover *from, uint32_t var, uint8_t value)
{
    for (uint32_t i = 0; i < from->n; i++) {
        struct cube *c = from->cube[i];
        c->weight++;
        c->var[var] = value;
        cover_add(to, c);
    }
    from->n = 0;
    cover_free(from);
}

static struct cover *complement(const struct cover *f)
{
    struct cover *g = cover_new(f->vars);
    if (f->n == 0) {
        cover_add(g, cube_new(f->vars));
        return g;
    }
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->cube[i]->weight == 0)
            return g;
    }
    uint32_t var = busiest(f);
    for (uint8_t value = ZERO; value <= ONE; value++) {
        struct cover *half = cofactor(f, var, value);
        merge(g, complement(half), var, value);
        cover_free(half);
    }
    cover_reduce(g);
    return g;
}

static struct cover *problem(struct rng *r)
{
    uint32_t vars = MIN_VARS + rng_below(r, MAX_VARS - MIN_VARS + 1);
    uint32_t cubes = MIN_CUBES + rng_below(r, MAX_CUBES - MIN_CUBES + 1);
    struct cover *f = cover_new(vars);
    for (uint32_t i = 0; i < cubes; i++) {
        struct cube *c = cube_new(vars);
        for (uint32_t v = 0; v < vars; v++) {
            uint32_t draw = rng_below(r, 4);
            c->var[v] = draw == 0 ? ZERO : draw == 1 ? ONE : EITHER;
            c->weight += c->var[v] != EITHER;
        }
        cover_add(f, c);
    }
    return f;
}

static void run(struct bench *b)
{
    bench_ops(b, PROBLEMS);
    while (bench_next(b)) {
        struct rng r = rng_seed(50);
        uint64_t sum = 0;
        for (unsigned i = 0; i < PROBLEMS; i++) {
            struct cover *f = problem(&r);
            struct cover *off = complement(f);
            struct cover *on = complement(off);
            sum = sum * 31 + off->n * 1000 + on->n;
            cover_free(f);
            cover_free(off);
            cover_free(on);
        }
        bench_check(b, sum);
    }
}

void shape_logic_rows(void)
{
    rows_add(&(struct bench_row){.name = "shape/logic", .run = run});
}
