// SPDX-License-Identifier: MIT
//
// An LRU cache with growing values: a hash table of entries, each with a copied key and a value
// that is appended to when it is hit. Hot values grow by realloc from some dozens of bytes to
// 16 KB, the least recently used entries are dropped to make room, and the sizes of what is dropped
// and of what comes differ: the memory of a session store or an object cache after a day.
//
// The cache holds LIMIT bytes (as its user counts them) and is filled before the clock runs. Each
// value carries its key, and a hit on a value that doesn't fails the row.

#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    LIMIT = 48 << 20,
    LIMIT_QUICK = 4 << 20,
    BUCKETS = 1 << 15,
    KEYS = 120000, // possible ones; about half fit
    KEY_BYTES = 24,
    ACCESSES = 20000, // an iteration
    LARGEST = 16 << 10,
    OVERHEAD = 64, // what the cache's user counts for an entry itself
};

struct entry {
    struct entry *hash_next, *newer, *older;
    char *key;
    uint64_t *value; // value[0] is the key's number
    uint32_t size, room;
};

struct lru {
    struct entry *bucket[BUCKETS];
    struct entry *newest, *oldest;
    size_t used, limit;
    struct rng rng;
    uint32_t size[SIZES];
    uint32_t next_size;
};

static uint32_t bucket_of(uint32_t key)
{
    return (key * 2654435761u) >> 17 & (BUCKETS - 1);
}

static void unlink_entry(struct lru *c, struct entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void push_newest(struct lru *c, struct entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void drop_oldest(struct lru *c)
{
    struct entry *e = c->oldest;
    struct entry **at = &c->bucket[bucket_of((uint32_t)e->value[0])];
    while (*at != e)
        at = &(*at)->hash_next;
    *at = e->hash_next;
    unlink_entry(c, e);
    c->used -= e->room + OVERHEAD;
    free(e->key);
    free(e->value);
    free(e);
}

static struct entry *find(struct lru *c, uint32_t key)
{
    struct entry *e = c->bucket[bucket_of(key)];
    while (e && e->value[0] != key)
        e = e->hash_next;
    return e;
}

static void add(struct lru *c, uint32_t key, uint32_t size)
{
    struct entry *e = malloc(sizeof *e);
    e->key = malloc(KEY_BYTES);
    memset(e->key, 'k', KEY_BYTES);
    memcpy(e->key, &key, sizeof key);
    e->size = e->room = size;
    e->value = malloc(size);
    memset(e->value, (int)key, size);
    e->value[0] = key;
    e->hash_next = c->bucket[bucket_of(key)];
    c->bucket[bucket_of(key)] = e;
    push_newest(c, e);
    c->used += size + OVERHEAD;
}

// Appends to a value; a full one starts again small, which gives its large block back.
static void append(struct lru *c, struct entry *e, uint32_t more)
{
    c->used -= e->room;
    if (e->size + more > LARGEST)
        e->size = e->room = 64;
    else if (e->size + more > e->room)
        e->room = e->size + more + e->size / 2;
    e->value = realloc(e->value, e->room);
    if (e->size + more <= e->room) {
        memset((char *)e->value + e->size, (int)more, more);
        e->size += more;
    }
    c->used += e->room;
}

// Cubing a uniform draw makes low keys hot: half of all accesses are of an eighth of the keys.
static uint32_t draw_key(struct lru *c)
{
    double x = (double)rng_below(&c->rng, 1u << 30) / (1u << 30);
    return (uint32_t)(x * x * x * KEYS);
}

static const char *access_once(struct lru *c)
{
    uint32_t key = draw_key(c);
    uint32_t size = c->size[c->next_size++ & SIZES_MASK];
    struct entry *e = find(c, key);
    if (e) {
        if (memcmp(e->key, &key, sizeof key) != 0)
            return "a cached value changed under the cache";
        unlink_entry(c, e);
        push_newest(c, e);
        append(c, e, size);
    } else {
        add(c, key, size < 8 ? 8 : size);
    }
    while (c->used > c->limit)
        drop_oldest(c);
    return NULL;
}

static void setup(struct bench *b)
{
    struct lru *c = table_new(1, sizeof *c);
    c->rng = rng_seed(53);
    c->limit = b->quick ? LIMIT_QUICK : LIMIT;
    sizes_draw(&c->rng, 4 << 10, c->size);
    for (unsigned i = 0; i < (b->quick ? KEYS : 10 * KEYS); i++) {
        const char *wrong = access_once(c);
        if (wrong)
            bench_fail(b, wrong);
    }
    b->ctx = c;
}

static void teardown(struct bench *b)
{
    struct lru *c = b->ctx;
    while (c->oldest)
        drop_oldest(c);
    table_free(c, 1, sizeof *c);
}

static void run(struct bench *b)
{
    struct lru *c = b->ctx;
    bench_ops(b, ACCESSES);
    while (bench_next(b)) {
        for (unsigned i = 0; i < ACCESSES; i++) {
            const char *wrong = access_once(c);
            if (wrong) {
                bench_fail(b, wrong);
                return;
            }
        }
    }
}

void shape_lru_rows(void)
{
    rows_add(
        &(struct bench_row){.name = "shape/lru", .run = run, .setup = setup, .teardown = teardown});
}
