// SPDX-License-Identifier: MIT
//
// A parser that builds and drops trees: a compiler's or an interpreter's front end. The text is cut
// into tokens whose names are copied, functions become trees of nodes of four sizes, a folding pass
// replaces subtrees by new nodes, and a function's tree is dropped whole before the next is read.
//
// An iteration reads FUNCTIONS functions of one to some dozens of statements; the checksum is of
// what folding computed.

#include <ctype.h>
#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    FUNCTIONS = 400,
    STATEMENTS = 24, // at most, a function
    DEPTH = 5,       // of a generated expression
    TEXT = 4 << 20,
};

enum kind { NUMBER, NAME, BINARY, CALL };

// A node is as large as its kind needs, as trees in compilers are; each begins with this.
struct node {
    enum kind kind;
};

struct number {
    struct node node;
    uint64_t value;
};

struct name {
    struct node node;
    char *text;
};

struct binary {
    struct node node;
    char op;
    struct node *left, *right;
};

struct call {
    struct node node;
    uint32_t nargs;
    char *callee;
    struct node *arg[];
};

struct text {
    char *at;
    const char *end;
};

// ---- writing the text ------------------------------------------------------------------------

static void put(struct text *t, const char *s)
{
    size_t n = strlen(s);
    if (t->at + n < t->end) {
        memcpy(t->at, s, n);
        t->at += n;
    }
}

static void put_name(struct text *t, struct rng *r)
{
    char name[24];
    uint32_t len = 1 + rng_below(r, rng_below(r, 4) ? 8 : 20);
    for (uint32_t i = 0; i < len; i++)
        name[i] = (char)('a' + rng_below(r, 26));
    name[len] = '\0';
    put(t, name);
}

static void put_expression(struct text *t, struct rng *r, unsigned depth)
{
    uint32_t draw = depth == 0 ? rng_below(r, 2) : rng_below(r, 6);
    char digits[2] = {(char)('0' + rng_below(r, 10)), '\0'};
    switch (draw) {
    case 0:
        put(t, digits);
        break;
    case 1:
        put_name(t, r);
        break;
    case 2:
        put_name(t, r);
        put(t, "(");
        for (uint32_t i = rng_below(r, 4) + 1; i-- > 0;) {
            put_expression(t, r, depth - 1);
            put(t, i ? "," : ")");
        }
        break;
    default:
        put(t, "(");
        put_expression(t, r, depth - 1);
        put(t, draw == 3 ? "+" : draw == 4 ? "*" : "-");
        put_expression(t, r, depth - 1);
        put(t, ")");
    }
}

// Statements end with a semicolon, functions with a full stop.
static void setup(struct bench *b)
{
    char *text = table_new(TEXT, 1);
    struct text t = {.at = text, .end = text + TEXT - 64};
    struct rng r = rng_seed(52);
    for (unsigned f = 0; f < FUNCTIONS; f++) {
        for (uint32_t s = 1 + rng_below(&r, STATEMENTS); s-- > 0;) {
            put_expression(&t, &r, DEPTH);
            put(&t, ";");
        }
        put(&t, ".");
    }
    b->ctx = text;
}

static void teardown(struct bench *b)
{
    table_free(b->ctx, TEXT, 1);
}

// ---- reading it ------------------------------------------------------------------------------

static void *node_new(enum kind kind, size_t size)
{
    struct node *n = malloc(size);
    n->kind = kind;
    return n;
}

static struct node *number_new(uint64_t value)
{
    struct number *n = node_new(NUMBER, sizeof *n);
    n->value = value;
    return &n->node;
}

static uint64_t number_of(const struct node *n)
{
    return ((const struct number *)n)->value;
}

static void node_free(struct node *n)
{
    struct binary *b = (struct binary *)n;
    struct call *c = (struct call *)n;
    switch (n->kind) {
    case NUMBER:
        break;
    case NAME:
        free(((struct name *)n)->text);
        break;
    case BINARY:
        node_free(b->left);
        node_free(b->right);
        break;
    case CALL:
        free(c->callee);
        for (uint32_t i = 0; i < c->nargs; i++)
            node_free(c->arg[i]);
        break;
    }
    free(n);
}

static char *read_name(const char **at)
{
    size_t len = 0;
    while (islower((unsigned char)(*at)[len]))
        len++;
    char *name = malloc(len + 1);
    memcpy(name, *at, len);
    name[len] = '\0';
    *at += len;
    return name;
}

