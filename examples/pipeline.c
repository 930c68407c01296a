// SPDX-License-Identifier: MIT
/*
 * A pipeline: numbers are made, squared by several workers, and added up. Each stage ends when the
 * one before it closes its channel.
 *
 *     cc pipeline.c $(pkg-config --cflags --libs goalloc)
 */
#include <stdio.h>

#include <goalloc/chan.h>
#include <goalloc/coro.h>
#include <goalloc/sync.h>

enum { NUMBERS = 1000, WORKERS = 4 };

typedef ga_chan(long) longs;

static void make_numbers(longs out)
{
    for (long i = 1; i <= NUMBERS; i++)
        ga_send(out, i);
    ga_close(out);
}

static void square(longs in, longs out, ga_waitgroup_t *workers)
{
    ga_range (n, in)
        ga_send(out, n * n);
    ga_waitgroup_done(workers);
}

static void close_when_done(longs out, ga_waitgroup_t *workers)
{
    ga_waitgroup_wait(workers);
    ga_close(out);
}

int main(void)
{
    longs numbers = ga_make(longs, 16), squares = ga_make(longs, 16);
    ga_waitgroup_t workers = GA_WAITGROUP_INIT;
    ga_go(make_numbers, numbers);
    ga_waitgroup_add(&workers, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        ga_go(square, numbers, squares, &workers);
    ga_go(close_when_done, squares, &workers);
    long sum = 0;
    ga_range (n, squares)
        sum += n;
    printf("the squares of 1 to %d add up to %ld\n", NUMBERS, sum);
    ga_wait_all(); /* close_when_done may still be in ga_close */
    ga_chan_free(numbers);
    ga_chan_free(squares);
    return sum == 333833500 ? 0 : 1;
}
