// SPDX-License-Identifier: MIT
//
// ga_memload: sets and gets for a memcached on this machine, as fast as it takes them.
//
//     ga_memload PORT CONNECTIONS REQUESTS
//
// Place: the harness runs it beside the server. One thread; on each connection a batch of requests
// is sent before its answers are read, so that the server is the one that works. Three of ten
// requests set a value of 16 to 2000 bytes, the others get one; keys are drawn from 100,000. Prints
// the seconds it took.

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "workload.h"

enum {
    BATCH = 50,
    KEYS = 100000,
    LARGEST = 2000,
    SMALLEST = 16,
    SET_OF_10 = 3,
    LONGEST = LARGEST + 64, // a request
};

struct connection {
    int fd;
    bool line_begins; // the next byte answered is a line's first
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int connect_to(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("ga_memload: connect");
    return fd;
}

static size_t request(struct rng *r, char *out)
{
    static char value[LARGEST];
    uint32_t key = rng_below(r, KEYS);
    if (rng_below(r, 10) >= SET_OF_10)
        return (size_t)sprintf(out, "get key:%u\r\n", key);
    uint32_t size = SMALLEST + rng_below(r, rng_below(r, 8) ? 200 : LARGEST - SMALLEST);
    if (!value[0])
        memset(value, 'x', sizeof value);
    size_t n = (size_t)sprintf(out, "set key:%u 0 0 %u\r\n", key, size);
    memcpy(out + n, value, size);
    memcpy(out + n + size, "\r\n", 2);
    return n + size + 2;
}

static void send_batch(struct connection *c, struct rng *r)
{
    static char text[BATCH * LONGEST];
    size_t used = 0;
    for (unsigned i = 0; i < BATCH; i++)
        used += request(r, text + used);
    for (size_t sent = 0; sent < used;) {
        ssize_t n = send(c->fd, text + sent, used - sent, MSG_NOSIGNAL);
        if (n <= 0)
            die("ga_memload: send");
        sent += (size_t)n;
    }
}

// Every answer ends with a line STORED or END; values hold no line that begins so.
static void read_answers(struct connection *c)
{
    static char text[1 << 16];
    unsigned answers = 0;
    while (answers < BATCH) {
        ssize_t n = recv(c->fd, text, sizeof text, 0);
        if (n <= 0)
            die("ga_memload: recv");
        for (ssize_t i = 0; i < n; i++) {
            if (c->line_begins && (text[i] == 'S' || text[i] == 'E'))
                answers++;
            c->line_begins = text[i] == '\n';
        }
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: ga_memload PORT CONNECTIONS REQUESTS\n", stderr);
        return 2;
    }
    size_t connections = strtoul(argv[2], NULL, 10);
    unsigned long requests = strtoul(argv[3], NULL, 10);
    struct connection *c = calloc(connections, sizeof *c);
    struct rng r = rng_seed(90);
    if (!c || connections == 0)
        die("ga_memload: connections");
    for (size_t i = 0; i < connections; i++)
        c[i] = (struct connection){.fd = connect_to(atoi(argv[1])), .line_begins = true};
    double start = now();
    for (unsigned long done = 0; done < requests;) {
        for (size_t i = 0; i < connections; i++)
            send_batch(&c[i], &r);
        for (size_t i = 0; i < connections; i++)
            read_answers(&c[i]);
        done += BATCH * connections;
    }
    printf("%.6f\n", now() - start);
    for (size_t i = 0; i < connections; i++)
        close(c[i].fd);
    free(c);
    return 0;
}
