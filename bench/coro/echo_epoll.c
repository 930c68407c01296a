// SPDX-License-Identifier: MIT
/*
 * The plain loop that coroutines are measured against: an echo server on epoll, as one writes it by
 * hand. usage: ga_echo_epoll PORT THREADS, each with a listener of its own.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 128, BUFFER = 4096 };

static int port;

static int listen_here(void)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 1024) != 0) {
        perror("ga_echo_epoll");
        exit(1);
    }
    return fd;
}

static void watch(int poller, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void answer(int fd)
{
    char buffer[BUFFER];
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got <= 0 || write(fd, buffer, (size_t)got) != got)
        close(fd);
}

static void *serve(void *unused)
{
    struct epoll_event events[EVENTS];
    int listener = listen_here(), poller = epoll_create1(0);
    watch(poller, listener);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                watch(poller, accept(listener, NULL, NULL));
            else
                answer(events[i].data.fd);
        }
    }
    return unused;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: ga_echo_epoll PORT THREADS\n");
        return 2;
    }
    port = atoi(argv[1]);
    for (int i = 1; i < atoi(argv[2]); i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, serve, NULL);
    }
    serve(NULL);
    return 0;
}
