// SPDX-License-Identifier: MIT
/* What the public headers allow: compiled as C11 and C++11 by gcc and clang, with warnings as
 * errors.
 */
#include <goalloc/chan.h>
#include <goalloc/context.h>
#include <goalloc/coro.h>
#include <goalloc/sync.h>

#include <string.h>

struct point {
    int x, y;
};

struct shape {
    struct point corner;
    int sides[3];
};

typedef ga_chan(int) ints;
typedef ga_chan(struct point) points;
typedef ga_chan(struct shape) shapes;
typedef ga_chan(const char *) texts;
typedef ga_chan(ints) channels;

int use(struct ga_context *context, ints c, points p, shapes s, texts t, channels cs);

int use(struct ga_context *context, ints c, points p, shapes s, texts t, channels cs)
{
    struct point point = {1, 2};
    struct shape shape = {{1, 2}, {3, 4, 5}};
    const char *text;
    short narrow = 3;
    bool ok;
    int sum = 0, v;
    ga_send(c, 42);
    ga_send(c, narrow);
    ga_send(c, ga_recv(c));
    ga_send(p, point);
    ga_send(s, shape);
    ga_send(t, "text");
    ga_send(t, NULL);
    ga_send(cs, c);
    sum += ga_recv(ga_recv(cs));
    sum += ga_recv(p).x;
    ga_recv(c);
    ga_range (one, c)
        sum += one;
    if (ga_recv_ok(p, &point) && ga_recv_ok(p, NULL))
        sum += point.x;
    if (ga_try_send(c, 1) && ga_try_recv(c, &v) == 1)
        sum += v;
    sum += ga_send_ctx(context, p, point) + ga_recv_ctx(context, t, &text);
    switch (ga_select(GA_RECV(c, &v), GA_SEND(p, point), GA_RECV_OK(t, &text, &ok), GA_DEFAULT)) {
    case 0:
        return v;
    case 2:
        return ok;
    default:
        break;
    }
    ints other = ga_make(ints), room = ga_make(ints, sum);
    points flat = ga_make_pointer_free(points, 3);
    ga_chan(int) same = other;
    ga_close(same);
    ga_chan_free(other == NULL ? room : other);
    ga_chan_free(flat);
    return sum + (int)ga_len(c) + (int)ga_cap(p);
}

static int six(char a, short b, int c, const char *d, const void *e, unsigned long f)
{
    return a + b + c + (d == e) + (int)f;
}

static void none(void)
{
}

int start_all(ga_scope *scope);

int start_all(ga_scope *scope)
{
    static const char text[] = "an array is the pointer to its first element";
    struct ga_go_options options;
    short narrow = 3;
    memset(&options, 0, sizeof(options));
    options.name = text;
    options.pinned = true;
    return ga_go(six, 'a', narrow, -1, text, &narrow, 7ul) +
           ga_go(six, 'a', narrow, 2, "a literal, as long as you like", text, sizeof(text)) +
           ga_go_opts(&options, none) + ga_scope_go(scope, none);
}
