// SPDX-License-Identifier: MIT
/* Input and output that parks coroutines. */
#include "support/test.h"

#include <fcntl.h>
#include <goalloc/coro.h>
#include <goalloc/io.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "coro/internal.h"

#define MS INT64_C(1000000)

static atomic_int count;

struct pair {
    int ends[2];
};

static struct pair make_pair(void)
{
    struct pair pair;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.ends), 0);
    return pair;
}

static struct pair make_pipe(void)
{
    struct pair pair;
    assert_int_equal(pipe(pair.ends), 0);
    return pair;
}

static void close_pair(struct pair pair)
{
    ga_close_fd(pair.ends[0]);
    ga_close_fd(pair.ends[1]);
}

static void give_back(int fd, int rounds)
{
    char buffer[16];
    for (int i = 0; i < rounds; i++) {
        ssize_t got = ga_read(fd, buffer, sizeof(buffer));
        if (got <= 0 || ga_write(fd, buffer, (size_t)got) != got)
            return;
    }
    atomic_fetch_add(&count, 1);
}

static void two_coroutines_talk_over_a_socket(void **state)
{
    struct pair pair = make_pair();
    atomic_store(&count, 0);
    ga_go(give_back, pair.ends[1], 500);
    for (int i = 0; i < 500; i++) {
        char byte = (char)i;
        assert_int_equal(ga_write(pair.ends[0], &byte, 1), 1);
        byte = 0;
        assert_int_equal(ga_read(pair.ends[0], &byte, 1), 1);
        assert_int_equal(byte, (char)i);
    }
    ga_wait_all();
    assert_int_equal(atomic_load(&count), 1);
    close_pair(pair);
}

static void write_late(int fd, const char *text)
{
    ga_sleep(3 * MS);
    ga_write(fd, text, strlen(text));
}

static void pipes_and_their_modes_are_left_alone(void **state)
{
    struct pair pair = make_pipe();
    char buffer[8] = "";
    int mode = fcntl(pair.ends[0], F_GETFL);
    ga_go(write_late, pair.ends[1], "late");
    assert_int_equal(ga_read(pair.ends[0], buffer, sizeof(buffer)), 4);
    assert_string_equal(buffer, "late");
    assert_int_equal(fcntl(pair.ends[0], F_GETFL), mode);
    ga_wait_all();
    ga_close_fd(pair.ends[1]);
    assert_int_equal(ga_read(pair.ends[0], buffer, sizeof(buffer)), 0);
    ga_close_fd(pair.ends[0]);
}

#define MUCH ((size_t)4 << 20)

static void write_much(int fd)
{
    char *data = malloc(MUCH);
    memset(data, 'x', MUCH);
    atomic_fetch_add(&count, ga_write(fd, data, MUCH) == (ssize_t)MUCH);
    free(data);
}

static void a_write_goes_out_whole(void **state)
{
    struct pair pairs[2] = {make_pair(), make_pipe()};
    static char buffer[65536];
    atomic_store(&count, 0);
    for (int i = 0; i < 2; i++) {
        size_t got = 0;
        ga_go(write_much, pairs[i].ends[1]);
        while (got < MUCH) {
            ssize_t now = ga_read(pairs[i].ends[0], buffer, sizeof(buffer));
            assert_true(now > 0);
            got += (size_t)now;
        }
        ga_wait_all();
        assert_int_equal(atomic_load(&count), i + 1);
        close_pair(pairs[i]);
    }
}

static void read_until_it_fails(int fd)
{
    char byte;
    ssize_t got = ga_read(fd, &byte, 1);
    atomic_store(&count, got < 0 ? errno : -1);
}

static void close_wakes_a_blocked_reader(void **state)
{
    struct pair pair = make_pair();
    atomic_store(&count, 0);
    ga_go(read_until_it_fails, pair.ends[0]);
    ga_sleep(3 * MS);
    assert_int_equal(atomic_load(&count), 0);
    ga_close_fd(pair.ends[0]);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), EBADF);
    ga_close_fd(pair.ends[1]);
}

