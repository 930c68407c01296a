// SPDX-License-Identifier: MIT
/* Channels, by threads and by coroutines. Many are named after the test of Go's whose facts they
 * assert. select's are in test_select.c. */
#include "support/actors.h"
#include "support/test.h"

#include "coro/chan.h"

typedef ga_chan(int) ints;
typedef ga_chan(bool) bools;

struct empty {
};
typedef ga_chan(struct empty) empties;

static void check(void *channel)
{
    struct ga_channel *c = channel;
    latch_acquire(&c->latch);
    bool sound = chan_check(c);
    latch_release(&c->latch);
    assert_true(sound);
}

/* --- What one actor sees --- */

static void closed_channels_give_zeroes(void **state)
{
    for (int capacity = 0; capacity < 3; capacity++) {
        ints c = ga_make(ints, capacity);
        for (int i = 0; i < capacity; i++)
            ga_send(c, 10 + i);
        ga_close(c);
        check(c);
        int v = 77;
        for (int i = 0; i < capacity; i++) {
            assert_true(ga_recv_ok(c, &v));
            assert_int_equal(v, 10 + i);
        }
        for (int i = 0; i < 3; i++) {
            v = 77;
            assert_false(ga_recv_ok(c, &v));
            assert_int_equal(v, 0);
            v = 77;
            assert_int_equal(ga_try_recv(c, &v), -1);
            assert_int_equal(v, 0);
            assert_int_equal(ga_recv(c), 0);
        }
        ga_chan_free(c);
    }
}

static void send_on_closed(void *capacity)
{
    ints c = ga_make(ints, *(int *)capacity);
    ga_close(c);
    ga_send(c, 1);
}

static void try_send_on_closed(void *capacity)
{
    ints c = ga_make(ints, *(int *)capacity);
    ga_close(c);
    ga_try_send(c, 1);
}

static void close_twice(void *capacity)
{
    ints c = ga_make(ints, *(int *)capacity);
    ga_close(c);
    ga_close(c);
}

static void close_nil(void *unused)
{
    ints c = NULL;
    ga_close(c);
}

static void misuse_is_fatal_and_says_where_it_was_made(void **state)
{
    for (int capacity = 0; capacity < 2; capacity++) {
        assert_child_aborts(send_on_closed, &capacity, "send on closed channel, made at ");
        assert_child_aborts(try_send_on_closed, &capacity, "send on closed channel, made at ");
        assert_child_aborts(close_twice, &capacity, "close of closed channel, made at ");
    }
    int capacity = 0;
    assert_child_aborts(close_twice, &capacity, "test_chan.c:");
    assert_child_aborts(close_nil, NULL, "close of nil channel");
}

static void make_negative(void *unused)
{
    ga_make(ints, -1);
}

static void make_too_large(void *unused)
{
    ga_make(ints, INT64_MAX / 2);
}

static void make_more_than_there_is(void *unused)
{
    ga_make(ints, (int64_t)1 << 40);
}

struct too_large {
    char bytes[GA_ELEMENT_MAX + 1];
};

static void make_of_too_large(void *unused)
{
    typedef ga_chan(struct too_large) many;
    ga_make(many, 1);
}

static void chancap(void **state)
{
    ints c = ga_make(ints, 10);
    ints unbuffered = ga_make(ints), nil = NULL;
    assert_int_equal(ga_cap(c), 10);
    assert_int_equal(ga_len(c), 0);
    ga_send(c, 1);
    ga_send(c, 2);
    assert_int_equal(ga_len(c), 2);
    assert_int_equal(ga_cap(unbuffered), 0);
    assert_int_equal(ga_cap(nil), 0);
    assert_int_equal(ga_len(nil), 0);
    ga_chan_free(c);
    ga_chan_free(unbuffered);
    assert_child_aborts(make_negative, NULL, "makechan: size out of range, at ");
    assert_child_aborts(make_too_large, NULL, "makechan: size out of range, at ");
    assert_child_aborts(make_more_than_there_is, NULL, "makechan: out of memory, at ");
    assert_child_aborts(make_of_too_large, NULL, "makechan: element larger than 64 KB, at ");
}

