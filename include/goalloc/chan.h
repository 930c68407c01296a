// SPDX-License-Identifier: MIT
/*
 * goalloc/chan.h: typed channels and select, with the meaning they have in Go.
 *
 *     typedef ga_chan(int) ints;
 *
 *     ints c = ga_make(ints, 8);             // room for 8; ga_make(ints) is unbuffered
 *     ga_send(c, 42);                        // waits while the buffer is full
 *     int v = ga_recv(c);                    // waits while it is empty; 0 once closed and empty
 *     if (ga_recv_ok(c, &v)) ...             // false once closed and empty
 *     ga_range(v, c) { ... }                 // until closed and empty
 *     ga_close(c);
 *     ga_chan_free(c);                       // when nobody uses it any more
 *
 *     switch (ga_select(GA_RECV(a, &x), GA_SEND(b, y), GA_DEFAULT)) {
 *     case 0: ...                            // x was received
 *     case 1: ...                            // y was sent
 *     case 2: ...                            // neither could be done at once
 *     }
 *
 * A channel may be used by coroutines and by threads that are none, any number of each, at the same
 * time. Waiters are served in the order in which they came. A send happens before its receive is
 * done; docs/channels.md has the whole table.
 *
 * NULL is the nil channel: sending to it and receiving from it wait for ever, a select ignores it.
 *
 * Elements are copied as memory: 0 bytes to 64 KB, of any type that can be assigned (an array goes
 * into a struct). A value of the wrong type is an error or a warning. A channel is evaluated once,
 * except by ga_range, which evaluates it before each receive.
 *
 * What Go panics for ends the process, with Go's words and the place where the channel was made:
 * sending on a closed channel, closing one twice, closing NULL.
 *
 * C11 and C++11, gcc and clang.
 */
#ifndef GOALLOC_CHAN_H
#define GOALLOC_CHAN_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ga_channel;
struct ga_context;

/* Elements larger than this are refused. */
#define GA_ELEMENT_MAX ((size_t)64 << 10)
/* Cases of one select. */
#define GA_SELECT_MAX 64

/*
 * --- Without types: what the macros below call. ---
 * `element` points to an element of the channel's size; NULL where it is received discards it.
 */

/* Never NULL: without memory the process ends. `pointer_free`: elements hold no pointers, so a
 * collector need not look into them. */
struct ga_channel *ga_chan_make(size_t element_size, long long capacity, bool pointer_free,
                                const char *file, int line);
/* Gives the memory back. Nobody may wait on it or use it afterwards. NULL is allowed. */
void ga_chan_release(struct ga_channel *channel);
void ga_chan_send(struct ga_channel *channel, const void *element);
/* false: closed and empty; the element is zeroed. */
bool ga_chan_recv(struct ga_channel *channel, void *element);
void ga_chan_close(struct ga_channel *channel);
/* Elements in the buffer, and its room; of NULL 0. */
size_t ga_chan_len(const struct ga_channel *channel);
size_t ga_chan_cap(const struct ga_channel *channel);
/* true: sent. */
bool ga_chan_try_send(struct ga_channel *channel, const void *element);
/* 1: received; 0: nothing there; -1: closed and empty, the element is zeroed. */
int ga_chan_try_recv(struct ga_channel *channel, void *element);
/* 0: sent; ECANCELED or ETIMEDOUT: the context ended first, nothing was sent. */
int ga_chan_send_ctx(struct ga_context *context, struct ga_channel *channel, const void *element);
/* 0: received; EPIPE: closed and empty, the element is zeroed; ECANCELED or ETIMEDOUT: the context
 * ended first. */
int ga_chan_recv_ctx(struct ga_context *context, struct ga_channel *channel, void *element);

/* --- Select --- */

enum ga_case_kind {
    GA_CASE_RECV,
    GA_CASE_SEND,
    GA_CASE_DEFAULT,
};

struct ga_case {
    struct ga_channel *channel;
    void *element;
    bool *ok; /* NULL, or where a receive says whether it received */
    enum ga_case_kind kind;
};

/*
 * Does exactly one of the cases and returns its index. If several can be done at once, one of them
 * by chance; if none can, the default's index; without a default it waits. No case at all, or none
 * but those of NULL: for ever.
 */
int ga_select_cases(const struct ga_case *cases, size_t count);

#ifdef __cplusplus
}
#endif

/* --- Types --- */

/*
 * The type of a channel of T's. A pointer, so that NULL is one and it can be copied and compared;
 * the same T gives the same type wherever it is written.
 */
#define ga_chan(T) __typeof__(__typeof__(T) *(*)[1])

/* The type of a channel's elements, and of a pointer to one. */
#define GA_ELEMENT(c) __typeof__(***(c))

/* --- With types. C is a channel's type, c a channel. --- */

/* C ga_make(C), C ga_make(C, capacity) */
#define ga_make(...) GA_MAKE_(__VA_ARGS__, 0, )
/* The same for elements that hold no pointers, where the compiler can't see it: structs. */
#define ga_make_pointer_free(...) GA_MAKE_POINTER_FREE_(__VA_ARGS__, 0, )

/* size_t ga_len(c), ga_cap(c): without a lock, so the answer is of a moment just past. */
#define ga_len(c) ga_chan_len(GA_CHANNEL_(c))
#define ga_cap(c) ga_chan_cap(GA_CHANNEL_(c))
/* void ga_close(c): receivers drain it and then get zeroes; senders end the process. */
#define ga_close(c) ga_chan_close(GA_CHANNEL_(c))
/* void ga_chan_free(c) */
#define ga_chan_free(c) ga_chan_release(GA_CHANNEL_(c))

