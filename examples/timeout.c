// SPDX-License-Identifier: MIT
/*
 * A timeout: several are asked, the first answer counts, and whoever has not answered by then, or
 * by the deadline, is told to stop.
 *
 *     cc timeout.c $(pkg-config --cflags --libs goalloc)
 */
#include <stdio.h>

#include <goalloc/chan.h>
#include <goalloc/context.h>
#include <goalloc/coro.h>

#define MILLISECOND INT64_C(1000000)

typedef ga_chan(int) ints;

/* Takes its time, unless it is told to stop. */
static void answer(struct ga_context *context, ints answers, int who, int64_t takes)
{
    struct ga_context *work = ga_context_with_timeout(context, takes);
    (void)ga_recv(ga_context_done(work));
    if (ga_context_err(context) == 0)
        ga_send_ctx(context, answers, who);
    ga_context_release(work);
}

/* Who was first; -1: nobody in time. */
static int ask(int64_t patience, int64_t fastest)
{
    struct ga_context *context = ga_context_with_timeout(NULL, patience);
    ints answers = ga_make(ints);
    for (int i = 0; i < 3; i++)
        ga_go(answer, context, answers, i, fastest + i * 1000 * MILLISECOND);
    int first = -1;
    int error = ga_recv_ctx(context, answers, &first);
    ga_context_cancel(context);
    ga_wait_all();
    printf("first: %d, %s\n", error ? -1 : first, ga_context_cause(context));
    ga_chan_free(answers);
    ga_context_release(context);
    return error ? -1 : first;
}

int main(void)
{
    int patient = ask(10000 * MILLISECOND, 5 * MILLISECOND);
    int hasty = ask(5 * MILLISECOND, 10000 * MILLISECOND);
    return patient == 0 && hasty == -1 ? 0 : 1;
}