/* Element sizes are copied by different code. */
#define TRY_OPERATIONS(T, value)                                                                   \
    do {                                                                                           \
        typedef ga_chan(T) channel;                                                                \
        T const sent = value;                                                                      \
        T got;                                                                                     \
        memset(&got, 0x55, sizeof(got));                                                           \
        channel unbuffered = ga_make(channel), c = ga_make(channel, 2), nil = NULL;                \
        assert_false(ga_try_send(unbuffered, sent));                                               \
        assert_int_equal(ga_try_recv(unbuffered, &got), 0);                                        \
        assert_false(ga_try_send(nil, sent));                                                      \
        assert_int_equal(ga_try_recv(nil, &got), 0);                                               \
        for (int round = 0; round < 5; round++) {                                                  \
            assert_int_equal(ga_try_recv(c, &got), 0);                                             \
            assert_true(ga_try_send(c, sent));                                                     \
            assert_true(ga_try_send(c, sent));                                                     \
            assert_false(ga_try_send(c, sent));                                                    \
            check(c);                                                                              \
            assert_int_equal(ga_try_recv(c, &got), 1);                                             \
            assert_memory_equal(&got, &sent, sizeof(T));                                           \
            assert_int_equal(ga_try_recv(c, NULL), 1);                                             \
        }                                                                                          \
        ga_chan_free(c);                                                                           \
        ga_chan_free(unbuffered);                                                                  \
    } while (0)

struct three {
    char bytes[3];
};
struct large {
    int numbers[1000];
};
struct largest {
    char bytes[GA_ELEMENT_MAX];
};

static void nonblock(void **state)
{
    static struct largest largest;
    memset(&largest, 0x12, sizeof(largest));
    largest.bytes[GA_ELEMENT_MAX - 1] = 'z';
    TRY_OPERATIONS(bool, true);
    TRY_OPERATIONS(short, 1234);
    TRY_OPERATIONS(struct three, {"ab"});
    TRY_OPERATIONS(int, -1234567);
    TRY_OPERATIONS(double, 0.125);
    TRY_OPERATIONS(const char *, "text");
    TRY_OPERATIONS(struct large, {{[999] = 3}});
    TRY_OPERATIONS(struct largest, largest);
}

static void zerosize(void **state)
{
    assert_int_equal(sizeof(struct empty), 0);
    empties c = ga_make(empties, 3);
    struct empty nothing = {};
    for (int i = 0; i < 3; i++)
        assert_true(ga_try_send(c, nothing));
    assert_false(ga_try_send(c, nothing));
    check(c);
    assert_int_equal(ga_len(c), 3);
    for (int i = 0; i < 3; i++)
        assert_true(ga_recv_ok(c, &nothing));
    assert_int_equal(ga_try_recv(c, &nothing), 0);
    ga_close(c);
    assert_false(ga_recv_ok(c, NULL));
    ga_chan_free(c);
}

static void elements_go_round_the_buffer(void **state)
{
    ints c = ga_make(ints, 7);
    struct dice dice = {1};
    int sent = 0, received = 0;
    for (int round = 0; round < 200; round++) {
        for (int n = (int)dice_below(&dice, 8); n > 0 && ga_try_send(c, sent); n--)
            sent++;
        for (int v, n = (int)dice_below(&dice, 8); n > 0 && ga_try_recv(c, &v); n--)
            assert_int_equal(v, received++);
        check(c);
        assert_int_equal(ga_len(c), sent - received);
    }
    ga_chan_free(c);
}

/* --- Several actors --- */

static void recv_one(void *c)
{
    (void)ga_recv((ints)c);
}

static void send_one(void *c)
{
    ga_send((ints)c, 1);
}

static void nil_waits_for_ever(void **state)
{
    assert_true(actor_waits(recv_one, NULL));
    assert_true(actor_waits(send_one, NULL));
}

