// SPDX-License-Identifier: MIT
/*
 * What channels, select, mutexes and contexts cost: the rows of bench/go/channels, by the same
 * names.
 *
 *     GOMAXPROCS=1 ga_channels [PATTERN]      # rows whose name contains it
 *
 * Each row is the median of several bursts, in nanoseconds of elapsed time an operation.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <goalloc/chan.h>
#include <goalloc/context.h>
#include <goalloc/coro.h>
#include <goalloc/sync.h>

enum { BURSTS = 9, MANY = 200000 };

typedef ga_chan(long) longs;

struct pair {
    longs a, b;
    longs done;
    long count;
};

static void done(const struct pair *pair)
{
    ga_send(pair->done, 1);
}

/* --- Ping-pong: a round trip over two unbuffered channels --- */

static void pong(struct pair *pair)
{
    for (long i = 0; i < pair->count; i++)
        ga_send(pair->b, ga_recv(pair->a));
    done(pair);
}

static void ping_pong(long count)
{
    struct pair pair = {ga_make(longs), ga_make(longs), ga_make(longs), count};
    ga_go(pong, &pair);
    for (long i = 0; i < count; i++) {
        ga_send(pair.a, i);
        ga_recv(pair.b);
    }
    ga_recv(pair.done);
    ga_chan_free(pair.a);
    ga_chan_free(pair.b);
    ga_chan_free(pair.done);
}

/* --- One or four producers and consumers --- */

static void produce(struct pair *pair)
{
    for (long i = 0; i < pair->count; i++)
        ga_send(pair->a, i);
    done(pair);
}

static void consume(struct pair *pair)
{
    for (long i = 0; i < pair->count; i++)
        ga_recv(pair->a);
    done(pair);
}

static void stream(long count, int capacity, int each)
{
    struct pair pair = {ga_make(longs, capacity), NULL, ga_make(longs, 8), count / each};
    for (int i = 0; i < each; i++) {
        ga_go(produce, &pair);
        ga_go(consume, &pair);
    }
    for (int i = 0; i < 2 * each; i++)
        ga_recv(pair.done);
    ga_chan_free(pair.a);
    ga_chan_free(pair.done);
}

static void stream_0(long count)
{
    stream(count, 0, 1);
}

static void stream_1(long count)
{
    stream(count, 1, 1);
}

static void stream_128(long count)
{
    stream(count, 128, 1);
}

static void stream_1024(long count)
{
    stream(count, 1024, 1);
}

static void crowd_0(long count)
{
    stream(count, 0, 4);
}

static void crowd_128(long count)
{
    stream(count, 128, 4);
}

static void by_oneself(long count)
{
    longs c = ga_make(longs, 1);
    for (long i = 0; i < count; i++) {
        ga_send(c, i);
        ga_recv(c);
    }
    ga_chan_free(c);
}

/* --- Select --- */

static void select_ready_2(long count)
{
    longs a = ga_make(longs, 1), b = ga_make(longs, 1);
    long v;
    ga_send(a, 1);
    ga_send(b, 1);
    for (long i = 0; i < count; i++) {
        if (ga_select(GA_RECV(a, &v), GA_RECV(b, &v)) == 0)
            ga_send(a, 1);
        else
            ga_send(b, 1);
    }
    ga_chan_free(a);
    ga_chan_free(b);
}

static void select_ready_8(long count)
{
    longs c[8];
    long v;
    for (int i = 0; i < 8; i++) {
        c[i] = ga_make(longs, 1);
        ga_send(c[i], 1);
    }
    for (long i = 0; i < count; i++) {
        int which =
            ga_select(GA_RECV(c[0], &v), GA_RECV(c[1], &v), GA_RECV(c[2], &v), GA_RECV(c[3], &v),
                      GA_RECV(c[4], &v), GA_RECV(c[5], &v), GA_RECV(c[6], &v), GA_RECV(c[7], &v));
        ga_send(c[which], 1);
    }
    for (int i = 0; i < 8; i++)
        ga_chan_free(c[i]);
}

static void select_blocking_2(long count)
{
    struct pair pair = {ga_make(longs), ga_make(longs), ga_make(longs, 1), count};
    long v;
    ga_go(produce, &pair);
    for (long i = 0; i < count; i++)
        ga_select(GA_RECV(pair.a, &v), GA_RECV(pair.b, &v));
    ga_recv(pair.done);
    ga_chan_free(pair.a);
    ga_chan_free(pair.b);
    ga_chan_free(pair.done);
}

static void select_blocking_8(long count)
{
    longs c[8];
    long v;
    for (int i = 0; i < 8; i++)
        c[i] = ga_make(longs);
    struct pair pair = {c[3], NULL, ga_make(longs, 1), count};
    ga_go(produce, &pair);
    for (long i = 0; i < count; i++)
        ga_select(GA_RECV(c[0], &v), GA_RECV(c[1], &v), GA_RECV(c[2], &v), GA_RECV(c[3], &v),
                  GA_RECV(c[4], &v), GA_RECV(c[5], &v), GA_RECV(c[6], &v), GA_RECV(c[7], &v));
    ga_recv(pair.done);
    for (int i = 0; i < 8; i++)
        ga_chan_free(c[i]);
    ga_chan_free(pair.done);
}

/* --- Locks --- */

static ga_mutex_t mutex;
static ga_rwmutex_t rwmutex;

static void lock_alone(long count)
{
    for (long i = 0; i < count; i++) {
        ga_mutex_lock(&mutex);
        ga_mutex_unlock(&mutex);
    }
}

static void lock_with_others(struct pair *pair)
{
    lock_alone(pair->count);
    done(pair);
}

