// SPDX-License-Identifier: MIT
/* Whole programs out of channels and select, after those of Go's test suite whose facts they
 * assert: by threads and by coroutines. */
#include "support/actors.h"
#include "support/test.h"

#include <goalloc/chan.h>
#include <goalloc/context.h>

typedef ga_chan(int) ints;

/* --- select4, select5: every mixture of cases --- */

enum kind { RECV_NIL, RECV_EMPTY, RECV_READY, RECV_CLOSED, SEND_NIL, SEND_FULL, SEND_ROOM, KINDS };
enum { CASES = 3 };

struct side {
    enum kind kind;
    ints c;
    int value;
    bool ok;
};

static bool can_go_on(enum kind kind)
{
    return kind == RECV_READY || kind == RECV_CLOSED || kind == SEND_ROOM;
}

static void side_open(struct side *side, enum kind kind, int number)
{
    bool is_nil = kind == RECV_NIL || kind == SEND_NIL;
    *side = (struct side){kind, is_nil ? NULL : ga_make(ints, 1), -1, true};
    if (kind == RECV_READY || kind == SEND_FULL)
        ga_send(side->c, number);
    if (kind == RECV_CLOSED)
        ga_close(side->c);
    if (kind == SEND_NIL || kind == SEND_FULL || kind == SEND_ROOM)
        side->value = 100 + number;
}

static struct ga_case side_case(struct side *side)
{
    struct ga_channel *c = (struct ga_channel *)side->c;
    bool receives = side->kind <= RECV_CLOSED;
    return (struct ga_case){c, &side->value, receives ? &side->ok : NULL,
                            receives ? GA_CASE_RECV : GA_CASE_SEND};
}

/* What its channel and variable must look like, done or not; and it is done with. */
static void side_close(struct side *side, int number, bool done)
{
    size_t filled = side->kind == RECV_READY || side->kind == SEND_FULL;
    if (done)
        filled = side->kind == SEND_ROOM;
    assert_int_equal(side->c ? ga_len(side->c) : 0, filled);
    if (done && side->kind != SEND_ROOM) {
        assert_int_equal(side->value, side->kind == RECV_READY ? number : 0);
        assert_int_equal(side->ok, side->kind == RECV_READY);
    }
    if (side->kind == SEND_ROOM && done)
        assert_int_equal(ga_recv(side->c), 100 + number);
    ga_chan_free(side->c);
}

/* Of this mixture: how often each case was done is added up. */
static void try_mixture(unsigned mixture, bool has_default, unsigned done[CASES + 1])
{
    struct side sides[CASES];
    struct ga_case cases[CASES + 1];
    bool any = false;
    for (int i = 0; i < CASES; i++, mixture /= KINDS) {
        side_open(&sides[i], (enum kind)(mixture % KINDS), i);
        cases[i] = side_case(&sides[i]);
        any |= can_go_on(sides[i].kind);
    }
    cases[CASES] = (struct ga_case){NULL, NULL, NULL, GA_CASE_DEFAULT};
    if (any || has_default) {
        int index = ga_select_cases(cases, CASES + has_default);
        assert_in_range(index, 0, CASES);
        assert_int_equal(index == CASES, !any);
        assert_true(index == CASES || can_go_on(sides[index].kind));
        done[index]++;
        for (int i = 0; i < CASES; i++)
            side_close(&sides[i], i, i == index);
    } else {
        for (int i = 0; i < CASES; i++)
            side_close(&sides[i], i, false);
    }
}

static void select5(void **state)
{
    unsigned done[CASES + 1] = {0};
    for (unsigned mixture = 0; mixture < KINDS * KINDS * KINDS; mixture++)
        for (int has_default = 0; has_default < 2; has_default++)
            try_mixture(mixture, has_default, done);
    for (int i = 0; i <= CASES; i++)
        assert_true(done[i] > 0);
}

static int number_of_calls;

static ints count_call(ints c)
{
    number_of_calls++;
    return c;
}

static int count_value(int value)
{
    number_of_calls++;
    return value;
}

