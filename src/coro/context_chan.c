// SPDX-License-Identifier: MIT
/*
 * context_chan.c: sending and receiving until a context ends.
 *
 * Place: called by programs through goalloc/chan.h. Calls chan.c, select.c and context.c.
 *
 * Invariants: a context that has ended goes before a channel that is ready; of a wait for both,
 * either may be found first.
 * Locking: none of its own.
 */
#include <errno.h>

#include "chan.h"
#include "context.h"

GA_EXPORT int ga_chan_send_ctx(struct ga_context *context, struct ga_channel *channel,
                               const void *element)
{
    int error = context_error(context);
    if (error || ga_chan_try_send(channel, element))
        return error;
    const struct ga_case cases[] = {
        {(struct ga_channel *)ga_context_done(context), NULL, NULL, GA_CASE_RECV},
        {channel, (void *)(uintptr_t)element, NULL, GA_CASE_SEND}};
    return ga_select_cases(cases, 2) == 0 ? context_error(context) : 0;
}

GA_EXPORT int ga_chan_recv_ctx(struct ga_context *context, struct ga_channel *channel,
                               void *element)
{
    bool open = true;
    int error = context_error(context);
    int received = error ? 0 : ga_chan_try_recv(channel, element);
    if (error || received > 0)
        return error;
    if (received < 0)
        return EPIPE;
    const struct ga_case cases[] = {
        {(struct ga_channel *)ga_context_done(context), NULL, NULL, GA_CASE_RECV},
        {channel, element, &open, GA_CASE_RECV}};
    if (ga_select_cases(cases, 2) == 0)
        return context_error(context);
    return open ? 0 : EPIPE;
}