static void an_empty_channel_makes_receivers_wait_and_a_full_one_senders(void **state)
{
    ints unbuffered = ga_make(ints), c = ga_make(ints, 1);
    assert_true(actor_waits(recv_one, unbuffered));
    check(unbuffered);
    ga_send(unbuffered, 1);
    assert_true(actor_waits(send_one, unbuffered));
    check(unbuffered);
    assert_int_equal(ga_recv(unbuffered), 1);
    assert_true(actor_waits(recv_one, c));
    assert_true(actor_ends(send_one, c));
    ga_send(c, 5);
    assert_true(actor_waits(send_one, c));
    check(c);
    assert_int_equal(ga_recv(c), 5);
    assert_int_equal(ga_recv(c), 1);
}

struct count_to {
    ints c;
    int count;
};

static void send_numbers(void *argument)
{
    struct count_to *this = argument;
    for (int i = 0; i < this->count; i++)
        ga_send(this->c, i);
    ga_close(this->c);
}

static void fifo(void **state)
{
    static const int capacities[] = {0, 1, 10, 128};
    for (size_t i = 0; i < COUNT(capacities); i++) {
        struct count_to numbers = {ga_make(ints, capacities[i]), 2000};
        actor_start(send_numbers, &numbers);
        int expected = 0;
        ga_range (v, numbers.c)
            assert_int_equal(v, expected++);
        assert_int_equal(expected, 2000);
        check(numbers.c);
        ga_chan_free(numbers.c);
    }
}

struct queuer {
    ints c;
    ints results;
    int number;
};

static void queue_up_to_send(void *argument)
{
    struct queuer *this = argument;
    ga_send(this->c, this->number);
}

static void queue_up_to_receive(void *argument)
{
    struct queuer *this = argument;
    int v = ga_recv(this->c);
    ga_send(this->results, this->number * 100 + v);
}

static size_t waiting(struct queue *queue, ints c)
{
    struct ga_channel *channel = (struct ga_channel *)c;
    size_t count = 0;
    latch_acquire(&channel->latch);
    for (struct sudog *sudog = queue_first(queue); sudog; sudog = sudog->next)
        count++;
    latch_release(&channel->latch);
    return count;
}

static void wait_for_waiters(struct queue *queue, ints c, size_t count)
{
    while (waiting(queue, c) != count)
        actors_pause();
}

static void waiters_are_served_in_the_order_they_came(void **state)
{
    struct queuer queuers[5];
    for (int capacity = 0; capacity < 2; capacity++) {
        ints c = ga_make(ints, capacity), results = ga_make(ints, 5);
        struct ga_channel *channel = (struct ga_channel *)c;
        for (int i = 0; i < capacity; i++)
            ga_send(c, -1);
        for (int i = 0; i < 5; i++) {
            queuers[i] = (struct queuer){c, results, i};
            actor_start(queue_up_to_send, &queuers[i]);
            wait_for_waiters(&channel->senders, c, (size_t)i + 1);
        }
        check(c);
        for (int i = -capacity; i < 5; i++)
            assert_int_equal(ga_recv(c), i < 0 ? -1 : i);
        for (int i = 0; i < 5; i++) {
            actor_start(queue_up_to_receive, &queuers[i]);
            wait_for_waiters(&channel->receivers, c, (size_t)i + 1);
        }
        check(c);
        int seen = 0;
        for (int i = 0; i < 5; i++)
            ga_send(c, i);
        for (int i = 0; i < 5; i++) {
            int result = ga_recv(results);
            assert_int_equal(result / 100, result % 100);
            seen |= 1 << result % 100;
        }
        assert_int_equal(seen, 31);
        ga_chan_free(c);
        ga_chan_free(results);
    }
}

static void expect_close(void *argument)
{
    struct queuer *this = argument;
    int v = 77;
    bool ok = ga_recv_ok(this->c, &v);
    ga_send(this->results, ok ? -1 : v);
}

static void close_wakes_all_receivers(void **state)
{
    ints c = ga_make(ints, 3), results = ga_make(ints);
    struct queuer queuer = {c, results, 0};
    for (int i = 0; i < 4; i++)
        actor_start(expect_close, &queuer);
    wait_for_waiters(&((struct ga_channel *)c)->receivers, c, 4);
    ga_close(c);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ga_recv(results), 0);
    check(c);
    ga_chan_free(c);
    ga_chan_free(results);
}

