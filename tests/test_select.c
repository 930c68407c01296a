// SPDX-License-Identifier: MIT
/* Select, by threads and by coroutines. Many are named after the test of Go's whose facts they
 * assert. */
#include "support/actors.h"
#include "support/test.h"

#include "coro/chan.h"
#include "observe/observe.h"

typedef ga_chan(int) ints;

static void check(void *channel)
{
    struct ga_channel *c = channel;
    latch_acquire(&c->latch);
    bool sound = chan_check(c);
    latch_release(&c->latch);
    assert_true(sound);
}

/* --- select3: what waits, what goes on, what is fatal --- */

static ints nil_channel(void)
{
    return NULL;
}

static ints empty_channel(void)
{
    return ga_make(ints);
}

static ints full_channel(void)
{
    ints c = ga_make(ints, 1);
    ga_send(c, 1);
    return c;
}

static ints roomy_channel(void)
{
    return ga_make(ints, 1);
}

static ints closed_channel(void)
{
    ints c = ga_make(ints);
    ga_close(c);
    return c;
}

static ints closed_full_channel(void)
{
    ints c = full_channel();
    ga_close(c);
    return c;
}

static void plain_send(void *c)
{
    ga_send((ints)c, 7);
}

static void plain_receive(void *c)
{
    (void)ga_recv((ints)c);
}

static void select_send(void *c)
{
    ga_select(GA_SEND((ints)c, 7));
}

static void select_receive(void *c)
{
    ga_select(GA_RECV((ints)c, NULL));
}

static void select_send_or_default(void *c)
{
    ga_select(GA_SEND((ints)c, 7), GA_DEFAULT);
}

static void select_receive_or_default(void *c)
{
    ga_select(GA_DEFAULT, GA_RECV((ints)c, NULL));
}

static void select_both(void *c)
{
    ga_select(GA_SEND((ints)c, 7), GA_RECV((ints)c, NULL));
}

enum outcome {
    GOES_ON,
    WAITS,
    IS_FATAL,
};

static const struct {
    const char *what;
    ints (*channel)(void);
    enum outcome send, receive, send_or_default, receive_or_default, both;
} matrix[] = {
    {"nil", nil_channel, WAITS, WAITS, GOES_ON, GOES_ON, WAITS},
    {"empty", empty_channel, WAITS, WAITS, GOES_ON, GOES_ON, WAITS},
    {"full", full_channel, WAITS, GOES_ON, GOES_ON, GOES_ON, GOES_ON},
    {"roomy", roomy_channel, GOES_ON, WAITS, GOES_ON, GOES_ON, GOES_ON},
    {"closed", closed_channel, IS_FATAL, GOES_ON, IS_FATAL, GOES_ON, GOES_ON},
    {"closed and full", closed_full_channel, IS_FATAL, GOES_ON, IS_FATAL, GOES_ON, GOES_ON},
};

struct operation {
    void (*act)(void *);
    ints channel;
};

static void operate(void *argument)
{
    struct operation *this = argument;
    this->act(this->channel);
}

static void expect_outcome(const char *what, ints (*channel)(void), void (*act)(void *),
                           enum outcome outcome)
{
    struct operation this = {act, channel()};
    if (outcome == GOES_ON)
        assert_true(actor_ends(act, this.channel));
    else if (outcome == IS_FATAL)
        assert_child_aborts(operate, &this, "send on closed channel, made at ");
    else if (!actor_waits(act, this.channel))
        fail_msg("%s: expected to wait", what);
}

static void select3(void **state)
{
    for (size_t i = 0; i < COUNT(matrix); i++) {
        const char *what = matrix[i].what;
        ints (*channel)(void) = matrix[i].channel;
        expect_outcome(what, channel, plain_send, matrix[i].send);
        expect_outcome(what, channel, select_send, matrix[i].send);
        expect_outcome(what, channel, plain_receive, matrix[i].receive);
        expect_outcome(what, channel, select_receive, matrix[i].receive);
        expect_outcome(what, channel, select_send_or_default, matrix[i].send_or_default);
        expect_outcome(what, channel, select_receive_or_default, matrix[i].receive_or_default);
        /* Of a closed channel either may be chosen, and one is fatal. */
        if (matrix[i].send != IS_FATAL)
            expect_outcome(what, channel, select_both, matrix[i].both);
    }
}

