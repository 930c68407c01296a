// SPDX-License-Identifier: MIT
/* echo.c: gives back what it gets, one coroutine a connection. usage: echo [port] */
#include <goalloc/coro.h>
#include <goalloc/io.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static void serve(int connection)
{
    char buffer[4096];
    ssize_t got;
    while ((got = ga_read(connection, buffer, sizeof(buffer))) > 0)
        if (ga_write(connection, buffer, (size_t)got) != got)
            break;
    ga_close_fd(connection);
}

int main(int argc, char **argv)
{
    int one = 1, port = argc > 1 ? atoi(argv[1]) : 7777, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 512)) {
        perror("echo");
        return 1;
    }
    for (int connection; (connection = ga_accept(listener, NULL, NULL)) >= 0;)
        if (ga_go(serve, connection) != 0)
            ga_close_fd(connection);
    perror("accept");
    return 1;
}