static void a_deadline_wakes_a_blocked_reader(void **state)
{
    struct pair pair = make_pair();
    char byte;
    ga_set_read_deadline(pair.ends[0], ga_now() + 3 * MS);
    assert_int_equal(ga_read(pair.ends[0], &byte, 1), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(ga_read(pair.ends[0], &byte, 1), -1);
    assert_int_equal(errno, ETIMEDOUT);
    ga_set_deadline(pair.ends[0], 0);
    ga_go(write_late, pair.ends[1], "x");
    assert_int_equal(ga_read(pair.ends[0], &byte, 1), 1);
    ga_wait_all();
    close_pair(pair);
}

static void a_deadline_may_be_moved_while_somebody_waits(void **state)
{
    struct pair pair = make_pair();
    atomic_store(&count, 0);
    ga_set_deadline(pair.ends[0], ga_now() + 3600 * 1000 * MS);
    ga_go(read_until_it_fails, pair.ends[0]);
    ga_sleep(2 * MS);
    ga_set_deadline(pair.ends[0], ga_now() - 1);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), ETIMEDOUT);
    close_pair(pair);
}

/* The number comes back for another socket, closed behind our back. */
static void a_number_used_again_is_waited_for_anew(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct pair pair = make_pair();
        char byte;
        ga_go(write_late, pair.ends[1], "y");
        assert_int_equal(ga_read(pair.ends[0], &byte, 1), 1);
        ga_wait_all();
        close(pair.ends[0]);
        close(pair.ends[1]);
    }
}

static void connect_pair(int listener, const struct sockaddr_in *address, struct pair *pair)
{
    pair->ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(pair->ends[0], (const struct sockaddr *)address, sizeof(*address)), 0);
    pair->ends[1] = ga_accept(listener, NULL, NULL);
    assert_true(pair->ends[1] >= 0);
}

static struct pair make_connection(void)
{
    struct pair pair;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    connect_pair(listener, &address, &pair);
    ga_close_fd(listener);
    return pair;
}

/* A read stops before urgent data, though there is more; no edge says so. */
static void what_a_short_read_left_is_found(void **state)
{
    struct pair pair = make_connection();
    char buffer[16];
    ga_go(write_late, pair.ends[0], "1");
    assert_int_equal(ga_read(pair.ends[1], buffer, sizeof(buffer)), 1);
    assert_int_equal(send(pair.ends[0], "ab", 2, 0), 2);
    assert_int_equal(send(pair.ends[0], "x", 1, MSG_OOB), 1);
    assert_int_equal(send(pair.ends[0], "cd", 2, 0), 2);
    ga_sleep(5 * MS);
    assert_int_equal(ga_read(pair.ends[1], buffer, sizeof(buffer)), 2);
    assert_memory_equal(buffer, "ab", 2);
    assert_int_equal(ga_read(pair.ends[1], buffer, sizeof(buffer)), 2);
    assert_memory_equal(buffer, "cd", 2);
    close_pair(pair);
}

/* The last data and the end may come as one edge, or as two. */
static void the_end_is_seen_after_a_short_read(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct pair pair = make_connection();
        char buffer[16];
        ga_go(write_late, pair.ends[0], "1");
        assert_int_equal(ga_read(pair.ends[1], buffer, sizeof(buffer)), 1);
        ga_wait_all();
        assert_int_equal(ga_write(pair.ends[0], "2", 1), 1);
        if (i % 2)
            ga_yield();
        shutdown(pair.ends[0], SHUT_WR);
        assert_int_equal(ga_read(pair.ends[1], buffer, sizeof(buffer)), 1);
        assert_int_equal(ga_read(pair.ends[1], buffer, sizeof(buffer)), 0);
        close_pair(pair);
    }
}