static void select_of_nothing(void *unused)
{
    ga_select();
}

static void select_of_nils(void *unused)
{
    ints nil = NULL;
    ga_select(GA_SEND(nil, 1), GA_RECV(nil, NULL));
}

static void an_empty_select_waits_for_ever(void **state)
{
    assert_true(actor_waits(select_of_nothing, NULL));
    assert_true(actor_waits(select_of_nils, NULL));
    assert_int_equal(ga_select(GA_DEFAULT), 0);
}

/* --- One case of one select --- */

static void the_index_says_which_case_was_done(void **state)
{
    ints a = ga_make(ints, 1), b = ga_make(ints, 1), nil = NULL;
    int x = 77, y = 77;
    bool ok = false;
    ga_send(a, 5);
    assert_int_equal(ga_select(GA_RECV(nil, &y), GA_RECV_OK(a, &x, &ok), GA_RECV(b, &y)), 1);
    assert_int_equal(x, 5);
    assert_true(ok);
    assert_int_equal(ga_select(GA_RECV(a, &y), GA_RECV(b, &y), GA_DEFAULT), 2);
    assert_int_equal(ga_select(GA_DEFAULT, GA_RECV(b, &y)), 0);
    assert_int_equal(y, 77);
    ga_send(a, 6);
    assert_int_equal(ga_select(GA_SEND(a, 1), GA_SEND(nil, 1), GA_SEND(b, 2 + 7)), 2);
    assert_int_equal(ga_recv(b), 9);
    ga_close(b);
    assert_int_equal(ga_select(GA_RECV_OK(b, &x, &ok)), 0);
    assert_int_equal(x, 0);
    assert_false(ok);
    ga_chan_free(a);
    ga_chan_free(b);
}

/* select8: break leaves the switch, continue the loop around it. */
static void select8(void **state)
{
    ints c = ga_make(ints, 1);
    int loops = 0, after = 0;
    for (;;) {
        switch (ga_select(GA_SEND(c, 1), GA_RECV(c, NULL))) {
        case 0:
            if (loops++ < 3)
                break;
            goto done;
        case 1:
            continue;
        }
        after++;
    }
done:
    assert_int_equal(after, 3);
    ga_chan_free(c);
}

/* select7: values received are thrown away where nobody wants them. */
static void select7(void **state)
{
    ints c = ga_make(ints);
    actor_start(plain_send, c);
    assert_int_equal(ga_select(GA_RECV(c, NULL)), 0);
    actor_start(select_send, c);
    assert_int_equal(ga_select(GA_RECV(c, NULL)), 0);
    actor_start(select_send, c);
    (void)ga_recv(c);
    actor_start(select_receive, c);
    ga_send(c, 1);
    check(c);
    ga_chan_free(c);
}

static void one_too_many(void *unused)
{
    struct ga_case cases[GA_SELECT_MAX + 1] = {{0}};
    ga_select_cases(cases, COUNT(cases));
}

struct many {
    ints channels[GA_SELECT_MAX];
    ints results;
};

static void select_of_many(void *argument)
{
    struct many *this = argument;
    struct ga_case cases[GA_SELECT_MAX];
    int v = 0;
    for (int i = 0; i < GA_SELECT_MAX; i++)
        cases[i] = (struct ga_case){(struct ga_channel *)this->channels[i], &v, NULL, GA_CASE_RECV};
    int index = ga_select_cases(cases, GA_SELECT_MAX);
    ga_send(this->results, index == v ? index : -1);
}

static void up_to_64_cases(void **state)
{
    struct many many = {.results = ga_make(ints, 1)};
    for (int i = 0; i < GA_SELECT_MAX; i++)
        many.channels[i] = ga_make(ints, i % 2);
    for (int i = 0; i < GA_SELECT_MAX; i++) {
        actor_start(select_of_many, &many);
        if (i % 3 == 0)
            actors_pause();
        ga_send(many.channels[i], i);
        assert_int_equal(ga_recv(many.results), i);
        for (int j = 0; j < GA_SELECT_MAX; j++)
            check(many.channels[j]);
    }
    for (int i = 0; i < GA_SELECT_MAX; i++)
        ga_chan_free(many.channels[i]); /* fatal if the select is still in a queue */
    ga_chan_free(many.results);
    assert_child_aborts(one_too_many, NULL, "select: 65 cases, at most 64");
}