/* It lets others have the channel's latch between. */
static void close_wakes_crowds(void **state)
{
    enum { CROWD = 300 };
    ints c = ga_make(ints, 3), results = ga_make(ints, CROWD);
    struct queuer queuer = {c, results, 0};
    for (int i = 0; i < CROWD; i++)
        actor_start(expect_close, &queuer);
    wait_for_waiters(&((struct ga_channel *)c)->receivers, c, CROWD);
    ga_close(c);
    assert_null(queue_first(&((struct ga_channel *)c)->receivers));
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(ga_recv(results), 0);
    check(c);
    ga_chan_free(c);
    ga_chan_free(results);
}

static void close_under_a_sender(void *unused)
{
    ints c = ga_make(ints);
    actor_start(send_one, c);
    wait_for_waiters(&((struct ga_channel *)c)->senders, c, 1);
    ga_close(c);
    for (;;)
        actors_pause();
}

static void close_is_fatal_to_waiting_senders(void **state)
{
    if (actors_may_fork())
        assert_child_aborts(close_under_a_sender, NULL, "send on closed channel, made at ");
}

static void free_under_a_sender(void *unused)
{
    ints c = ga_make(ints);
    actor_start(send_one, c);
    wait_for_waiters(&((struct ga_channel *)c)->senders, c, 1);
    ga_chan_free(c);
}

static void free_is_fatal_while_somebody_waits(void **state)
{
    if (actors_may_fork())
        assert_child_aborts(free_under_a_sender, NULL, "free of a channel that somebody waits on");
}

/* --- Many --- */

struct crowd {
    ints c;
    atomic_uint senders_left, receivers_done;
    atomic_long sent, received;
    unsigned each;
};

static void crowd_send(void *argument)
{
    struct crowd *crowd = argument;
    for (unsigned i = 1; i <= crowd->each; i++) {
        ga_send(crowd->c, (int)i);
        atomic_fetch_add(&crowd->sent, i);
    }
    if (atomic_fetch_sub(&crowd->senders_left, 1) == 1)
        ga_close(crowd->c);
}

static void crowd_receive(void *argument)
{
    struct crowd *crowd = argument;
    ga_range (v, crowd->c)
        atomic_fetch_add(&crowd->received, v);
    atomic_fetch_add(&crowd->receivers_done, 1);
}

/* ken/chan: so many senders and receivers of one channel; nothing is lost or comes twice. */
static void n_senders_and_m_receivers(void **state)
{
    static const struct {
        int capacity;
        unsigned senders, receivers;
    } shapes[] = {{0, 1, 4}, {0, 4, 1}, {0, 4, 4}, {1, 3, 3}, {10, 1, 3}, {128, 4, 4}};
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct crowd crowd = {.c = ga_make(ints, shapes[i].capacity), .each = 1000};
        crowd.senders_left = shapes[i].senders;
        for (unsigned n = 0; n < shapes[i].senders; n++)
            actor_start(crowd_send, &crowd);
        for (unsigned n = 0; n < shapes[i].receivers; n++)
            actor_start(crowd_receive, &crowd);
        actors_wait(&crowd.receivers_done, shapes[i].receivers);
        assert_int_equal(crowd.received, shapes[i].senders * 500500);
        assert_int_equal(crowd.sent, crowd.received);
        check(crowd.c);
        ga_chan_free(crowd.c);
    }
}

struct stage {
    ints from, to;
    atomic_uint *ended;
};

static void pass_on_plus_one(void *argument)
{
    struct stage *this = argument;
    ga_send(this->to, ga_recv(this->from) + 1);
    atomic_fetch_add(this->ended, 1);
}

/* goroutines: a chain through which one number goes. */
static void a_long_chain(void **state)
{
    unsigned length = actors_count(100, 10000);
    struct stage *stages = calloc(length, sizeof(*stages));
    atomic_uint ended = 0;
    ints first = ga_make(ints), last = first;
    for (unsigned i = 0; i < length; i++) {
        stages[i] = (struct stage){last, ga_make(ints), &ended};
        last = stages[i].to;
        actor_start(pass_on_plus_one, &stages[i]);
    }
    ga_send(first, 0);
    assert_int_equal(ga_recv(last), (int)length);
    actors_wait(&ended, length);
    for (unsigned i = 0; i < length; i++)
        ga_chan_free(stages[i].to);
    ga_chan_free(first);
    free(stages);
}