static void files_are_read_all_the_same(void **state)
{
    char name[] = "/tmp/goalloc-io-XXXXXX", buffer[16] = "";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(ga_write(fd, "in a file", 9), 9);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(ga_read(fd, buffer, sizeof(buffer)), 9);
    assert_string_equal(buffer, "in a file");
    assert_int_equal(ga_read(fd, buffer, sizeof(buffer)), 0);
    unlink(name);
    ga_close_fd(fd);
    assert_int_equal(ga_read(fd, buffer, 1), -1);
    assert_int_equal(errno, EBADF);
}

/* --- Connections --- */

static struct sockaddr_in address;

static int listen_somewhere(void)
{
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address = (struct sockaddr_in){.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    return fd;
}

static void visit_server(int rounds)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char sent[32] = "question", got[32];
    int good = ga_connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    for (int i = 0; good && i < rounds; i++) {
        good = ga_sendto(fd, sent, sizeof(sent), 0, NULL, 0) == (ssize_t)sizeof(sent) &&
               ga_recvfrom(fd, got, sizeof(got), MSG_WAITALL, NULL, NULL) == (ssize_t)sizeof(got) &&
               strcmp(sent, got) == 0;
    }
    ga_close_fd(fd);
    atomic_fetch_add(&count, good);
}

static void serve(int fd)
{
    char buffer[256];
    ssize_t got;
    while ((got = ga_read(fd, buffer, sizeof(buffer))) > 0)
        ga_write(fd, buffer, (size_t)got);
    ga_close_fd(fd);
}

static void accept_all(int listener, int connections)
{
    for (int i = 0; i < connections; i++) {
        int fd = ga_accept(listener, NULL, NULL);
        if (fd >= 0)
            ga_go(serve, fd);
    }
}

static void a_server_serves_many_at_once(void **state)
{
    enum { CLIENTS = 100 };
    int listener = listen_somewhere();
    atomic_store(&count, 0);
    ga_go(accept_all, listener, CLIENTS / 2);
    ga_go(accept_all, listener, CLIENTS / 2);
    for (int i = 0; i < CLIENTS; i++)
        ga_go(visit_server, 10);
    ga_wait_all();
    assert_int_equal(atomic_load(&count), CLIENTS);
    ga_close_fd(listener);
}