/* --- Several actors --- */

struct self_select {
    ints c;
    int number;
    unsigned rounds;
    atomic_uint *ended;
    bool met_itself;
};

static void send_or_receive(void *argument)
{
    struct self_select *this = argument;
    int v;
    for (unsigned i = 0; i < this->rounds; i++)
        if (ga_select(GA_SEND(this->c, this->number), GA_RECV(this->c, &v)) == 1)
            this->met_itself |= v == this->number;
    atomic_fetch_add(this->ended, 1);
}

/* TestSelfSelect: two actors that each both send and receive; none gets what it sent itself. */
static void self_select(void **state)
{
    atomic_uint ended = 0;
    ints c = ga_make(ints);
    struct self_select two[2];
    for (int i = 0; i < 2; i++) {
        two[i] = (struct self_select){c, i, 1000, &ended, false};
        actor_start(send_or_receive, &two[i]);
    }
    actors_wait(&ended, 2);
    assert_false(two[0].met_itself || two[1].met_itself);
    check(c);
    ga_chan_free(c);
}

struct double_select {
    ints a, b;
    unsigned rounds;
};

static void send_to_either(void *argument)
{
    struct double_select *this = argument;
    for (unsigned i = 0; i < this->rounds; i++)
        ga_select(GA_SEND(this->a, (int)i), GA_SEND(this->b, (int)i), GA_SEND(this->a, (int)i));
    ga_close(this->a);
    ga_close(this->b);
}

/* doubleselect: of two cases of one select never both happen, and each round one does. */
static void doubleselect(void **state)
{
    struct double_select this = {ga_make(ints), ga_make(ints), 3000};
    unsigned char *seen = calloc(this.rounds, 1);
    bool a = true, b = true;
    actor_start(send_to_either, &this);
    while (a || b) {
        int v = -1;
        bool ok;
        int which = ga_select(GA_RECV_OK(a ? this.a : NULL, &v, &ok),
                              GA_RECV_OK(b ? this.b : NULL, &v, &ok));
        if (!ok && which == 0)
            a = false;
        else if (!ok)
            b = false;
        else
            seen[v]++;
    }
    for (unsigned i = 0; i < this.rounds; i++)
        assert_int_equal(seen[i], 1);
    free(seen);
    ga_chan_free(this.a);
    ga_chan_free(this.b);
}

/* select6: cases that lost leave their queues as if they had never been there. */
static void select6(void **state)
{
    ints a = ga_make(ints), b = ga_make(ints);
    struct ga_channel *channel = (struct ga_channel *)a;
    for (int i = 0; i < 50; i++) {
        actor_start(plain_receive, a);
        struct ga_case cases[] = {{(struct ga_channel *)a, NULL, NULL, GA_CASE_RECV},
                                  {(struct ga_channel *)b, NULL, NULL, GA_CASE_RECV}};
        actor_start(plain_send, b);
        assert_int_equal(ga_select_cases(cases, 2), 1);
        actor_start(plain_receive, a);
        ga_send(a, 1);
        ga_send(a, 2);
        check(a);
        check(b);
        assert_null(queue_first(&channel->receivers));
    }
    ga_chan_free(a);
    ga_chan_free(b);
}

struct instant {
    ints a, b;
    atomic_uint ended;
    int which;
};

static void select_at_one_instant(void *argument)
{
    struct instant *this = argument;
    this->which = ga_select(GA_RECV(this->a, NULL), GA_RECV(this->b, NULL), GA_DEFAULT);
    atomic_fetch_add(&this->ended, 1);
}

/* TestNonblockSelectRace: at any instant one of the two has an element, so it is never neither. */
static void a_select_acts_on_one_instant(void **state)
{
    for (unsigned i = actors_count(500, 3000); i > 0; i--) {
        struct instant this = {.a = ga_make(ints, 1), .b = ga_make(ints, 1)};
        ga_send(this.a, 1);
        actor_start(select_at_one_instant, &this);
        ga_send(this.b, 1);
        ga_try_recv(this.a, NULL);
        actors_wait(&this.ended, 1);
        assert_int_not_equal(this.which, 2);
        ga_chan_free(this.a);
        ga_chan_free(this.b);
    }
}

