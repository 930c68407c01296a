// SPDX-License-Identifier: MIT
/*
 * Publish and subscribe: one coroutine owns the list of subscribers, so that it needs no lock, and
 * selects between requests to subscribe and messages to pass on.
 *
 *     cc pubsub.c $(pkg-config --cflags --libs goalloc)
 */
#include <stdio.h>

#include <goalloc/chan.h>
#include <goalloc/coro.h>
#include <goalloc/sync.h>

enum { SUBSCRIBERS = 3, MESSAGES = 5 };

typedef ga_chan(const char *) texts;
typedef ga_chan(texts) subscriptions;

struct hub {
    subscriptions subscribe;
    texts publish;
};

static void run_hub(struct hub *hub)
{
    texts subscribers[SUBSCRIBERS], subscriber;
    const char *message;
    int count = 0;
    bool open = true;
    while (open) {
        switch (ga_select(GA_RECV(hub->subscribe, &subscriber),
                          GA_RECV_OK(hub->publish, &message, &open))) {
        case 0:
            subscribers[count++] = subscriber;
            break;
        case 1:
            for (int i = 0; open && i < count; i++)
                ga_send(subscribers[i], message);
        }
    }
    for (int i = 0; i < count; i++)
        ga_close(subscribers[i]);
}

struct subscriber {
    texts inbox;
    int heard;
    ga_waitgroup_t *all;
};

static void listen(struct subscriber *this)
{
    ga_range (message, this->inbox)
        this->heard += message != NULL;
    ga_waitgroup_done(this->all);
}

int main(void)
{
    static const char *const news[MESSAGES] = {"one", "two", "three", "four", "five"};
    struct hub hub = {ga_make(subscriptions), ga_make(texts)};
    ga_waitgroup_t all = GA_WAITGROUP_INIT;
    struct subscriber subscribers[SUBSCRIBERS];
    ga_go(run_hub, &hub);
    ga_waitgroup_add(&all, SUBSCRIBERS);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        subscribers[i] = (struct subscriber){ga_make(texts, 2), 0, &all};
        ga_go(listen, &subscribers[i]);
        ga_send(hub.subscribe, subscribers[i].inbox);
    }
    for (int i = 0; i < MESSAGES; i++)
        ga_send(hub.publish, news[i]);
    ga_close(hub.publish);
    ga_waitgroup_wait(&all);
    ga_wait_all();
    int heard = 0;
    for (int i = 0; i < SUBSCRIBERS; i++) {
        heard += subscribers[i].heard;
        ga_chan_free(subscribers[i].inbox);
    }
    printf("%d subscribers heard %d messages\n", SUBSCRIBERS, heard);
    ga_chan_free(hub.subscribe);
    ga_chan_free(hub.publish);
    return heard == SUBSCRIBERS * MESSAGES ? 0 : 1;
}
