// SPDX-License-Identifier: MIT
//
// Factoring with arbitrary-precision numbers, as the continued fraction method does it: every
// number is an immutable block of its own of a few words, every operation allocates its result and
// frees what it used up. Millions of blocks of 16 to 64 bytes that live for a microsecond, a dozen
// alive at once: the fast paths and nothing else.
//
// An iteration expands the square root of a 126-bit number for EXPANSION steps and divides each
// term by a base of small primes; the checksum tells which terms were smooth.

#include <string.h>

#include "rows.h"
#include "workload.h"

enum {
    EXPANSION = 5000,
    PRIMES = 24,
    LIMB_BITS = 32,
};

// Little-endian, no leading zero limbs; zero has n == 0. Immutable once returned.
struct big {
    uint32_t n;
    uint32_t limb[];
};

static struct big *big_new(uint32_t limbs)
{
    struct big *x = malloc(sizeof *x + limbs * sizeof x->limb[0]);
    x->n = limbs;
    memset(x->limb, 0, limbs * sizeof x->limb[0]);
    return x;
}

static struct big *big_trim(struct big *x)
{
    while (x->n > 0 && x->limb[x->n - 1] == 0)
        x->n--;
    return x;
}

static struct big *big_from(uint64_t v)
{
    struct big *x = big_new(2);
    x->limb[0] = (uint32_t)v;
    x->limb[1] = (uint32_t)(v >> LIMB_BITS);
    return big_trim(x);
}

static int big_compare(const struct big *x, const struct big *y)
{
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    for (uint32_t i = x->n; i-- > 0;) {
        if (x->limb[i] != y->limb[i])
            return x->limb[i] < y->limb[i] ? -1 : 1;
    }
    return 0;
}

static struct big *big_add(const struct big *x, const struct big *y)
{
    uint32_t n = x->n > y->n ? x->n : y->n;
    struct big *sum = big_new(n + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i <= n; i++) {
        carry += i < x->n ? x->limb[i] : 0;
        carry += i < y->n ? y->limb[i] : 0;
        sum->limb[i] = (uint32_t)carry;
        carry >>= LIMB_BITS;
    }
    return big_trim(sum);
}

// x - y, where x is not less than y.
static struct big *big_sub(const struct big *x, const struct big *y)
{
    struct big *diff = big_new(x->n);
    int64_t borrow = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        borrow += (int64_t)x->limb[i] - (i < y->n ? y->limb[i] : 0);
        diff->limb[i] = (uint32_t)borrow;
        borrow >>= LIMB_BITS;
    }
    return big_trim(diff);
}

static struct big *big_mul(const struct big *x, const struct big *y)
{
    struct big *product = big_new(x->n + y->n);
    for (uint32_t i = 0; i < x->n; i++) {
        uint64_t carry = 0;
        for (uint32_t j = 0; j < y->n; j++) {
            carry += (uint64_t)x->limb[i] * y->limb[j] + product->limb[i + j];
            product->limb[i + j] = (uint32_t)carry;
            carry >>= LIMB_BITS;
        }
        product->limb[i + y->n] = (uint32_t)carry;
    }
    return big_trim(product);
}

static uint32_t big_bits(const struct big *x)
{
    return x->n ? x->n * LIMB_BITS - (uint32_t)__builtin_clz(x->limb[x->n - 1]) : 0;
}

// x shifted left by less than a limb, with one limb more, not trimmed.
static struct big *shifted(const struct big *x, uint32_t shift)
{
    struct big *out = big_new(x->n + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < x->n; i++) {
        carry |= (uint64_t)x->limb[i] << shift;
        out->limb[i] = (uint32_t)carry;
        carry >>= LIMB_BITS;
    }
    out->limb[x->n] = (uint32_t)carry;
    return out;
}

// The first n limbs of x, shifted right by less than a limb.
static struct big *unshifted(const struct big *x, uint32_t n, uint32_t shift)
{
    struct big *out = big_new(n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t pair = x->limb[i] | (uint64_t)(i + 1 < n ? x->limb[i + 1] : 0) << LIMB_BITS;
        out->limb[i] = (uint32_t)(pair >> shift);
    }
    return big_trim(out);
}

// One limb of a quotient: how often v (n limbs, its top bit set) goes into the n + 1 limbs at u.
// Guessed from the leading limbs, one too large at most; u becomes the rest.
static uint32_t quotient_limb(uint32_t *u, const uint32_t *v, uint32_t n)
{
    uint64_t lead = (uint64_t)u[n] << LIMB_BITS | u[n - 1];
    uint64_t guess = lead / v[n - 1];
    uint64_t rest = lead % v[n - 1];
    while (rest <= UINT32_MAX && n > 1 &&
           (guess > UINT32_MAX || guess * v[n - 2] > (rest << LIMB_BITS | u[n - 2]))) {
        guess--;
        rest += v[n - 1];
    }
    uint64_t carry = 0;
    int64_t borrow = 0;
    for (uint32_t i = 0; i <= n; i++) {
        carry += i < n ? guess * v[i] : 0;
        borrow += (int64_t)u[i] - (uint32_t)carry;
        u[i] = (uint32_t)borrow;
        borrow >>= LIMB_BITS;
        carry >>= LIMB_BITS;
    }
    if (borrow < 0) {
        guess--;
        carry = 0;
        for (uint32_t i = 0; i <= n; i++) {
            carry += (uint64_t)u[i] + (i < n ? v[i] : 0);
            u[i] = (uint32_t)carry;
            carry >>= LIMB_BITS;
        }
    }
    return (uint32_t)guess;
}