static void a_refused_connection_says_so(void **state)
{
    int listener = listen_somewhere();
    ga_close_fd(listener);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(ga_connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    ga_close_fd(fd);
}

/* --- poll --- */

static void poll_waits_for_any(void **state)
{
    struct pair a = make_pair(), b = make_pipe();
    struct pollfd fds[2] = {{a.ends[0], POLLIN, 0}, {b.ends[0], POLLIN, 0}};
    int64_t start = ga_now();
    assert_int_equal(ga_poll(fds, 2, 5), 0);
    assert_true(ga_now() - start >= 5 * MS);
    ga_go(write_late, b.ends[1], "z");
    assert_int_equal(ga_poll(fds, 2, -1), 1);
    assert_int_equal(fds[0].revents, 0);
    assert_int_equal(fds[1].revents, POLLIN);
    ga_wait_all();
    close_pair(a);
    close_pair(b);
}

/* --- Threads --- */

static void *read_in_a_thread(void *fd)
{
    char byte = 0;
    return (void *)(intptr_t)ga_read((int)(intptr_t)fd, &byte, 1);
}

static void a_thread_may_read_too(void **state)
{
    struct pair pair = make_pair();
    pthread_t thread;
    void *got;
    pthread_create(&thread, NULL, read_in_a_thread, (void *)(intptr_t)pair.ends[0]);
    ga_go(write_late, pair.ends[1], "w");
    ga_wait_all();
    pthread_join(thread, &got);
    assert_int_equal((intptr_t)got, 1);
    close_pair(pair);
}

/* --- Crowds --- */

static void a_crowd_is_more_than_the_processors_hold(void **state)
{
    assert_false(help_is_crowd(1, 2, 1)); /* us alone */
    assert_true(help_is_crowd(2, 2, 1));  /* somebody has the other processor */
    assert_false(help_is_crowd(2, 2, 2)); /* we have both */
    assert_true(help_is_crowd(3, 2, 2));
    assert_false(help_is_crowd(7, 8, 1));
    assert_true(help_is_crowd(8, 8, 1));
    assert_false(help_is_crowd(8, 8, 4));
    assert_true(help_is_crowd(9, 8, 4));
    assert_false(help_is_crowd(1, 2, 4)); /* workers that are asleep in the kernel */
    assert_false(help_is_crowd(9, 2, 9)); /* more workers than processors are who wanted them */
}

static atomic_bool stop;
static atomic_ulong answers;

static void keep_asking(int fd)
{
    char sent = 0, byte;
    for (; !atomic_load(&stop); sent++) {
        if (ga_write(fd, &sent, 1) != 1 || ga_read(fd, &byte, 1) != 1 || byte != sent)
            abort();
        atomic_fetch_add(&answers, 1);
    }
    ga_close_fd(fd);
}

static void answer(int fd)
{
    char byte;
    while (ga_read(fd, &byte, 1) == 1)
        if (ga_write(fd, &byte, 1) != 1)
            abort();
    ga_close_fd(fd);
}

/* Computes until the others have got on without it. */
static void compute(void)
{
    unsigned long before = atomic_load(&answers);
    while (atomic_load(&answers) < before + 200) {
    }
    atomic_fetch_add(&count, 1);
}

/* A worker that looks for events often is left to it, and one that no longer does isn't relied on.
 * Whoever isn't served makes this test hang. */
static void in_a_crowd_all_are_served(void **state)
{
    int before = ga_set_procs(2);
    help_force(true);
    atomic_store(&stop, false);
    atomic_store(&count, 0);
    for (int i = 0; i < 40; i++) {
        struct pair pair = make_pair();
        ga_go(answer, pair.ends[1]);
        ga_go(keep_asking, pair.ends[0]);
    }
    for (int i = 0; i < 5; i++) {
        ga_sleep(20 * MS);
        ga_go(compute);
        while (atomic_load(&count) <= i)
            ga_sleep(MS);
    }
    atomic_store(&stop, true);
    ga_wait_all();
    help_force(false);
    ga_set_procs(before);
}

/* Coroutines that timers wake together, and that a thread makes, are none of the events that may
 * wait: each waits here until all of them run at once. */
static void meet(void)
{
    ga_sleep(5 * MS);
    atomic_fetch_add(&count, 1);
    while (atomic_load(&count) % 4 != 0) {
    }
}

static void in_a_crowd_timers_wake_all(void **state)
{
    struct pair pair = make_pair();
    int before = ga_set_procs(4);
    help_force(true);
    atomic_store(&count, 0);
    ga_go(answer, pair.ends[1]); /* somebody waits for a descriptor */
    for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < 4; i++)
            ga_go(meet);
        while (atomic_load(&count) < 4 * round)
            ga_sleep(MS);
    }
    ga_close_fd(pair.ends[0]);
    ga_wait_all();
    help_force(false);
    ga_set_procs(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_coroutines_talk_over_a_socket),
        cmocka_unit_test(pipes_and_their_modes_are_left_alone),
        cmocka_unit_test(a_write_goes_out_whole),
        cmocka_unit_test(close_wakes_a_blocked_reader),
        cmocka_unit_test(a_deadline_wakes_a_blocked_reader),
        cmocka_unit_test(a_deadline_may_be_moved_while_somebody_waits),
        cmocka_unit_test(a_number_used_again_is_waited_for_anew),
        cmocka_unit_test(what_a_short_read_left_is_found),
        cmocka_unit_test(the_end_is_seen_after_a_short_read),
        cmocka_unit_test(files_are_read_all_the_same),
        cmocka_unit_test(a_server_serves_many_at_once),
        cmocka_unit_test(a_refused_connection_says_so),
        cmocka_unit_test(poll_waits_for_any),
        cmocka_unit_test(a_thread_may_read_too),
        cmocka_unit_test(a_crowd_is_more_than_the_processors_hold),
        cmocka_unit_test(in_a_crowd_all_are_served),
        cmocka_unit_test(in_a_crowd_timers_wake_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
