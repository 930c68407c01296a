// SPDX-License-Identifier: MIT
//
// Tiny strings: 1 to 23 characters, copied into a block of their own and dropped at random, in a
// set of 10,000. Words of a text, keys of a table, symbols of a compiler. The blocks are so small
// that the rounding of sizes decides how many share a cache line.

#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    STRINGS = 10000,
    REPLACED = 1000, // an iteration
    LONGEST = 23,
    TEXT = 4096,
};

struct set {
    char *string[STRINGS];
    char text[TEXT + LONGEST + 1];
    struct rng rng;
};

static char *copy(const char *from, size_t len)
{
    char *p = malloc(len + 1);
    memcpy(p, from, len);
    p[len] = '\0';
    keep(p);
    return p;
}

static void replace(struct set *s, uint32_t i)
{
    uint32_t r = (uint32_t)(rng_next(&s->rng) >> 32);
    free(s->string[i]);
    s->string[i] = copy(s->text + r % TEXT, 1 + (r >> 16) % LONGEST);
}

static void setup(struct bench *b)
{
    struct set *s = table_new(1, sizeof *s);
    s->rng = rng_seed(3);
    for (unsigned i = 0; i < sizeof s->text; i++)
        s->text[i] = (char)('a' + rng_below(&s->rng, 26));
    for (uint32_t i = 0; i < STRINGS; i++)
        replace(s, i);
    b->ctx = s;
}

static void run(struct bench *b)
{
    struct set *s = b->ctx;
    bench_ops(b, REPLACED);
    while (bench_next(b)) {
        for (unsigned i = 0; i < REPLACED; i++)
            replace(s, rng_below(&s->rng, STRINGS));
    }
}

static void teardown(struct bench *b)
{
    struct set *s = b->ctx;
    for (uint32_t i = 0; i < STRINGS; i++)
        free(s->string[i]);
    table_free(s, 1, sizeof *s);
}

void micro_string_rows(void)
{
    rows_add(&(struct bench_row){
        .name = "micro/strings/10k", .run = run, .setup = setup, .teardown = teardown});
}
