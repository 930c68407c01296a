// SPDX-License-Identifier: MIT
//
// usage: a_leaky_server_stays_flat [SECONDS]
//
// A server that forgets to free: for each request it builds a session of some fifty blocks, keeps
// the last thousand in a table, and drops the one that was there before. With GOALLOC=gc=collect
// its RSS stays as it is; without it grows by what each request leaks. Says both.

#include "collected.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#define TABLE   1000
#define CLIENTS 4
#define RATE    1500 /* requests a second, of all clients */
/* What RSS may do after the first fifth of the time, against the most it was until then. */
#define FLAT_KILOBYTES (8u << 10)

struct field {
    struct field *next;
    size_t size;
    char text[];
};

struct session {
    struct field *fields;
    char *answer;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- The server --- */

static struct session *table[TABLE];

static struct session *make_session(struct random *random, uint32_t number)
{
    struct session *session = malloc(sizeof(*session));
    session->fields = NULL;
    for (unsigned i = 0; i < 50; i++) {
        size_t size = random_size(random, 8);
        struct field *field = malloc(sizeof(*field) + size);
        *field = (struct field){session->fields, size};
        memset(field->text, (int)number & 0x7f, size);
        session->fields = field;
    }
    session->answer = malloc(64);
    snprintf(session->answer, 64, "%u", number);
    return session;
}

/* What the table still has must be whole. */
static void look_at(const struct session *session)
{
    if (!session)
        return;
    char byte = (char)((unsigned)strtoul(session->answer, NULL, 10) & 0x7f);
    for (const struct field *field = session->fields; field; field = field->next)
        expect(field->text[0] == byte && field->text[field->size - 1] == byte,
               "expected a session that is in use to be whole");
}

static void serve_one(int connection, struct random *random)
{
    uint32_t number;
    if (read(connection, &number, sizeof(number)) != sizeof(number))
        return;
    look_at(table[number % TABLE]);
    table[number % TABLE] = make_session(random, number); /* the old one is leaked */
    expect(write(connection, table[number % TABLE]->answer, 64) == 64, "expected to answer");
}

static void serve(int connections[CLIENTS], double end)
{
    struct random random = {11};
    struct pollfd polled[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        polled[i] = (struct pollfd){.fd = connections[i], .events = POLLIN};
    while (now() < end) {
        expect(poll(polled, CLIENTS, 1000) >= 0, "expected poll to succeed");
        for (int i = 0; i < CLIENTS; i++)
            if (polled[i].revents)
                serve_one(connections[i], &random);
    }
}

/* --- Its clients, another process --- */

static void ask(int connection, uint32_t number)
{
    char answer[64];
    if (write(connection, &number, sizeof(number)) != sizeof(number) ||
        read(connection, answer, sizeof(answer)) != sizeof(answer))
        _exit(0); /* the server has ended */
    expect(strtoul(answer, NULL, 10) == number, "expected the answer to %u, not %s", number,
           answer);
}

static void be_clients(struct sockaddr_in *address)
{
    int connections[CLIENTS];
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < CLIENTS; i++) {
        connections[i] = socket(AF_INET, SOCK_STREAM, 0);
        expect(connect(connections[i], (struct sockaddr *)address, sizeof(*address)) == 0,
               "expected to connect");
    }
    double began = now();
    for (uint32_t number = 0;; number++) {
        ask(connections[number % CLIENTS], number);
        while (number > (now() - began) * RATE)
            usleep(1000);
    }
}

static pid_t start_clients(int connections[CLIENTS])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    expect(bind(listener, (struct sockaddr *)&address, length) == 0 &&
               listen(listener, CLIENTS) == 0 &&
               getsockname(listener, (struct sockaddr *)&address, &length) == 0,
           "expected to listen on the loopback");
    pid_t clients = fork();
    if (clients == 0)
        be_clients(&address);
    for (int i = 0; i < CLIENTS; i++)
        connections[i] = accept(listener, NULL, NULL);
    close(listener);
    return clients;
}

/* --- What its memory does --- */

struct watch {
    double end, flat_from;
    size_t first, most_before, most_after;
};

static void *watch_memory(void *argument)
{
    struct watch *watch = argument;
    watch->first = resident_kilobytes();
    while (now() < watch->end) {
        size_t resident = resident_kilobytes();
        size_t *most = now() < watch->flat_from ? &watch->most_before : &watch->most_after;
        *most = resident > *most ? resident : *most;
        usleep(50000);
    }
    return NULL;
}

static void run(double seconds, struct watch *watch)
{
    int connections[CLIENTS];
    pthread_t watcher;
    pid_t clients = start_clients(connections);
    double began = now();
    *watch = (struct watch){.end = began + seconds, .flat_from = began + seconds / 5};
    pthread_create(&watcher, NULL, watch_memory, watch);
    serve(connections, watch->end);
    pthread_join(watcher, NULL);
    kill(clients, SIGKILL);
    waitpid(clients, NULL, 0);
}

int main(int argc, char **argv)
{
    struct watch watch;
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;
    const char *options = getenv("GOALLOC");
    bool collects = options && strstr(options, "gc=collect");
    promise_begin((unsigned)seconds + 60);
    run(seconds, &watch);
    printf("%s: %.0f s; RSS %zu KB at first, at most %zu KB in the first fifth, %zu KB later\n",
           collects ? "collect" : "off", seconds, watch.first, watch.most_before, watch.most_after);
    if (!collects) {
        expect(watch.most_after > watch.most_before * 2, "expected a leaky server to grow");
        return 0;
    }
    expect(watch.most_after <= watch.most_before + FLAT_KILOBYTES,
           "expected RSS to stay at %zu KB, it came to %zu KB", watch.most_before,
           watch.most_after);
    fflush(stdout);
    setenv("GOALLOC", "gc=off", 1);
    execl("/proc/self/exe", argv[0], argv[1], (char *)NULL);
    return 1;
}