static struct node *read_expression(const char **at);

// Arguments are collected in a list that grows, then stored in a node of the right size.
static struct node *read_call(const char **at, char *callee)
{
    uint32_t n = 0, room = 0;
    struct node **arg = NULL;
    do {
        ++*at; // the bracket or the comma
        if (n == room) {
            room = room ? room * 2 : 1;
            arg = realloc(arg, room * sizeof(struct node *));
        }
        arg[n++] = read_expression(at);
    } while (**at == ',');
    ++*at;
    struct call *call = node_new(CALL, sizeof *call + n * sizeof(struct node *));
    call->callee = callee;
    call->nargs = n;
    memcpy(call->arg, arg, n * sizeof(struct node *));
    free(arg);
    return &call->node;
}

static struct node *read_expression(const char **at)
{
    if (isdigit((unsigned char)**at))
        return number_new((uint64_t)(*(*at)++ - '0'));
    if (**at == '(') {
        struct binary *n = node_new(BINARY, sizeof *n);
        ++*at;
        n->left = read_expression(at);
        n->op = *(*at)++;
        n->right = read_expression(at);
        ++*at;
        return &n->node;
    }
    char *name = read_name(at);
    if (**at == '(')
        return read_call(at, name);
    struct name *n = node_new(NAME, sizeof *n);
    n->text = name;
    return &n->node;
}

static uint64_t apply(char op, uint64_t x, uint64_t y)
{
    return op == '+' ? x + y : op == '*' ? x * y : x - y;
}

static struct node *fold(struct node *n);

// The value of an operation whose sides are numbers once they are folded, else NULL.
static struct node *fold_binary(struct binary *b)
{
    b->left = fold(b->left);
    b->right = fold(b->right);
    if (b->left->kind != NUMBER || b->right->kind != NUMBER)
        return NULL;
    return number_new(apply(b->op, number_of(b->left), number_of(b->right)));
}

// Replaces what is known by its value: names by their length, operations on numbers by the result.
// Consumes n.
static struct node *fold(struct node *n)
{
    struct node *known = NULL;
    struct call *c = (struct call *)n;
    size_t length;
    switch (n->kind) {
    case NUMBER:
        break;
    case NAME:
        length = strlen(((struct name *)n)->text);
        known = length % 3 ? number_new(length) : NULL;
        break;
    case BINARY:
        known = fold_binary((struct binary *)n);
        break;
    case CALL:
        for (uint32_t i = 0; i < c->nargs; i++)
            c->arg[i] = fold(c->arg[i]);
        break;
    }
    if (!known)
        return n;
    node_free(n);
    return known;
}

static uint64_t digest(const struct node *n)
{
    const struct binary *b = (const struct binary *)n;
    const struct call *c = (const struct call *)n;
    uint64_t sum = n->kind;
    switch (n->kind) {
    case NUMBER:
        return number_of(n);
    case NAME:
        return (unsigned char)((const struct name *)n)->text[0];
    case BINARY:
        return apply(b->op, digest(b->left), digest(b->right));
    case CALL:
        for (uint32_t i = 0; i < c->nargs; i++)
            sum = sum * 31 + digest(c->arg[i]);
    }
    return sum;
}

static uint64_t read_function(const char **at)
{
    struct node *statement[STATEMENTS];
    uint32_t n = 0;
    uint64_t sum = 0;
    while (**at != '.') {
        statement[n++] = read_expression(at);
        ++*at; // the semicolon
    }
    ++*at;
    for (uint32_t i = 0; i < n; i++) {
        statement[i] = fold(statement[i]);
        sum = sum * 31 + digest(statement[i]);
    }
    for (uint32_t i = 0; i < n; i++)
        node_free(statement[i]);
    return sum;
}

static void run(struct bench *b)
{
    bench_ops(b, FUNCTIONS);
    while (bench_next(b)) {
        const char *at = b->ctx;
        uint64_t sum = 0;
        for (unsigned i = 0; i < FUNCTIONS; i++)
            sum = sum * 31 + read_function(&at);
        bench_check(b, sum);
    }
}

void shape_parser_rows(void)
{
    rows_add(&(struct bench_row){
        .name = "shape/parser", .run = run, .setup = setup, .teardown = teardown});
}