/* for each element v, until c is closed and empty */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define ga_range(v, c) for (GA_ELEMENT(c) v; ga_recv_ok(c, &(v));)

/* bool ga_recv_ok(c, &v): false once c is closed and empty */
#define ga_recv_ok(c, p) ga_chan_recv(GA_CHANNEL_(c), GA_POINTER_(c, p))
/* int ga_try_recv(c, &v): 1, or 0 if nothing is there, or -1 if closed and empty */
#define ga_try_recv(c, p) ga_chan_try_recv(GA_CHANNEL_(c), GA_POINTER_(c, p))
/* int ga_recv_ctx(context, c, &v): 0, EPIPE if closed and empty, ECANCELED, ETIMEDOUT */
#define ga_recv_ctx(context, c, p) ga_chan_recv_ctx(context, GA_CHANNEL_(c), GA_POINTER_(c, p))

/* A case that receives into *p, which may be NULL; *ok says whether it was not closed. */
#define GA_RECV(c, p)        GA_CASE_(GA_CHANNEL_(c), GA_POINTER_(c, p), NULL, GA_CASE_RECV)
#define GA_RECV_OK(c, p, ok) GA_CASE_(GA_CHANNEL_(c), GA_POINTER_(c, p), ok, GA_CASE_RECV)
/* The case that is done if no other can be done at once. */
#define GA_DEFAULT GA_CASE_(NULL, NULL, NULL, GA_CASE_DEFAULT)

#ifdef __cplusplus
#include "chan_cxx.h"
#else

/* void ga_send(c, value) */
#define ga_send(c, ...)     ga_chan_send(GA_CHANNEL_(c), GA_VALUE_(c, __VA_ARGS__))
/* bool ga_try_send(c, value): false if it would have to wait */
#define ga_try_send(c, ...) ga_chan_try_send(GA_CHANNEL_(c), GA_VALUE_(c, __VA_ARGS__))
/* int ga_send_ctx(context, c, value): 0, ECANCELED, ETIMEDOUT */
#define ga_send_ctx(context, c, ...)                                                               \
    ga_chan_send_ctx(context, GA_CHANNEL_(c), GA_VALUE_(c, __VA_ARGS__))
/* T ga_recv(c) */
#define ga_recv(c)      GA_RECEIVED_(c, GA_NAME_(ga_received_, __COUNTER__))

/* A case that sends a value. */
#define GA_SEND(c, ...) GA_CASE_(GA_CHANNEL_(c), GA_VALUE_(c, __VA_ARGS__), NULL, GA_CASE_SEND)

/* int ga_select(case, ...): the index of the case that was done */
#define ga_select(...)                                                                             \
    __extension__({                                                                                \
        const struct ga_case ga_cases_[] = {__VA_ARGS__};                                          \
        _Static_assert(sizeof(ga_cases_) <= GA_SELECT_MAX * sizeof(struct ga_case),                \
                       "too many cases in a select");                                              \
        ga_select_cases(ga_cases_, sizeof(ga_cases_) / sizeof(struct ga_case));                    \
    })

/* --- What these are made of --- */

/* The conditional expression lets a pointer of another type be noticed. */
#define GA_CHANNEL_(c)                                                                             \
    ((struct ga_channel *)(1 ? (c) : (__typeof__(__typeof__(***(c)) *(*)[1]))NULL))
#define GA_POINTER_(c, p) (1 ? (p) : (__typeof__(**(c)))NULL)
#define GA_VALUE_(c, ...) ((__typeof__(GA_ELEMENT(c)[1])){(__VA_ARGS__)})
#define GA_CASE_(c, p, ok, k)                                                                      \
    {                                                                                              \
        c, p, ok, k                                                                                \
    }
#define GA_NAME_(prefix, count)        GA_NAME_PASTED_(prefix, count)
#define GA_NAME_PASTED_(prefix, count) prefix##count

#define GA_RECEIVED_(c, v)                                                                         \
    __extension__({                                                                                \
        GA_ELEMENT(c) v; /* NOLINT(bugprone-macro-parentheses) */                                  \
        (void)ga_chan_recv(GA_CHANNEL_(c), &(v));                                                  \
        v;                                                                                         \
    })

#define GA_MAKE_(C, capacity, ...)                                                                 \
    ((C)ga_chan_make(sizeof(GA_ELEMENT((C)NULL)), (long long)(capacity),                           \
                     GA_IS_NUMBER_(***(C)NULL), __FILE__, __LINE__))
#define GA_MAKE_POINTER_FREE_(C, capacity, ...)                                                    \
    ((C)ga_chan_make(sizeof(GA_ELEMENT((C)NULL)), (long long)(capacity), 1, __FILE__, __LINE__))

/* clang-format off */
#define GA_IS_NUMBER_(e)                                                                           \
    _Generic((e), _Bool: 1, char: 1, signed char: 1, unsigned char: 1, short: 1,                   \
             unsigned short: 1, int: 1, unsigned: 1, long: 0, unsigned long: 0, long long: 0,      \
             unsigned long long: 0, float: 1, double: 1, long double: 1, default: 0)
/* clang-format on */

#endif

#endif