/* TestNonblockSelectRace2: the same with a close in place of the second element. */
static void a_select_sees_the_close(void **state)
{
    for (unsigned i = actors_count(500, 3000); i > 0; i--) {
        struct instant this = {.a = ga_make(ints, 1), .b = ga_make(ints)};
        ga_send(this.a, 1);
        actor_start(select_at_one_instant, &this);
        ga_close(this.b);
        ga_try_recv(this.a, NULL);
        actors_wait(&this.ended, 1);
        assert_int_not_equal(this.which, 2);
        ga_chan_free(this.a);
        ga_chan_free(this.b);
    }
}

/* --- Fairness: 10,000 trials, within six standard deviations of even --- */

#define TRIALS 10000
#define BOUND  300 /* 6 * sqrt(10000 / 4) */

static void ready_cases_are_chosen_evenly(void **state)
{
    ints a = ga_make(ints, 1), b = ga_make(ints, 1);
    int first = 0;
    for (int i = 0; i < TRIALS; i++) {
        ga_try_send(a, 1);
        ga_try_send(b, 1);
        first += ga_select(GA_RECV(a, NULL), GA_RECV(b, NULL)) == 0;
    }
    assert_in_range(first, TRIALS / 2 - BOUND, TRIALS / 2 + BOUND);
    ga_chan_free(a);
    ga_chan_free(b);
}

static void each_of_eight_is_chosen_as_often(void **state)
{
    enum { CASES = 8 };
    int chosen[CASES] = {0};
    struct ga_case cases[CASES];
    for (int i = 0; i < CASES; i++) {
        ints c = ga_make(ints);
        ga_close(c);
        cases[i] = (struct ga_case){(struct ga_channel *)c, NULL, NULL, GA_CASE_RECV};
    }
    for (int i = 0; i < TRIALS; i++)
        chosen[ga_select_cases(cases, CASES)]++;
    for (int i = 0; i < CASES; i++) {
        /* 6 * sqrt(10000 * 1/8 * 7/8) = 198 */
        assert_in_range(chosen[i], TRIALS / CASES - 198, TRIALS / CASES + 198);
        ga_chan_release(cases[i].channel);
    }
}

struct fair {
    ints a, b, done;
};

static void send_until_done(void *argument)
{
    struct fair *this = argument;
    for (int which = 0; which != 2;)
        which = ga_select(GA_SEND(this->a, 1), GA_SEND(this->b, 1), GA_RECV(this->done, NULL));
    ga_send(this->a, -1);
}

/* TestSelectFairness: one that offers both, one that takes what it is offered. */
static void waiting_selects_are_fair(void **state)
{
    /* Who looks while the other has come to wait on its first channel only sees no other. An
     * emulator is slow enough for that to show. */
    NEEDS_A_KERNEL();
    struct fair fair = {ga_make(ints), ga_make(ints), ga_make(ints)};
    int first = 0;
    actor_start(send_until_done, &fair);
    for (int i = 0; i < TRIALS; i++)
        first += ga_select(GA_RECV(fair.a, NULL), GA_RECV(fair.b, NULL)) == 0;
    ga_close(fair.done);
    while (ga_recv(fair.a) != -1)
        ;
    assert_in_range(first, TRIALS / 2 - BOUND, TRIALS / 2 + BOUND);
    check(fair.a);
    check(fair.b);
}

/* --- Many --- */

enum { STRESS_CHANNELS = 4 };

struct stress {
    ints channels[STRESS_CHANNELS];
    unsigned rounds;
    atomic_uint ended;
    atomic_int balance[STRESS_CHANNELS];
};

struct stress_one {
    struct stress *all;
    int channel;
    bool sends, selects;
};

static void stress_plain(struct stress_one *this)
{
    struct stress *all = this->all;
    for (unsigned i = 0; i < all->rounds; i++) {
        if (this->sends)
            ga_send(all->channels[this->channel], 1);
        else
            (void)ga_recv(all->channels[this->channel]);
        atomic_fetch_add(&all->balance[this->channel], this->sends ? 1 : -1);
    }
}

