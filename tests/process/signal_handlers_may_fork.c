// SPDX-License-Identifier: MIT
//
// A thread allocates, and a handler that interrupts it anywhere, in the midst of malloc too, forks:
// nobody waits for ever, the thread goes on in the parent with all its blocks whole, and in the
// child, which either ends at once or returns from the handler, too. (Not while other threads
// allocate: one may hold a lock that the fork needs and wait for one that the interrupted code
// holds.)

#include "promise.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#define THREADS 1
#define FORKS   300
#define BLOCKS  64
#define SIGNAL  (SIGRTMIN + 3)

static atomic_uint forks;
static __thread volatile bool is_child, forks_now;

/* Every other child returns into whatever was interrupted. */
static void fork_here(int number)
{
    (void)number;
    if (!forks_now || is_child)
        return;
    unsigned count = atomic_fetch_add(&forks, 1);
    pid_t child = fork();
    if (child == 0) {
        watchdog(20);
        running = "a child that returns into what was interrupted";
        is_child = true;
        if (count % 2 == 0)
            _exit(0);
        return;
    }
    expect_success(child, "a child of a signal handler");
}

static timer_t make_timer(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    expect(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "expected a timer");
    return timer;
}

/* Once, soon: a signal that came again and again would leave no time for anything else. */
static void start_timer(timer_t timer, struct random *random)
{
    struct itimerspec soon = {{0, 0}, {0, 10000 + (long)(random_next(random) % 100000)}};
    /* A child has no timers. */
    expect(timer_settime(timer, 0, &soon, NULL) == 0 || is_child, "expected to start a timer");
}

/* Mostly by slow paths, which is where locks are held. */
static void replace(void **blocks, size_t *sizes, struct random *random)
{
    unsigned i = (unsigned)(random_next(random) % BLOCKS);
    if (blocks[i])
        expect_mark(blocks[i], sizes[i], (unsigned char)i);
    sizes[i] = random_size(random, random_next(random) % 4 ? 21 : 12);
    free(blocks[i]);
    blocks[i] = malloc(sizes[i]);
    mark(blocks[i], sizes[i], (unsigned char)i);
}

/* Outside of any call of libc's that isn't ours, where the child ends. */
static void leave_if_child(void **blocks, size_t *sizes, struct random *random)
{
    if (!is_child)
        return;
    for (unsigned n = 0; n < 200; n++)
        replace(blocks, sizes, random);
    allocate_all_classes((size_t)1 << 20);
    _exit(0);
}

static void *work(void *seed)
{
    struct random random = {(size_t)seed};
    void *blocks[BLOCKS] = {NULL};
    size_t sizes[BLOCKS] = {0};
    timer_t timer = NULL;
    forks_now = (size_t)seed == 1;
    if (forks_now)
        timer = make_timer();
    while (atomic_load(&forks) < FORKS) {
        if (forks_now)
            start_timer(timer, &random);
        for (unsigned n = 0; n < 20; n++)
            replace(blocks, sizes, &random);
        leave_if_child(blocks, sizes, &random);
    }
    if (forks_now)
        timer_delete(timer);
    leave_if_child(blocks, sizes, &random);
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    struct sigaction action = {.sa_handler = fork_here, .sa_flags = SA_RESTART};
    promise_begin(90);
    running = "forks in signal handlers";
    sigaction(SIGNAL, &action, NULL);
    for (size_t i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0, "expected a thread");
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    size_t live = stats_now().live_blocks;
    expect(live < 60, "expected few live blocks after the work, found %zu", live);
    return 0;
}
