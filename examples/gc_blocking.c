// SPDX-License-Identifier: MIT
//
// A thread that waits for long isn't disturbed by the collector.
//
//   cc gc_blocking.c $(pkg-config --cflags --libs goalloc) -o gc_blocking && ./gc_blocking

#include <goalloc/gc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct message {
    int from;
    char *text;
    ssize_t length;
};

/* Reads bytes into a block that the caller holds: nothing is allocated, no pointer moves. */
static void *receive(void *argument)
{
    struct message *message = argument;
    message->length = read(message->from, message->text, 63);
    return NULL;
}

static void *listen_for(void *from)
{
    struct message message = {*(int *)from, ga_gc_malloc(64), 0};
    if (message.text)
        ga_gc_blocking(receive, &message);
    printf("%s\n", message.text && message.length > 0 ? message.text : "nothing");
    return NULL;
}

int main(void)
{
    int ends[2];
    pthread_t listener;
    if (ga_gc_enable() != 0 || pipe(ends) != 0 ||
        pthread_create(&listener, NULL, listen_for, &ends[0]) != 0)
        return 1;
    for (int i = 0; i < 1000000; i++)
        if (ga_gc_malloc(100) == NULL)
            return 1;
    if (ga_gc_collect() != 0 || write(ends[1], "undisturbed", 11) != 11)
        return 1;
    return pthread_join(listener, NULL);
}