// Quotient and, if it is asked for, remainder; long division limb by limb.
static struct big *big_div(const struct big *x, const struct big *y, struct big **rest)
{
    uint32_t shift = (uint32_t)__builtin_clz(y->limb[y->n - 1]);
    uint32_t limbs = x->n >= y->n ? x->n - y->n + 1 : 0;
    struct big *quotient = big_new(limbs);
    struct big *u = shifted(x, shift);
    struct big *v = shifted(y, shift);
    for (uint32_t i = limbs; i-- > 0;)
        quotient->limb[i] = quotient_limb(u->limb + i, v->limb, y->n);
    if (rest)
        *rest = unshifted(u, x->n < y->n ? x->n + 1 : y->n, shift);
    free(u);
    free(v);
    return big_trim(quotient);
}

// The largest number whose square is at most x, by Newton's iteration from above.
static struct big *big_sqrt(const struct big *x)
{
    struct big *two = big_from(2);
    struct big *root = big_new((big_bits(x) / 2 + 1) / LIMB_BITS + 1);
    root->limb[(big_bits(x) / 2 + 1) / LIMB_BITS] = 1u << ((big_bits(x) / 2 + 1) % LIMB_BITS);
    for (;;) {
        struct big *q = big_div(x, root, NULL);
        struct big *sum = big_add(root, q);
        struct big *next = big_div(sum, two, NULL);
        free(q);
        free(sum);
        if (big_compare(next, root) >= 0) {
            free(next);
            free(two);
            return root;
        }
        free(root);
        root = next;
    }
}

// Divides out a small prime as often as it goes; each quotient is a new number. Consumes x.
static struct big *divide_out(struct big *x, uint32_t prime)
{
    for (;;) {
        struct big *quotient = big_new(x->n);
        uint64_t rest = 0;
        for (uint32_t i = x->n; i-- > 0;) {
            rest = rest << LIMB_BITS | x->limb[i];
            quotient->limb[i] = (uint32_t)(rest / prime);
            rest %= prime;
        }
        if (rest != 0 || x->n == 0) {
            free(quotient);
            return x;
        }
        free(x);
        x = big_trim(quotient);
    }
}

static const uint32_t primes[PRIMES] = {2,  3,  5,  7,  11, 13, 17, 19, 23, 29, 31, 37,
                                        41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89};

// What is left of a term after the base: 1 if it is smooth.
static uint64_t cofactor(const struct big *term)
{
    struct big *left = big_new(term->n);
    memcpy(left->limb, term->limb, term->n * sizeof term->limb[0]);
    for (unsigned i = 0; i < PRIMES; i++)
        left = divide_out(left, primes[i]);
    uint64_t v = left->n ? left->limb[0] : 0;
    free(left);
    return v;
}

// The expansion's state between two terms, all owned.
struct fraction {
    struct big *n, *root; // the number and its square root, rounded down
    struct big *p, *q, *a;
    struct big *num, *num_before; // numerators of the convergents, modulo n
};

// p' = a q - p; q' = (n - p'^2) / q; a' = (root + p') / q'; numerator' = a' num + before (mod n).
static void next_term(struct fraction *f)
{
    struct big *aq = big_mul(f->a, f->q);
    struct big *p = big_sub(aq, f->p);
    struct big *square = big_mul(p, p);
    struct big *diff = big_sub(f->n, square);
    struct big *q = big_div(diff, f->q, NULL);
    struct big *sum = big_add(f->root, p);
    struct big *a = big_div(sum, q, NULL);
    struct big *step = big_mul(a, f->num);
    struct big *raw = big_add(step, f->num_before);
    struct big *num;
    free(big_div(raw, f->n, &num));
    free(aq);
    free(square);
    free(diff);
    free(sum);
    free(step);
    free(raw);
    free(f->p);
    free(f->q);
    free(f->a);
    free(f->num_before);
    f->p = p;
    f->q = q;
    f->a = a;
    f->num_before = f->num;
    f->num = big_trim(num);
}

static void run(struct bench *b)
{
    bench_ops(b, EXPANSION);
    while (bench_next(b)) {
        uint64_t sum = 0;
        struct big *x = big_from(6700417ull * 2147483647ull);
        struct big *y = big_from(67280421310721ull * 131071ull);
        struct fraction f = {.n = big_mul(x, y), .p = big_from(0), .q = big_from(1)};
        f.root = big_sqrt(f.n);
        f.a = big_sqrt(f.n);
        f.num = big_sqrt(f.n);
        f.num_before = big_from(1);
        for (unsigned i = 0; i < EXPANSION; i++) {
            next_term(&f);
            sum = sum * 31 + cofactor(f.q) + f.num->limb[0];
        }
        struct big *all[] = {x, y, f.n, f.root, f.p, f.q, f.a, f.num, f.num_before};
        for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
            free(all[i]);
        bench_check(b, sum);
    }
}

void shape_factor_rows(void)
{
    rows_add(&(struct bench_row){.name = "shape/factor", .run = run});
}
