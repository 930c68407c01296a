// SPDX-License-Identifier: MIT
/* For ThreadSanitizer: plain memory that is handed on through a channel, a mutex, a wait group and
 * a closed channel, between a coroutine and a thread. With an argument one write comes after the
 * send, which is a race. */
#include <pthread.h>

#include <goalloc/chan.h>
#include <goalloc/coro.h>
#include <goalloc/sync.h>

typedef ga_chan(int *) pointers;

static struct {
    pointers c, done;
    ga_mutex_t mutex;
    ga_waitgroup_t group;
    int guarded, closed, counted;
    bool race;
} shared;

static void give(int *number)
{
    for (int i = 0; i < 100; i++) {
        *number = i;
        ga_send(shared.c, number);
        if (shared.race)
            *number = -i;
        (void)ga_recv(shared.done);
    }
    ga_mutex_lock(&shared.mutex);
    shared.guarded++;
    ga_mutex_unlock(&shared.mutex);
    shared.counted = 1;
    ga_waitgroup_done(&shared.group);
    shared.closed = 1;
    ga_close(shared.c);
}

static void *take(void *unused)
{
    (void)unused;
    int sum = 0;
    ga_range (number, shared.c) {
        sum += *number;
        *number = 0;
        ga_send(shared.done, number);
    }
    sum += shared.closed;
    ga_mutex_lock(&shared.mutex);
    shared.guarded += sum;
    ga_mutex_unlock(&shared.mutex);
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argv;
    int number = 0;
    shared.race = argc > 1;
    shared.c = ga_make(pointers, 1);
    shared.done = ga_make(pointers);
    pthread_t taker;
    ga_waitgroup_add(&shared.group, 1);
    ga_go(give, &number);
    if (pthread_create(&taker, NULL, take, NULL) != 0)
        return 1;
    ga_waitgroup_wait(&shared.group);
    int counted = shared.counted;
    ga_wait_all();
    pthread_join(taker, NULL);
    return counted == 1 ? 0 : 1;
}