/* select4: what the cases are made of is evaluated once, whichever is done. */
static void select4(void **state)
{
    ints a = ga_make(ints, 1), b = ga_make(ints, 1);
    int v = 0;
    number_of_calls = 0;
    assert_int_equal(ga_select(GA_RECV(a, &v), GA_SEND(b, count_value(7)), GA_DEFAULT), 1);
    assert_int_equal(number_of_calls, 1);
    assert_int_equal(ga_select(GA_RECV(count_call(a), &v), GA_SEND(b, count_value(8)), GA_DEFAULT),
                     2);
    assert_in_range(number_of_calls, 3, 3);
    assert_int_equal(ga_recv(b), 7);
    ga_chan_free(a);
    ga_chan_free(b);
}

/* --- powser1: power series, whose terms come out of channels as they are asked for --- */

struct job {
    ints out, in[2], also;
    int constant;
    struct ga_context *context;
};

static atomic_uint jobs_started, jobs_ended;

static void start_job(void (*act)(void *), struct job job)
{
    struct job *copy = malloc(sizeof(*copy));
    assert_non_null(copy);
    *copy = job;
    atomic_fetch_add(&jobs_started, 1);
    actor_start(act, copy);
}

static void end_job(struct job *job)
{
    ga_context_release(job->context);
    free(job);
    atomic_fetch_add(&jobs_ended, 1);
}

static ints new_series(void)
{
    return ga_make(ints);
}

static void repeat(void *argument)
{
    struct job *job = argument;
    while (ga_send_ctx(job->context, job->out, job->constant) == 0)
        ;
    end_job(job);
}

/* Terms of one series to two readers, in turns: each sees all of them. */
static void split(void *argument)
{
    struct job *job = argument;
    int term;
    while (ga_recv_ctx(job->context, job->in[0], &term) == 0 &&
           ga_send_ctx(job->context, job->out, term) == 0 &&
           ga_send_ctx(job->context, job->also, term) == 0)
        ;
    end_job(job);
}

static void add(void *argument)
{
    struct job *job = argument;
    int a, b;
    while (ga_recv_ctx(job->context, job->in[0], &a) == 0 &&
           ga_recv_ctx(job->context, job->in[1], &b) == 0 &&
           ga_send_ctx(job->context, job->out, a + b) == 0)
        ;
    end_job(job);
}

/* The n-th term times n + 1, but for the last: of the derivative. */
static void differentiate(void *argument)
{
    struct job *job = argument;
    int term, n = 0;
    while (ga_recv_ctx(job->context, job->in[0], &term) == 0)
        if (n++ > 0 && ga_send_ctx(job->context, job->out, term * (n - 1)) != 0)
            break;
    end_job(job);
}

/* x times the series. */
static void shift(void *argument)
{
    struct job *job = argument;
    int term = 0;
    while (ga_send_ctx(job->context, job->out, term) == 0 &&
           ga_recv_ctx(job->context, job->in[0], &term) == 0)
        ;
    end_job(job);
}

/* 1/(1-x) is 1 + x + x^2 ...; its derivative 1 + 2x + 3x^2 ...; x times that, and the first again
 * added, is 1 + 2x + 3x^2 ... too. */
static void powser1(void **state)
{
    enum { TERMS = 200 };
    struct ga_context *context = ga_context_with_cancel(NULL);
    ints all[6];
    for (size_t i = 0; i < COUNT(all); i++)
        all[i] = new_series();
    atomic_store(&jobs_started, 0);
    atomic_store(&jobs_ended, 0);
#define JOB(...) ((struct job){__VA_ARGS__, .context = ga_context_retain(context)})
    start_job(repeat, JOB(.out = all[0], .constant = 1));
    start_job(split, JOB(.in = {all[0]}, .out = all[1], .also = all[2]));
    start_job(differentiate, JOB(.in = {all[1]}, .out = all[3]));
    start_job(shift, JOB(.in = {all[3]}, .out = all[4]));
    start_job(add, JOB(.in = {all[2], all[4]}, .out = all[5]));
#undef JOB
    for (int n = 0; n < TERMS; n++)
        assert_int_equal(ga_recv(all[5]), n + 1);
    ga_context_cancel(context);
    actors_wait(&jobs_ended, atomic_load(&jobs_started));
    ga_context_release(context);
    for (size_t i = 0; i < COUNT(all); i++)
        ga_chan_free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(select4),
        cmocka_unit_test(select5),
        cmocka_unit_test(powser1),
    };
    return actors_run(tests, COUNT(tests));
}
