// SPDX-License-Identifier: MIT
//
// JSON documents: a text of about a megabyte is parsed into a tree (a block for every value, key
// and string, arrays that grow by doubling), looked through, written back into a buffer that grows,
// compared with the text it came from, and dropped. What a web service does all day.
//
// An iteration handles DOCUMENTS documents; one that doesn't come back as it was fails the row.

#include <stdio.h>
#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    DOCUMENTS = 2,
    RECORDS = 4000, // a document
    TEXT = 2 << 20,
    FIRST_ROOM = 4,
};

enum kind { NUMBER, STRING, ARRAY, OBJECT };

struct value {
    enum kind kind;
    uint32_t n, room; // members of an array or object
    union {
        int64_t number;
        char *string;
        struct value **item;
    };
    char **key; // an object's, one a member
};

struct buffer {
    char *text;
    size_t used, room;
};

struct documents {
    char *text[DOCUMENTS];
};

// ---- the documents ---------------------------------------------------------------------------

static void make_text(char *out, struct rng *r)
{
    char *at = out;
    at += sprintf(at, "[");
    for (unsigned i = 0; i < RECORDS; i++) {
        at += sprintf(at, "%s{\"id\":%u,\"name\":\"", i ? "," : "", rng_below(r, 1000000));
        for (uint32_t len = 4 + rng_below(r, 24); len-- > 0;)
            *at++ = (char)('a' + rng_below(r, 26));
        at += sprintf(at, "\",\"scores\":[");
        for (uint32_t k = rng_below(r, 20), n = k; k-- > 0;)
            at += sprintf(at, "%s%u", k + 1 == n ? "" : ",", rng_below(r, 1000));
        at += sprintf(at, "],\"address\":{\"street\":\"");
        for (uint32_t len = 10 + rng_below(r, 60); len-- > 0;)
            *at++ = (char)('A' + rng_below(r, 26));
        at += sprintf(at, "\",\"number\":%u,\"tags\":[", rng_below(r, 300));
        for (uint32_t k = rng_below(r, 6), n = k; k-- > 0;)
            at += sprintf(at, "%s\"t%u\"", k + 1 == n ? "" : ",", rng_below(r, 100));
        at += sprintf(at, "]}}");
    }
    sprintf(at, "]");
}

static void setup(struct bench *b)
{
    struct documents *d = table_new(1, sizeof *d);
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        struct rng r = rng_seed(60 + i);
        d->text[i] = table_new(TEXT, 1);
        make_text(d->text[i], &r);
    }
    b->ctx = d;
}

static void teardown(struct bench *b)
{
    struct documents *d = b->ctx;
    for (unsigned i = 0; i < DOCUMENTS; i++)
        table_free(d->text[i], TEXT, 1);
    table_free(d, 1, sizeof *d);
}

// ---- reading ---------------------------------------------------------------------------------

static struct value *value_new(enum kind kind)
{
    struct value *v = malloc(sizeof *v);
    *v = (struct value){.kind = kind};
    return v;
}

static char *read_string(const char **at)
{
    const char *end = strchr(++*at, '"');
    size_t len = (size_t)(end - *at);
    char *s = malloc(len + 1);
    memcpy(s, *at, len);
    s[len] = '\0';
    *at = end + 1;
    return s;
}

static void add_member(struct value *v, char *key, struct value *item)
{
    if (v->n == v->room) {
        v->room = v->room ? v->room * 2 : FIRST_ROOM;
        v->item = realloc(v->item, v->room * sizeof(struct value *));
        if (v->kind == OBJECT)
            v->key = realloc(v->key, v->room * sizeof(char *));
    }
    if (v->kind == OBJECT)
        v->key[v->n] = key;
    v->item[v->n++] = item;
}

static struct value *read_value(const char **at);

static struct value *read_members(const char **at, enum kind kind, char close)
{
    struct value *v = value_new(kind);
    v->item = NULL;
    if (*++*at == close) {
        ++*at;
        return v;
    }
    for (;;) {
        char *key = NULL;
        if (kind == OBJECT) {
            key = read_string(at);
            ++*at; // the colon
        }
        add_member(v, key, read_value(at));
        if (*(*at)++ == close)
            return v;
    }
}

static struct value *read_value(const char **at)
{
    struct value *v;
    char *end;
    switch (**at) {
    case '[':
        return read_members(at, ARRAY, ']');
    case '{':
        return read_members(at, OBJECT, '}');
    case '"':
        v = value_new(STRING);
        v->string = read_string(at);
        return v;
    default:
        v = value_new(NUMBER);
        v->number = strtoll(*at, &end, 10);
        *at = end;
        return v;
    }
}

static void value_free(struct value *v)
{
    if (v->kind == STRING)
        free(v->string);
    if (v->kind == ARRAY || v->kind == OBJECT) {
        for (uint32_t i = 0; i < v->n; i++) {
            value_free(v->item[i]);
            if (v->key)
                free(v->key[i]);
        }
        free(v->item);
        free(v->key);
    }
    free(v);
}

// ---- writing ---------------------------------------------------------------------------------

static void put(struct buffer *o, const char *s, size_t n)
{
    if (o->used + n + 1 > o->room) {
        o->room = (o->room + n + 16) * 3 / 2;
        o->text = realloc(o->text, o->room);
    }
    memcpy(o->text + o->used, s, n);
    o->used += n;
    o->text[o->used] = '\0';
}

static void put_quoted(struct buffer *o, const char *s)
{
    put(o, "\"", 1);
    put(o, s, strlen(s));
    put(o, "\"", 1);
}

static void write_value(struct buffer *o, const struct value *v)
{
    char digits[24];
    switch (v->kind) {
    case NUMBER:
        put(o, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)v->number));
        break;
    case STRING:
        put_quoted(o, v->string);
        break;
    case ARRAY:
    case OBJECT:
        put(o, v->kind == ARRAY ? "[" : "{", 1);
        for (uint32_t i = 0; i < v->n; i++) {
            if (i)
                put(o, ",", 1);
            if (v->kind == OBJECT) {
                put_quoted(o, v->key[i]);
                put(o, ":", 1);
            }
            write_value(o, v->item[i]);
        }
        put(o, v->kind == ARRAY ? "]" : "}", 1);
        break;
    }
}

static void run(struct bench *b)
{
    struct documents *d = b->ctx;
    bench_ops(b, DOCUMENTS);
    while (bench_next(b)) {
        for (unsigned i = 0; i < DOCUMENTS; i++) {
            const char *at = d->text[i];
            struct buffer out = {0};
            struct value *v = read_value(&at);
            write_value(&out, v);
            bool same = strcmp(out.text, d->text[i]) == 0;
            value_free(v);
            free(out.text);
            if (!same) {
                bench_fail(b, "a document changed between reading and writing");
                return;
            }
        }
    }
}

void shape_json_rows(void)
{
    rows_add(&(struct bench_row){
        .name = "shape/json", .run = run, .setup = setup, .teardown = teardown});
}