struct sieve {
    ints from, to;
    int prime;
};

static void count_upward(void *c)
{
    for (int i = 2;; i++)
        ga_send((ints)c, i);
}

static void drop_multiples(void *argument)
{
    struct sieve *this = argument;
    for (;;) {
        int i = ga_recv(this->from);
        if (i % this->prime != 0)
            ga_send(this->to, i);
    }
}

/* sieve1: each prime found adds a filter. Its actors wait for ever in the end. */
static void prime_sieve(void **state)
{
    static const int primes[] = {2,  3,  5,  7,  11, 13, 17, 19, 23, 29, 31,
                                 37, 41, 43, 47, 53, 59, 61, 67, 71, 73};
    ints c = ga_make(ints);
    actor_start(count_upward, c);
    for (size_t i = 0; i < COUNT(primes); i++) {
        struct sieve *sieve = malloc(sizeof(*sieve));
        *sieve = (struct sieve){c, ga_make(ints), ga_recv(c)};
        assert_int_equal(sieve->prime, primes[i]);
        c = sieve->to;
        actor_start(drop_multiples, sieve);
    }
}

struct race {
    ints c;
    atomic_uint ended;
    int result;
};

static void try_receive(void *argument)
{
    struct race *race = argument;
    race->result = ga_try_recv(race->c, NULL);
    atomic_fetch_add(&race->ended, 1);
}

/* TestNonblockRecvRace: whoever receives while another closes and drains gets the one or the other.
 */
static void a_try_receive_sees_the_close(void **state)
{
    for (unsigned i = actors_count(300, 2000); i > 0; i--) {
        struct race race = {.c = ga_make(ints, 1)};
        ga_send(race.c, 1);
        actor_start(try_receive, &race);
        ga_close(race.c);
        (void)ga_recv(race.c);
        actors_wait(&race.ended, 1);
        assert_int_not_equal(race.result, 0);
        ga_chan_free(race.c);
    }
}

static void free_when_received(void *argument)
{
    struct queuer *this = argument;
    ints c = this->c;
    (void)ga_recv(c);
    ga_chan_free(c);
    ga_send(this->results, 1);
}

/* The receiver of the last element may free the channel, though its sender is still in ga_send. */
static void the_last_receiver_may_free(void **state)
{
    ints results = ga_make(ints);
    for (int i = 0; i < 1000; i++) {
        struct queuer queuer = {ga_make(ints, i % 2), results, 0};
        actor_start(free_when_received, &queuer);
        ga_send(queuer.c, 1);
        (void)ga_recv(results);
    }
    ga_chan_free(results);
}

#define ACTORS_TESTS                                                                               \
    cmocka_unit_test(closed_channels_give_zeroes),                                                 \
        cmocka_unit_test(misuse_is_fatal_and_says_where_it_was_made), cmocka_unit_test(chancap),   \
        cmocka_unit_test(nonblock), cmocka_unit_test(zerosize),                                    \
        cmocka_unit_test(elements_go_round_the_buffer), cmocka_unit_test(nil_waits_for_ever),      \
        cmocka_unit_test(an_empty_channel_makes_receivers_wait_and_a_full_one_senders),            \
        cmocka_unit_test(fifo), cmocka_unit_test(waiters_are_served_in_the_order_they_came),       \
        cmocka_unit_test(close_wakes_all_receivers), cmocka_unit_test(close_wakes_crowds),         \
        cmocka_unit_test(close_is_fatal_to_waiting_senders),                                       \
        cmocka_unit_test(free_is_fatal_while_somebody_waits),                                      \
        cmocka_unit_test(n_senders_and_m_receivers), cmocka_unit_test(a_long_chain),               \
        cmocka_unit_test(prime_sieve), cmocka_unit_test(a_try_receive_sees_the_close),             \
        cmocka_unit_test(the_last_receiver_may_free)

int main(void)
{
    const struct CMUnitTest tests[] = {ACTORS_TESTS};
    return actors_run(tests, COUNT(tests));
}
