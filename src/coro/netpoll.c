// SPDX-License-Identifier: MIT
/*
 * netpoll.c: coroutines that wait for descriptors.
 *
 * Place: io.c waits; sched.c, machine.c's watcher and the monitor look for events. Calls epoll
 * through src/os.
 *
 * The first wait registers a descriptor for the edges of both directions, and later ones cost no
 * system call. But it may have been closed and opened anew behind our back, by close(), and not be
 * registered at all. So a wait that has lasted for 20 to 60 ms is proved: the monitor registers its
 * descriptor again, which reports what is ready, or shows that there is no such descriptor.
 *
 *   unproved --monitor--> proving --the same wait as at the last look--> registered again
 *   (a stack, pushed to by waits)    (the monitor's list)
 *
 * Invariants: an edge that comes while nobody waits is kept in `ready`; a descriptor somebody waits
 * for is registered, or `listed`; each waiter is woken once, by an event, its deadline, or the
 * close; `waiters` is their number. What describes a descriptor is never freed, so an event that
 * comes late wakes nobody wrongly: all look again.
 * Locking: each descriptor's own lock; poller.lock to make things. Fork: see start.c.
 */
#include <errno.h>

#include "netpoll.h"

#define CHUNK  1024u
#define CHUNKS 1024u /* a million descriptors */
#define EVENTS 128
/* What is fetched early: events' descriptors, and of a coroutine's stack so many bytes around its
 * wait: what runs from the switch up to the program's own call. */
#define EVENTS_AHEAD 8
#define FRAMES_BELOW 192
#define FRAMES_ABOVE 448
#define LATE         INT64_C(10000000)

struct wait {
    struct waiter *waiter;
    struct wait *next;
    enum poll_result result;
    struct timer timer;  /* where the wait has a limit */
    atomic_bool expired; /* the timer's function is done with this; release */
    struct descriptor *of;
    struct way *way;
};

struct way {
    struct wait *first; /* guarded by the descriptor's lock, as is all here */
    bool ready;         /* an edge came that nobody was waiting for */
    int64_t deadline;   /* 0: none */
    struct timer timer;
    struct descriptor *of; /* constant */
};

/* What an event and a wait touch comes first, in two cache lines. */
struct descriptor {
    _Alignas(GA_CACHE_LINE) struct lock lock;
    int fd;          /* constant once used */
    bool registered; /* as far as we know; guarded by lock, as are the following */
    bool asked;      /* whether it is a stream, by who reads or writes; a hint, without the lock */
    bool stream;     /* a socket where less than was asked for is all there was */
    bool hung_up;    /* the other side will send no more: an end may follow without an edge */
    bool drained;    /* the last read took all there was; read without the lock, as a hint */
    bool listed;     /* unproved, or proving */
    unsigned waits;  /* counts them */
    unsigned seen;   /* `waits` when the monitor looked last */
    struct way ways[2];      /* by enum poll_way */
    struct descriptor *next; /* of the list that it is on */
};

static struct {
    struct lock lock;
    _Atomic(struct descriptor *) chunks[CHUNKS]; /* release once made */
    atomic_int poller;                           /* 0: not opened; release */
    int wake;                                    /* an eventfd; constant once opened */
    atomic_uint waiters;
    _Atomic(int64_t) looked_at;            /* relaxed */
    _Atomic(struct descriptor *) unproved; /* pushed: release, taken as a whole: acquire */
    struct descriptor *proving;            /* the monitor's */
} poller;

bool netpoll_has_waiters(void)
{
    return atomic_load(&poller.waiters) > 0;
}

bool netpoll_started(void)
{
    return atomic_load_explicit(&poller.poller, memory_order_acquire) > 0;
}

/* --- Making --- */

/* Lock held. */
static bool open_poller(void)
{
    int fd = os_poller_open();
    int wake = os_event_open();
    if (fd <= 0 || wake < 0) {
        if (fd >= 0)
            os_close(fd);
        if (wake >= 0)
            os_close(wake);
        return false;
    }
    poller.wake = wake;
    os_poller_watch(fd, wake, OS_WATCH_ALWAYS, true, false, NULL);
    atomic_store_explicit(&poller.poller, fd, memory_order_release);
    return true;
}

