// SPDX-License-Identifier: MIT
/*
 * migrant.c: coroutines that allocate, free and look at errno while each switch changes their
 * thread. Compiled in several ways by ../coroutines_may_change_threads.sh.
 */
#include <goalloc/coro.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mcache/mcache.h"

#define COROUTINES 40
#define ROUNDS     400
#define HELD       8

static atomic_long wrong, moves;

struct held {
    unsigned char *at;
    size_t size;
};

static void check(struct held held, unsigned char mark)
{
    for (size_t i = 0; held.at && i < held.size; i++)
        if (held.at[i] != mark) {
            atomic_fetch_add(&wrong, 1);
            return;
        }
}

/* In a function that knows nothing of its caller: asked for anew. */
__attribute__((noipa)) static struct mcache *cache_of_this_thread(void)
{
    return mcache_self();
}

/* As malloc's and free's fast paths have it, before and after a switch in one function. */
__attribute__((noinline)) static void compare_caches(void)
{
    struct mcache_words *volatile before = mcache_words_self(0);
    ga_yield();
    struct mcache_words *volatile after = mcache_words_self(0);
    (void)before;
    if ((void *)after != cache_of_this_thread())
        atomic_fetch_add(&wrong, 1);
}

static void migrate(int self)
{
    struct held held[HELD] = {{NULL, 0}};
    unsigned char mark = (unsigned char)(self + 1);
    unsigned random = (unsigned)self * 2654435761u + 1;
    long thread = syscall(SYS_gettid);
    for (int i = 0; i < ROUNDS; i++) {
        struct held *slot = &held[i % HELD];
        random = random * 1664525u + 1013904223u;
        check(*slot, mark);
        free(slot->at);
        slot->size = 16 + random % 1000;
        slot->at = malloc(slot->size);
        memset(slot->at, mark, slot->size);
        errno = self;
        compare_caches();
        if (errno != self)
            atomic_fetch_add(&wrong, 1);
        long now = syscall(SYS_gettid);
        atomic_fetch_add(&moves, now != thread);
        thread = now;
    }
    for (int i = 0; i < HELD; i++) {
        check(held[i], mark);
        free(held[i].at);
    }
}

int main(void)
{
    for (int i = 0; i < COROUTINES; i++)
        ga_go(migrate, i);
    ga_wait_all();
    printf("%ld moves, %ld wrong\n", atomic_load(&moves), atomic_load(&wrong));
    if (atomic_load(&moves) < COROUTINES * ROUNDS / 4)
        return 3;
    return atomic_load(&wrong) != 0;
}