/* As often as the plain ones on each channel; one that has had enough is nil from then on. */
static void stress_select(struct stress_one *this)
{
    struct stress *all = this->all;
    unsigned done[STRESS_CHANNELS] = {0};
    ints c[STRESS_CHANNELS];
    int v;
    memcpy(c, all->channels, sizeof(c));
    for (unsigned i = 0; i < all->rounds * STRESS_CHANNELS; i++) {
        int which = this->sends ? ga_select(GA_SEND(c[0], 1), GA_SEND(c[1], 1), GA_SEND(c[2], 1),
                                            GA_SEND(c[3], 1))
                                : ga_select(GA_RECV(c[0], &v), GA_RECV(c[1], &v),
                                            GA_RECV(c[2], NULL), GA_RECV(c[3], NULL));
        atomic_fetch_add(&all->balance[which], this->sends ? 1 : -1);
        if (++done[which] == all->rounds)
            c[which] = NULL;
    }
}

static void stress_act(void *argument)
{
    struct stress_one *this = argument;
    if (this->selects)
        stress_select(this);
    else
        stress_plain(this);
    atomic_fetch_add(&this->all->ended, 1);
}

/* TestSelectStress: four channels, plain and selecting senders and receivers of all of them. */
static void select_stress(void **state)
{
    struct stress all = {.rounds = 1000};
    struct stress_one each[2 * STRESS_CHANNELS + 2];
    unsigned count = 0;
    for (int i = 0; i < STRESS_CHANNELS; i++) {
        all.channels[i] = ga_make(ints, i < 2 ? 0 : i);
        each[count++] = (struct stress_one){&all, i, true, false};
        each[count++] = (struct stress_one){&all, i, false, false};
    }
    each[count++] = (struct stress_one){&all, 0, true, true};
    each[count++] = (struct stress_one){&all, 0, false, true};
    for (unsigned i = 0; i < count; i++)
        actor_start(stress_act, &each[i]);
    actors_wait(&all.ended, count);
    for (int i = 0; i < STRESS_CHANNELS; i++) {
        check(all.channels[i]);
        assert_int_equal(all.balance[i], 0);
        assert_int_equal(ga_len(all.channels[i]), 0);
        ga_chan_free(all.channels[i]);
    }
}

struct consumers {
    ints in, done;
    atomic_long sum;
    atomic_uint ended;
};

static void consume(void *argument)
{
    struct consumers *this = argument;
    int v;
    while (ga_select(GA_RECV(this->in, &v), GA_RECV(this->done, NULL)) == 0)
        atomic_fetch_add(&this->sum, v);
    atomic_fetch_add(&this->ended, 1);
}

/* TestMultiConsumer: the sum is preserved. */
static void multi_consumer(void **state)
{
    struct consumers all = {.in = ga_make(ints), .done = ga_make(ints)};
    long sum = 0;
    for (int i = 0; i < 5; i++)
        actor_start(consume, &all);
    for (int i = 0; i < 5000; i++) {
        sum += i;
        ga_send(all.in, i);
    }
    ga_close(all.done);
    actors_wait(&all.ended, 5);
    assert_int_equal(all.sum, sum);
    ga_chan_free(all.in);
    ga_chan_free(all.done);
}

/* TestSelectDuplicateChannel: a channel that a select has twice stays in order for the next. */
struct duplicate {
    ints c, d, e;
};

static void select_one_twice(void *argument)
{
    struct duplicate *this = argument;
    ga_select(GA_RECV(this->c, NULL), GA_RECV(this->c, NULL), GA_RECV(this->d, NULL));
    ga_send(this->e, 9);
}

static void the_same_channel_twice(void **state)
{
    struct duplicate this = {ga_make(ints), ga_make(ints), ga_make(ints)};
    struct ga_channel *c = (struct ga_channel *)this.c;
    actor_start(select_one_twice, &this);
    while (!queue_first(&c->receivers))
        actors_pause();
    actors_pause();
    actor_start(plain_receive, this.c);
    actors_pause();
    ga_send(this.d, 7);
    assert_int_equal(ga_recv(this.e), 9);
    ga_send(this.c, 8); /* to the plain receiver: it isn't lost behind the select's entries */
    check(this.c);
    assert_null(queue_first(&c->receivers));
}