static bool start_poller(void)
{
    if (netpoll_started())
        return true;
    lock_acquire(&poller.lock);
    bool started = netpoll_started() || open_poller();
    lock_release(&poller.lock);
    sched_wake_watcher(INT64_MIN); /* which sleeps without a poller */
    return started;
}

static struct descriptor *make_chunk(unsigned index)
{
    lock_acquire(&poller.lock);
    struct descriptor *chunk = atomic_load_explicit(&poller.chunks[index], memory_order_relaxed);
    /* One more, and rounded up: a sanitizer's malloc knows of no cache lines. Never freed. */
    void *memory = chunk ? NULL : coro_alloc((CHUNK + 1) * sizeof(*chunk), true);
    if (memory) {
        chunk = (struct descriptor *)round_up((uintptr_t)memory, GA_CACHE_LINE);
        atomic_store_explicit(&poller.chunks[index], chunk, memory_order_release);
    }
    lock_release(&poller.lock);
    return chunk;
}

/* NULL: it never was waited for, or (make) there is no memory. */
static struct descriptor *descriptor_of(int fd, bool make)
{
    if (fd < 0 || (unsigned)fd >= CHUNK * CHUNKS)
        return NULL;
    unsigned index = (unsigned)fd / CHUNK;
    struct descriptor *chunk = atomic_load_explicit(&poller.chunks[index], memory_order_acquire);
    if (!chunk && make)
        chunk = make_chunk(index);
    return chunk ? &chunk[(unsigned)fd % CHUNK] : NULL;
}

/* --- Waking; the descriptor's lock held. What is taken is woken after its release. --- */

static struct wait *take(struct descriptor *descriptor, enum poll_way way, enum poll_result result)
{
    struct wait *first = descriptor->ways[way].first;
    for (struct wait *wait = first; wait; wait = wait->next)
        wait->result = result;
    descriptor->ways[way].first = NULL;
    return first;
}

/* How many. */
static unsigned wake_all(struct wait *wait)
{
    unsigned count = 0;
    for (; wait; count++) {
        struct wait *next = wait->next; /* it lies on the waiter's stack */
        atomic_fetch_sub(&poller.waiters, 1);
        park_ready(wait->waiter);
        wait = next;
    }
    return count;
}

/* Also where it is registered: what is ready now is reported. */
static bool enlist(struct descriptor *descriptor)
{
    int poller_fd = atomic_load_explicit(&poller.poller, memory_order_relaxed);
    descriptor->ways[POLL_READ].ready = descriptor->ways[POLL_WRITE].ready = false;
    descriptor->registered =
        os_poller_watch(poller_fd, descriptor->fd, OS_WATCH_EDGES, true, true, descriptor) == 0;
    return descriptor->registered;
}

/* Those that wait; nobody: for the next to find. */
static struct wait *take_ready(struct descriptor *descriptor, enum poll_way way)
{
    struct wait *waits = take(descriptor, way, POLL_READY);
    descriptor->ways[way].ready = waits == NULL;
    GA_STORE_ANY(descriptor->drained, false);
    return waits;
}

/* To wake, in their order. */
struct woken {
    struct wait *first, **end;
};

/* The frames that go on lie around its wait. */
static void append(struct woken *woken, struct wait *waits)
{
    *woken->end = waits;
    for (; waits; waits = waits->next) {
        const char *frames = (const char *)waits;
        for (int at = -FRAMES_BELOW; at < FRAMES_ABOVE; at += GA_CACHE_LINE)
            __builtin_prefetch(frames + at);
        woken->end = &waits->next;
    }
}

