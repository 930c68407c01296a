// SPDX-License-Identifier: MIT
/*
 * The load of the echo rows: so many connections, each of which sends 64 bytes, waits for them to
 * come back, and sends them again. usage: ga_echo_load PORT CONNECTIONS SECONDS; prints answers a
 * second. On one thread, so that the server has the other processor.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, SIZE = 64, TRIES = 500 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The server may just be starting. */
static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < TRIES; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        close(fd);
        usleep(10000);
    }
    perror("ga_echo_load: connect");
    exit(1);
}

static void send_one(int fd)
{
    static const char text[SIZE] = "ping";
    if (write(fd, text, SIZE) != SIZE) {
        perror("ga_echo_load: write");
        exit(1);
    }
}

static void receive_one(int fd)
{
    char text[SIZE];
    for (size_t filled = 0; filled < SIZE;) {
        ssize_t got = read(fd, text + filled, SIZE - filled);
        if (got <= 0) {
            fprintf(stderr, "ga_echo_load: the server closed a connection\n");
            exit(1);
        }
        filled += (size_t)got;
    }
}

static long serve_until(int poller, double end)
{
    struct epoll_event events[EVENTS];
    long answers = 0;
    while (now() < end) {
        int count = epoll_wait(poller, events, EVENTS, 100);
        for (int i = 0; i < count; i++, answers++) {
            receive_one(events[i].data.fd);
            send_one(events[i].data.fd);
        }
    }
    return answers;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: ga_echo_load PORT CONNECTIONS SECONDS\n");
        return 2;
    }
    int poller = epoll_create1(0);
    for (int i = 0; i < atoi(argv[2]); i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = connect_to(atoi(argv[1]))};
        epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
        send_one(event.data.fd);
    }
    serve_until(poller, now() + 0.3);
    double seconds = atof(argv[3]), start = now();
    long answers = serve_until(poller, start + seconds);
    printf("%.0f\n", (double)answers / (now() - start));
    return 0;
}