static void lock_contended(long count)
{
    struct pair pair = {NULL, NULL, ga_make(longs, 4), count / 4};
    for (int i = 0; i < 4; i++)
        ga_go(lock_with_others, &pair);
    for (int i = 0; i < 4; i++)
        ga_recv(pair.done);
    ga_chan_free(pair.done);
}

static void read_alone(long count)
{
    for (long i = 0; i < count; i++) {
        ga_rwmutex_rlock(&rwmutex);
        ga_rwmutex_runlock(&rwmutex);
    }
}

static void wait_group(long count)
{
    ga_waitgroup_t group = GA_WAITGROUP_INIT;
    for (long i = 0; i < count; i++) {
        ga_waitgroup_add(&group, 1);
        ga_waitgroup_done(&group);
        ga_waitgroup_wait(&group);
    }
}

static void nothing(void *unused)
{
    (void)unused;
}

static void once(long count)
{
    static ga_once_t done_once;
    for (long i = 0; i < count; i++)
        ga_once_do(&done_once, nothing, NULL);
}

/* --- Contexts --- */

static void with_cancel(long count)
{
    for (long i = 0; i < count; i++) {
        struct ga_context *context = ga_context_with_cancel(NULL);
        ga_context_cancel(context);
        ga_context_release(context);
    }
}

static void with_child(long count)
{
    struct ga_context *parent = ga_context_with_cancel(NULL);
    for (long i = 0; i < count; i++) {
        struct ga_context *context = ga_context_with_cancel(parent);
        ga_context_cancel(context);
        ga_context_release(context);
    }
    ga_context_release(parent);
}

static void with_timeout(long count)
{
    for (long i = 0; i < count; i++) {
        struct ga_context *context = ga_context_with_timeout(NULL, INT64_C(3600000000000));
        ga_context_cancel(context);
        ga_context_release(context);
    }
}

/* --- A channel between threads, and what it is compared with --- */

static void *produce_as_thread(void *pair)
{
    produce(pair);
    return NULL;
}

static void *consume_as_thread(void *pair)
{
    consume(pair);
    return NULL;
}

static void between_threads(long count)
{
    struct pair pair = {ga_make(longs, 128), NULL, ga_make(longs, 2), count};
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, produce_as_thread, &pair);
    pthread_create(&threads[1], NULL, consume_as_thread, &pair);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    ga_chan_free(pair.a);
    ga_chan_free(pair.done);
}

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t not_full, not_empty;
    long slots[128];
    unsigned count, first;
} ring = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .not_full = PTHREAD_COND_INITIALIZER,
          .not_empty = PTHREAD_COND_INITIALIZER};

static void *ring_produce(void *count)
{
    for (long i = 0; i < *(long *)count; i++) {
        pthread_mutex_lock(&ring.mutex);
        while (ring.count == 128)
            pthread_cond_wait(&ring.not_full, &ring.mutex);
        ring.slots[(ring.first + ring.count++) % 128] = i;
        pthread_mutex_unlock(&ring.mutex);
        pthread_cond_signal(&ring.not_empty);
    }
    return NULL;
}

static void *ring_consume(void *count)
{
    for (long i = 0; i < *(long *)count; i++) {
        pthread_mutex_lock(&ring.mutex);
        while (ring.count == 0)
            pthread_cond_wait(&ring.not_empty, &ring.mutex);
        ring.first = (ring.first + 1) % 128;
        ring.count--;
        pthread_mutex_unlock(&ring.mutex);
        pthread_cond_signal(&ring.not_full);
    }
    return NULL;
}

static void ring_between_threads(long count)
{
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, ring_produce, &count);
    pthread_create(&threads[1], NULL, ring_consume, &count);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}

/* --- Measuring --- */

static const struct {
    const char *name;
    void (*run)(long count);
    long count;
} rows[] = {
    {"chan/round_trip", ping_pong, MANY},
    {"chan/alone", by_oneself, MANY},
    {"chan/1to1/0", stream_0, MANY},
    {"chan/1to1/1", stream_1, MANY},
    {"chan/1to1/128", stream_128, MANY},
    {"chan/1to1/1024", stream_1024, MANY},
    {"chan/4to4/0", crowd_0, MANY},
    {"chan/4to4/128", crowd_128, MANY},
    {"select/ready/2", select_ready_2, MANY},
    {"select/ready/8", select_ready_8, MANY},
    {"select/blocking/2", select_blocking_2, MANY},
    {"select/blocking/8", select_blocking_8, MANY},
    {"mutex/alone", lock_alone, MANY},
    {"mutex/4", lock_contended, MANY},
    {"rwmutex/read", read_alone, MANY},
    {"waitgroup", wait_group, MANY},
    {"once", once, MANY},
    {"context/cancel", with_cancel, MANY},
    {"context/child", with_child, MANY},
    {"context/timeout", with_timeout, MANY},
    {"threads/chan/128", between_threads, MANY},
    {"threads/pthread/128", ring_between_threads, MANY},
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median_of_bursts(void (*run)(long), long count)
{
    double each[BURSTS];
    for (int i = 0; i < BURSTS; i++) {
        double start = now();
        run(count);
        each[i] = (now() - start) / (double)count;
    }
    qsort(each, BURSTS, sizeof(*each), by_value);
    return each[BURSTS / 2];
}

static void run_rows(const char *pattern)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (pattern && !strstr(rows[i].name, pattern))
            continue;
        printf("%-22s %.1f\n", rows[i].name, median_of_bursts(rows[i].run, rows[i].count));
        fflush(stdout);
    }
}

/* Not in main, which keeps to its thread. */
int main(int argc, char **argv)
{
    ga_go(run_rows, argc > 1 ? argv[1] : NULL);
    ga_wait_all();
    return 0;
}