static void handle(const struct os_event *event, struct woken *woken)
{
    struct descriptor *descriptor = event->data;
    if (!descriptor) {
        /* For the watcher, which others must not rob of it. */
        struct machine *machine = machine_self();
        if (machine && machine->watching)
            os_event_clear(poller.wake);
        return;
    }
    struct wait *readers = NULL, *writers = NULL;
    lock_acquire(&descriptor->lock);
    if (event->hung_up)
        descriptor->hung_up = true;
    if (event->readable)
        readers = take_ready(descriptor, POLL_READ);
    if (event->writable)
        writers = take_ready(descriptor, POLL_WRITE);
    lock_release(&descriptor->lock);
    append(woken, readers);
    append(woken, writers);
}

/* With thousands of descriptors the memory of each has left the cache since its last event: what
 * is needed is fetched for many at a time, not missed one by one. */
static unsigned handle_all(const struct os_event *events, int count)
{
    struct woken woken = {.end = &woken.first};
    for (int i = 0; i < count; i++) {
        if (i + EVENTS_AHEAD < count) {
            const char *descriptor = events[i + EVENTS_AHEAD].data;
            __builtin_prefetch(descriptor);
            __builtin_prefetch(descriptor + GA_CACHE_LINE);
        }
        handle(&events[i], &woken);
    }
    for (struct wait *wait = woken.first; wait; wait = wait->next)
        waiter_fetch_parked(wait->waiter);
    return wake_all(woken.first);
}

unsigned netpoll(int64_t until)
{
    struct os_event events[EVENTS];
    int fd = atomic_load_explicit(&poller.poller, memory_order_acquire);
    int64_t limit = 0;
    if (fd <= 0)
        return 0;
    if (until == INT64_MAX)
        limit = -1;
    else if (until > 0 && (limit = until - timer_now()) < 0)
        limit = 0;
    int count = os_poller_wait(fd, events, EVENTS, limit);
    atomic_store_explicit(&poller.looked_at, timer_now(), memory_order_relaxed);
    if (count <= 0)
        return 0;
    atomic_fetch_add(&sched.wakers, 1); /* before a waiter is off the count */
    unsigned woken = handle_all(events, count);
    atomic_fetch_sub(&sched.wakers, 1);
    return woken;
}

int64_t netpoll_looked_at(void)
{
    return atomic_load_explicit(&poller.looked_at, memory_order_relaxed);
}

void netpoll_if_late(int64_t now)
{
    if (netpoll_has_waiters() && atomic_load(&sched.watcher) == NULL &&
        now - netpoll_looked_at() > LATE)
        netpoll(0);
}

void netpoll_interrupt(void)
{
    if (netpoll_started())
        os_event_set(poller.wake);
}

/* --- Waiting --- */

static bool release_descriptor(struct waiter *self, void *descriptor)
{
    (void)self;
    lock_release(&((struct descriptor *)descriptor)->lock);
    return true;
}

/* Whether it was on the list. */
static bool unlink_wait(struct way *way, struct wait *wait)
{
    struct wait **at = &way->first;
    while (*at && *at != wait)
        at = &(*at)->next;
    bool found = *at != NULL;
    if (found)
        *at = wait->next;
    return found;
}

static void give_up(void *argument)
{
    struct wait *wait = argument;
    struct descriptor *descriptor = wait->of;
    struct waiter *waiter = wait->waiter;
    lock_acquire(&descriptor->lock);
    bool waits = unlink_wait(wait->way, wait);
    if (waits)
        wait->result = POLL_TIMEOUT;
    lock_release(&descriptor->lock);
    /* Release: it may return, and its stack be used for something else, from here on. */
    atomic_store_explicit(&wait->expired, true, memory_order_release);
    if (waits) {
        atomic_fetch_sub(&poller.waiters, 1);
        park_ready(waiter);
    }
}

static void start_limit(struct wait *wait, int64_t until)
{
    wait->timer = (struct timer){.when = until, .fire = give_up, .argument = wait};
    timer_start(&wait->timer);
}

/* The timer's function may just be running, for some nanoseconds. */
static void end_limit(struct wait *wait)
{
    if (timer_stop(&wait->timer))
        return;
    while (!atomic_load_explicit(&wait->expired, memory_order_acquire))
        park_yield();
}