static void close_under_select_send(void *unused)
{
    ints a = ga_make(ints);
    actor_start(select_send, a);
    while (!queue_first(&((struct ga_channel *)a)->senders))
        actors_pause();
    ga_close(a);
    for (;;)
        actors_pause();
}

static void close_is_fatal_to_a_select_that_waits_to_send(void **state)
{
    if (actors_may_fork())
        assert_child_aborts(close_under_select_send, NULL, "send on closed channel, made at ");
}

/* --- What it leaves behind --- */

struct sum {
    ints a, b, quit;
    atomic_uint ended;
};

static void send_both(void *argument)
{
    struct sum *this = argument;
    while (ga_select(GA_SEND(this->a, 1), GA_SEND(this->b, 1), GA_RECV(this->quit, NULL)) != 2)
        ;
    atomic_fetch_add(&this->ended, 1);
}

static size_t live_blocks(void)
{
    struct ga_stats stats;
    observe_all(&stats);
    return stats.live_blocks;
}

/* select2: no memory for each select, though all of them wait. */
static void many_selects_leave_nothing_behind(void **state)
{
    struct sum this = {.a = ga_make(ints), .b = ga_make(ints), .quit = ga_make(ints)};
    actor_start(send_both, &this);
    for (int i = 0; i < 1000; i++)
        ga_select(GA_RECV(this.a, NULL), GA_RECV(this.b, NULL));
    size_t before = live_blocks();
    for (int i = 0; i < 20000; i++)
        ga_select(GA_RECV(this.a, NULL), GA_RECV(this.b, NULL));
    assert_true(live_blocks() < before + 1000);
    ga_close(this.quit);
    while (atomic_load(&this.ended) == 0)
        if (ga_select(GA_RECV(this.a, NULL), GA_RECV(this.b, NULL), GA_DEFAULT) == 2)
            actors_yield();
    ga_chan_free(this.a);
    ga_chan_free(this.b);
    ga_chan_free(this.quit);
}

/* chanlinear: one that waits at many channels, or behind many others, leaves by the same few steps.
 */
static void leaving_a_long_queue(void **state)
{
    enum { WAITING = 200 };
    struct duplicate all = {ga_make(ints), ga_make(ints), ga_make(ints)};
    struct ga_channel *c = (struct ga_channel *)all.c;
    for (int i = 0; i < WAITING; i++)
        actor_start(select_one_twice, &all);
    for (size_t found = 0; found != 2 * WAITING; actors_yield()) {
        latch_acquire(&c->latch);
        found = 0;
        for (struct sudog *sudog = queue_first(&c->receivers); sudog; sudog = sudog->next)
            found++;
        latch_release(&c->latch);
    }
    for (int i = 0; i < WAITING; i++) {
        ga_send(all.d, i);
        assert_int_equal(ga_recv(all.e), 9);
        check(all.c);
    }
    assert_null(queue_first(&c->receivers));
    ga_chan_free(all.c);
    ga_chan_free(all.d);
    ga_chan_free(all.e);
}

#define TESTS                                                                                      \
    cmocka_unit_test(select3), cmocka_unit_test(an_empty_select_waits_for_ever),                   \
        cmocka_unit_test(the_index_says_which_case_was_done), cmocka_unit_test(select8),           \
        cmocka_unit_test(select7), cmocka_unit_test(up_to_64_cases),                               \
        cmocka_unit_test(self_select), cmocka_unit_test(doubleselect), cmocka_unit_test(select6),  \
        cmocka_unit_test(a_select_acts_on_one_instant), cmocka_unit_test(a_select_sees_the_close), \
        cmocka_unit_test(ready_cases_are_chosen_evenly),                                           \
        cmocka_unit_test(each_of_eight_is_chosen_as_often),                                        \
        cmocka_unit_test(waiting_selects_are_fair), cmocka_unit_test(select_stress),               \
        cmocka_unit_test(multi_consumer), cmocka_unit_test(the_same_channel_twice),                \
        cmocka_unit_test(close_is_fatal_to_a_select_that_waits_to_send),                           \
        cmocka_unit_test(many_selects_leave_nothing_behind),                                       \
        cmocka_unit_test(leaving_a_long_queue)

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS};
    return actors_run(tests, COUNT(tests));
}
