// SPDX-License-Identifier: MIT
/*
 * A crawler with a bounded number of workers: they follow the links of a small web, each page once,
 * until there is no other page, or so many have been seen. The web is served by coroutines of the
 * same program, on the loopback interface.
 *
 *     cc crawler.c $(pkg-config --cflags --libs goalloc) && ./a.out 50
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <goalloc/chan.h>
#include <goalloc/context.h>
#include <goalloc/coro.h>
#include <goalloc/io.h>

enum { PAGES = 200, WORKERS = 8 };

typedef ga_chan(int) pages;

/* --- The web: page n links to 2n + 1, 2n + 2 and back --- */

static void answer(int connection)
{
    char text[256];
    int page = -1, size;
    ssize_t got = ga_read(connection, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    if (sscanf(text, "GET /%d", &page) == 1 && page >= 0 && page < PAGES)
        size = snprintf(text, sizeof(text), "HTTP/1.0 200 OK\r\n\r\n/%d /%d /%d\n", 2 * page + 1,
                        2 * page + 2, (page - 1) / 2);
    else
        size = snprintf(text, sizeof(text), "HTTP/1.0 404 Not Found\r\n\r\n");
    if (ga_write(connection, text, (size_t)size) != size)
        perror("answering");
    ga_close_fd(connection);
}

/* Until somebody closes the listener. */
static void serve(int listener)
{
    for (int connection; (connection = ga_accept(listener, NULL, NULL)) >= 0;)
        if (ga_go(answer, connection) != 0)
            ga_close_fd(connection);
}

/* --- The crawler --- */

struct crawl {
    struct ga_context *context;
    struct sockaddr_in server;
    pages frontier; /* found, and not yet read; has room for all */
    atomic_bool found[PAGES];
    atomic_int unread; /* in the frontier, or in a worker's hands */
    atomic_int read, failed;
    int limit;
};

static void add_page(struct crawl *crawl, int page)
{
    if (page < 0 || page >= PAGES || atomic_exchange(&crawl->found[page], true))
        return;
    atomic_fetch_add(&crawl->unread, 1);
    ga_send(crawl->frontier, page);
}

/* The whole answer, as a string. false: it failed; errno says how. */
static bool fetch(const struct crawl *crawl, int page, char *text, size_t size)
{
    char request[64];
    int length = snprintf(request, sizeof(request), "GET /%d HTTP/1.0\r\n\r\n", page);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return false;
    ga_set_deadline(fd, ga_now() + 5 * INT64_C(1000000000));
    ssize_t got = -1;
    size_t filled = 0;
    if (ga_connect(fd, (const struct sockaddr *)&crawl->server, sizeof(crawl->server)) == 0 &&
        ga_write(fd, request, (size_t)length) == length)
        while ((got = ga_read(fd, text + filled, size - 1 - filled)) > 0)
            filled += (size_t)got;
    text[filled] = '\0';
    ga_close_fd(fd);
    return got == 0;
}

static void follow_links(struct crawl *crawl, const char *text)
{
    for (const char *link = strstr(text, "\r\n\r\n"); link && (link = strchr(link, '/')); link++)
        add_page(crawl, atoi(link + 1));
}

static void read_page(struct crawl *crawl, int page)
{
    char text[1024];
    if (!fetch(crawl, page, text, sizeof(text)))
        atomic_fetch_add(&crawl->failed, 1);
    else if (atomic_fetch_add(&crawl->read, 1) < crawl->limit)
        follow_links(crawl, text);
    if (atomic_load(&crawl->read) >= crawl->limit)
        ga_context_cancel(crawl->context);
    if (atomic_fetch_sub(&crawl->unread, 1) == 1)
        ga_close(crawl->frontier); /* nobody can find another */
}

static void work(ga_scope *scope, struct crawl *crawl)
{
    (void)scope;
    int page;
    while (ga_recv_ctx(crawl->context, crawl->frontier, &page) == 0)
        read_page(crawl, page);
}

static int listen_anywhere(struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, size) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) != 0) {
        perror("crawler");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    static struct crawl crawl;
    char *end = NULL;
    long limit = argc > 1 ? strtol(argv[1], &end, 10) : PAGES;
    if (argc > 2 || (end && (*end || end == argv[1])) || limit < 1 || limit > PAGES) {
        fprintf(stderr, "usage: crawler [how many pages at most, up to %d]\n", PAGES);
        return 2;
    }
    int listener = listen_anywhere(&crawl.server);
    ga_go(serve, listener);
    crawl.context = ga_context_with_timeout(NULL, 30 * INT64_C(1000000000));
    crawl.frontier = ga_make(pages, PAGES);
    crawl.limit = (int)limit;
    add_page(&crawl, 0);
    ga_scope *workers = ga_scope_new();
    for (int i = 0; i < WORKERS; i++)
        ga_scope_go(workers, work, workers, &crawl);
    ga_scope_end(workers); /* waits for them */
    int read = atomic_load(&crawl.read), failed = atomic_load(&crawl.failed);
    bool late = ga_context_err(crawl.context) == ETIMEDOUT;
    printf("%d pages read, %d failed%s\n", read < crawl.limit ? read : crawl.limit, failed,
           late ? ", out of time" : "");
    ga_close_fd(listener);
    ga_wait_all();
    ga_chan_free(crawl.frontier);
    ga_context_release(crawl.context);
    return failed || late ? 1 : 0;
}