/* Lock held. */
static void push_unproved(struct descriptor *descriptor)
{
    if (descriptor->listed)
        return;
    descriptor->listed = true;
    descriptor->seen = descriptor->waits - 1;
    descriptor->next = atomic_load_explicit(&poller.unproved, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&poller.unproved, &descriptor->next, descriptor,
                                                  memory_order_release, memory_order_relaxed)) {
    }
}

/* Lock held, which the wait releases. */
static enum poll_result wait_on(struct descriptor *descriptor, enum poll_way way, int64_t until)
{
    struct way *its = &descriptor->ways[way];
    struct wait wait = {.waiter = park_self(), .of = descriptor, .way = its, .next = its->first};
    bool was_registered = descriptor->registered;
    if ((was_registered && its->ready) || (!was_registered && !enlist(descriptor))) {
        its->ready = false;
        lock_release(&descriptor->lock);
        return was_registered ? POLL_READY : POLL_REFUSED;
    }
    its->first = &wait;
    descriptor->waits++;
    atomic_fetch_add(&poller.waiters, 1);
    if (was_registered)
        push_unproved(descriptor);
    if (until)
        start_limit(&wait, until);
    park(release_descriptor, descriptor, park_io, NULL);
    if (until)
        end_limit(&wait);
    return wait.result;
}

enum poll_result poll_wait(int fd, enum poll_way way, int64_t until)
{
    struct descriptor *descriptor = descriptor_of(fd, true);
    if (!descriptor || !start_poller())
        return POLL_REFUSED;
    lock_acquire(&descriptor->lock);
    int64_t deadline = descriptor->ways[way].deadline;
    descriptor->fd = fd;
    if ((deadline && deadline <= timer_now()) || (until && until <= timer_now())) {
        lock_release(&descriptor->lock);
        return POLL_TIMEOUT;
    }
    return wait_on(descriptor, way, until);
}

void poll_note_drained(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd, false);
    if (!descriptor)
        return;
    lock_acquire(&descriptor->lock);
    if (descriptor->stream && !descriptor->hung_up && !descriptor->ways[POLL_READ].ready)
        GA_STORE_ANY(descriptor->drained, descriptor->registered);
    lock_release(&descriptor->lock);
}

bool poll_is_stream(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd, true);
    if (!descriptor)
        return false;
    if (GA_UNLIKELY(!GA_LOAD_ANY(descriptor->asked))) {
        GA_STORE_ANY(descriptor->stream, os_is_stream(fd));
        GA_STORE_ANY(descriptor->asked, true);
    }
    return GA_LOAD_ANY(descriptor->stream);
}

bool poll_is_drained(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd, false);
    return descriptor && GA_LOAD_ANY(descriptor->drained);
}

void poll_renew(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd, false);
    if (!descriptor)
        return;
    lock_acquire(&descriptor->lock);
    descriptor->registered = false;
    GA_STORE_ANY(descriptor->drained, false);
    lock_release(&descriptor->lock);
}

void poll_forget(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd, false);
    if (!descriptor)
        return;
    lock_acquire(&descriptor->lock);
    struct wait *readers = take(descriptor, POLL_READ, POLL_CLOSED);
    struct wait *writers = take(descriptor, POLL_WRITE, POLL_CLOSED);
    for (int way = POLL_READ; way <= POLL_WRITE; way++) {
        timer_stop(&descriptor->ways[way].timer);
        descriptor->ways[way].deadline = 0;
    }
    if (descriptor->registered)
        os_poller_forget(atomic_load_explicit(&poller.poller, memory_order_relaxed), fd);
    descriptor->registered = false;
    GA_STORE_ANY(descriptor->asked, false);
    GA_STORE_ANY(descriptor->drained, false);
    lock_release(&descriptor->lock);
    wake_all(readers);
    wake_all(writers);
}

/* --- Proving; the monitor --- */

