// SPDX-License-Identifier: MIT
/*
 * The prime sieve: a chain of coroutines, each of which lets through what its prime doesn't divide.
 *
 *     cc prime_sieve.c $(pkg-config --cflags --libs goalloc) && ./a.out 25
 */
#include <stdio.h>
#include <stdlib.h>

#include <goalloc/chan.h>
#include <goalloc/context.h>
#include <goalloc/coro.h>

enum { MOST = 10000 };

typedef ga_chan(int) ints;

/* Whoever sends stops when the context ends, and closes; whoever receives stops at the close. */
static void count_upward(struct ga_context *context, ints out)
{
    for (int i = 2; ga_send_ctx(context, out, i) == 0; i++)
        ;
    ga_close(out);
}

static void drop_multiples(struct ga_context *context, ints in, ints out, int prime)
{
    ga_range (n, in)
        if (n % prime != 0 && ga_send_ctx(context, out, n) != 0)
            break;
    ga_close(out);
}

static void print_primes(long count)
{
    struct ga_context *context = ga_context_with_cancel(NULL);
    ints *chain = malloc((size_t)(count + 1) * sizeof(*chain));
    if (!chain)
        abort();
    chain[0] = ga_make(ints, 16);
    ga_go(count_upward, context, chain[0]);
    for (long i = 0; i < count; i++) {
        int prime = ga_recv(chain[i]);
        printf("%d\n", prime);
        chain[i + 1] = ga_make(ints, 16);
        ga_go(drop_multiples, context, chain[i], chain[i + 1], prime);
    }
    ga_context_cancel(context);
    ga_wait_all();
    for (long i = 0; i <= count; i++)
        ga_chan_free(chain[i]);
    free(chain);
    ga_context_release(context);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    long count = argc > 1 ? strtol(argv[1], &end, 10) : 10;
    if (argc > 2 || (end && (*end || end == argv[1])) || count < 1 || count > MOST) {
        fprintf(stderr, "usage: prime_sieve [how many, up to %d]\n", MOST);
        return 2;
    }
    print_primes(count);
    return 0;
}
