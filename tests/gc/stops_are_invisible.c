// SPDX-License-Identifier: MIT
//
// While cycles stop the world again and again no wait of the program ends early or with EINTR: not
// poll, select, epoll_wait, sleeping, or timed waits for semaphores and conditions. A signal of the
// program's own still ends them.

#include "collected.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#define WAIT_MS 300

static atomic_int waiters, alarms;
static int nothing[2]; /* a pipe that nobody writes to */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct timespec in_ms(clockid_t clock, int64_t ms)
{
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_nsec += ms * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

static int by_poll(int ms)
{
    struct pollfd on = {nothing[0], POLLIN, 0};
    return poll(&on, 1, ms);
}

static int by_ppoll(int ms)
{
    struct pollfd on = {nothing[0], POLLIN, 0};
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    return ppoll(&on, 1, &time, NULL);
}

static int by_select(int ms)
{
    fd_set set;
    struct timeval time = {ms / 1000, ms % 1000 * 1000L};
    FD_ZERO(&set);
    FD_SET(nothing[0], &set);
    return select(nothing[0] + 1, &set, NULL, NULL, &time);
}

static int by_pselect(int ms)
{
    fd_set set;
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    sigset_t none;
    sigemptyset(&none);
    FD_ZERO(&set);
    FD_SET(nothing[0], &set);
    return pselect(nothing[0] + 1, &set, NULL, NULL, &time, &none);
}

static int by_epoll(int ms)
{
    struct epoll_event event = {.events = EPOLLIN};
    int on = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(on, EPOLL_CTL_ADD, nothing[0], &event);
    int result = epoll_wait(on, &event, 1, ms);
    int saved = errno;
    close(on);
    errno = saved;
    return result;
}

static int by_epoll_pwait(int ms)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t none;
    sigemptyset(&none);
    int on = epoll_create1(EPOLL_CLOEXEC);
    int result = epoll_pwait(on, &event, 1, ms, &none);
    int saved = errno;
    close(on);
    errno = saved;
    return result;
}

static int by_nanosleep(int ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    return nanosleep(&time, NULL);
}

static int by_clock(int ms)
{
    struct timespec at = in_ms(CLOCK_MONOTONIC, ms);
    errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    return errno ? -1 : 0;
}

static int by_semaphore(int ms)
{
    sem_t semaphore;
    struct timespec at = in_ms(CLOCK_REALTIME, ms);
    sem_init(&semaphore, 0, 0);
    int result = sem_timedwait(&semaphore, &at);
    return result < 0 && errno == ETIMEDOUT ? 0 : -1;
}

static int by_condition(int ms)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec at = in_ms(CLOCK_REALTIME, ms);
    pthread_mutex_lock(&mutex);
    int result = pthread_cond_timedwait(&condition, &mutex, &at);
    pthread_mutex_unlock(&mutex);
    return result == ETIMEDOUT ? 0 : -1;
}

struct wait {
    const char *name;
    int (*wait)(int ms);
};

static const struct wait waits[] = {
    {"poll", by_poll},
    {"ppoll", by_ppoll},
    {"select", by_select},
    {"pselect", by_pselect},
    {"epoll_wait", by_epoll},
    {"epoll_pwait", by_epoll_pwait},
    {"nanosleep", by_nanosleep},
    {"clock_nanosleep", by_clock},
    {"sem_timedwait", by_semaphore},
    {"pthread_cond_timedwait", by_condition},
};
#define WAITS (sizeof(waits) / sizeof(*waits))

static void *wait_undisturbed(void *argument)
{
    const struct wait *w = argument;
    atomic_fetch_add(&waiters, 1);
    for (unsigned i = 0; i < 3; i++) {
        int64_t begun = now_ms();
        int result = w->wait(WAIT_MS);
        int64_t took = now_ms() - begun;
        expect(result == 0, "expected %s to time out, got %d (%s) after %d ms", w->name, result,
               strerror(errno), (int)took);
        expect(took >= WAIT_MS - 1, "expected %s to wait %d ms, it took %d", w->name, WAIT_MS,
               (int)took);
    }
    atomic_fetch_sub(&waiters, 1);
    return NULL;
}

/* Where the kernel, not a time, ends the wait. */
static void *read_undisturbed(void *argument)
{
    char byte;
    int *ends = argument;
    struct pollfd on = {ends[0], POLLIN, 0};
    expect(poll(&on, 1, -1) == 1, "expected poll without a time to find a byte");
    expect(read(ends[0], &byte, 1) == 1, "expected to read a byte");
    return NULL;
}

static void on_alarm(int number)
{
    (void)number;
    atomic_fetch_add(&alarms, 1);
}

static void *wait_for_signal(void *argument)
{
    const struct wait *w = argument;
    atomic_fetch_add(&waiters, 1);
    int result = w->wait(20000);
    expect(result == -1 && errno == EINTR, "expected a signal to end %s, got %d", w->name, result);
    atomic_fetch_sub(&waiters, 1);
    return NULL;
}

static void collect_while_waiting(void)
{
    while (atomic_load(&waiters) > 0) {
        expect(collect() == 0, "expected a cycle to succeed");
        usleep(2000);
    }
}

static void nothing_ends_early(void)
{
    pthread_t threads[WAITS], reader;
    int ends[2];
    expect(pipe(ends) == 0, "expected a pipe");
    pthread_create(&reader, NULL, read_undisturbed, ends);
    for (size_t i = 0; i < WAITS; i++)
        pthread_create(&threads[i], NULL, wait_undisturbed, (void *)&waits[i]);
    while (atomic_load(&waiters) == 0)
        usleep(100);
    collect_while_waiting();
    for (size_t i = 0; i < WAITS; i++)
        pthread_join(threads[i], NULL);
    expect(write(ends[1], "x", 1) == 1, "expected to write");
    pthread_join(reader, NULL);
}

/* The semaphore's and the condition's wrappers hide the reason. */
static void a_signal_still_ends_them(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGUSR1, &action, NULL);
    for (size_t i = 0; i < WAITS - 2; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, wait_for_signal, (void *)&waits[i]);
        while (atomic_load(&waiters) == 0)
            usleep(100);
        for (unsigned cycles = 0; cycles < 10; cycles++) {
            expect(collect() == 0, "expected a cycle to succeed");
            usleep(500);
        }
        while (atomic_load(&waiters) > 0) {
            pthread_kill(thread, SIGUSR1);
            usleep(2000);
        }
        pthread_join(thread, NULL);
    }
    expect(atomic_load(&alarms) > 0, "expected the handler to run");
}

int main(void)
{
    gc_promise_begin(60);
    expect(pipe(nothing) == 0, "expected a pipe");
    nothing_ends_early();
    a_signal_still_ends_them();
    printf("%zu cycles\n", gc_stats_now().cycles);
    return 0;
}