/* Whether it is to be looked at again. */
static bool prove(struct descriptor *descriptor)
{
    struct wait *readers = NULL, *writers = NULL;
    lock_acquire(&descriptor->lock);
    bool waits = descriptor->ways[POLL_READ].first || descriptor->ways[POLL_WRITE].first;
    bool later = waits && descriptor->seen != descriptor->waits;
    descriptor->seen = descriptor->waits;
    descriptor->listed = later;
    if (waits && !later && !enlist(descriptor)) {
        /* There is no such descriptor: the call will say so. */
        readers = take(descriptor, POLL_READ, POLL_READY);
        writers = take(descriptor, POLL_WRITE, POLL_READY);
    }
    lock_release(&descriptor->lock);
    wake_all(readers);
    wake_all(writers);
    return later;
}

void netpoll_prove(void)
{
    struct descriptor *list = poller.proving;
    poller.proving = NULL;
    for (int i = 0; i < 2; i++) {
        while (list) {
            struct descriptor *descriptor = list;
            list = descriptor->next;
            if (prove(descriptor)) {
                descriptor->next = poller.proving;
                poller.proving = descriptor;
            }
        }
        if (i == 0)
            list = atomic_exchange_explicit(&poller.unproved, NULL, memory_order_acquire);
    }
}

bool netpoll_has_unproved(void)
{
    return poller.proving || atomic_load_explicit(&poller.unproved, memory_order_relaxed);
}

/* --- Deadlines --- */

static void expire(void *argument)
{
    struct way *way = argument;
    struct descriptor *descriptor = way->of;
    struct wait *waits = NULL;
    lock_acquire(&descriptor->lock);
    if (way->deadline && way->deadline <= timer_now())
        waits = take(descriptor, (enum poll_way)(way - descriptor->ways), POLL_TIMEOUT);
    lock_release(&descriptor->lock);
    wake_all(waits);
}

bool poll_set_deadline(int fd, enum poll_way way, int64_t when)
{
    struct descriptor *descriptor = descriptor_of(fd, true);
    struct wait *waits = NULL;
    if (!descriptor) {
        errno = fd < 0 ? EBADF : ENOMEM;
        return false;
    }
    lock_acquire(&descriptor->lock);
    struct way *its = &descriptor->ways[way];
    timer_stop(&its->timer);
    its->of = descriptor;
    its->deadline = when;
    its->timer.when = when;
    its->timer.fire = expire;
    its->timer.argument = its;
    if (when > timer_now())
        timer_start(&its->timer);
    else if (when != 0)
        waits = take(descriptor, way, POLL_TIMEOUT);
    lock_release(&descriptor->lock);
    wake_all(waits);
    return true;
}

/* --- Fork --- */

void netpoll_freeze(void)
{
    lock_freeze(&poller.lock);
}

void netpoll_thaw(void)
{
    lock_thaw(&poller.lock);
}

static void forget_waits(struct descriptor *descriptor)
{
    lock_reset(&descriptor->lock);
    descriptor->registered = descriptor->listed = descriptor->drained = false;
    for (int way = POLL_READ; way <= POLL_WRITE; way++) {
        descriptor->ways[way].first = NULL;
        descriptor->ways[way].deadline = 0;
    }
}

/* The parent's poller is shared with the child: what the child watched would be the parent's. */
void netpoll_reset(void)
{
    lock_reset(&poller.lock);
    int fd = atomic_load_explicit(&poller.poller, memory_order_relaxed);
    if (fd > 0) {
        os_close(fd);
        os_close(poller.wake);
        atomic_store_explicit(&poller.poller, 0, memory_order_relaxed);
    }
    atomic_store(&poller.waiters, 0);
    atomic_store_explicit(&poller.unproved, NULL, memory_order_relaxed);
    poller.proving = NULL;
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct descriptor *chunk = atomic_load_explicit(&poller.chunks[i], memory_order_relaxed);
        for (unsigned k = 0; chunk && k < CHUNK; k++)
            forget_waits(&chunk[k]);
    }
}
