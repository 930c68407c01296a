// SPDX-License-Identifier: MIT
//
// Threads with 16 KB stacks that allocate while ten thousand signals a second arrive at each, with
// a handler that does nothing or counts, on the thread's stack or on one of its own: all blocks
// keep their bytes, nothing waits for ever, and nothing is lost.

#include "promise.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#define THREADS   3
#define BLOCKS    64
#define PERIOD_NS 100000
#define RUN_NS    400000000u
#define SIGNAL    (SIGRTMIN + 3)
#define ALT_STACK ((size_t)64 << 10)

static atomic_uint signals;
static atomic_bool stop;
static bool on_own_stack;

static void do_nothing(int number)
{
    (void)number;
}

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add_explicit(&signals, 1, memory_order_relaxed);
}

static void set_alternate_stack(void *memory)
{
    stack_t stack = {.ss_sp = memory, .ss_size = ALT_STACK, .ss_flags = memory ? 0 : SS_DISABLE};
    expect(sigaltstack(&stack, NULL) == 0, "expected to set a signal stack");
}

/* Signals for this thread alone. */
static timer_t start_timer(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL};
    struct itimerspec period = {{0, PERIOD_NS}, {0, PERIOD_NS}};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    expect(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "expected a timer");
    expect(timer_settime(timer, 0, &period, NULL) == 0, "expected to start a timer");
    return timer;
}

static void replace_blocks(struct random *random)
{
    void *blocks[BLOCKS] = {NULL};
    size_t sizes[BLOCKS];
    while (!atomic_load(&stop)) {
        unsigned i = (unsigned)(random_next(random) % BLOCKS);
        if (blocks[i])
            expect_mark(blocks[i], sizes[i], (unsigned char)i);
        sizes[i] = random_size(random, random_next(random) % 16 ? 12 : 21);
        if (random_next(random) % 4) {
            free(blocks[i]);
            blocks[i] = malloc(sizes[i]);
        } else {
            blocks[i] = realloc(blocks[i], sizes[i]);
        }
        mark(blocks[i], sizes[i], (unsigned char)i);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void *work(void *seed)
{
    struct random random = {(size_t)seed};
    void *stack = on_own_stack ? malloc(ALT_STACK) : NULL;
    if (stack)
        set_alternate_stack(stack);
    timer_t timer = start_timer();
    replace_blocks(&random);
    timer_delete(timer);
    set_alternate_stack(NULL);
    free(stack);
    return NULL;
}

static void storm(void (*handler)(int), bool own_stack)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct timespec pause = {0, RUN_NS};
    action.sa_flags |= own_stack ? SA_ONSTACK : 0;
    on_own_stack = own_stack;
    atomic_store(&stop, false);
    sigaction(SIGNAL, &action, NULL);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN);
    for (size_t i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], &attributes, work, (void *)(i + 1)) == 0,
               "expected a thread");
    while (nanosleep(&pause, &pause) != 0)
        continue;
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    signal(SIGNAL, SIG_IGN);
}

int main(void)
{
    promise_begin(60);
    running = "a storm of signals";
    storm(do_nothing, false);
    size_t live = stats_now().live_blocks;
    for (unsigned i = 0; i < 3; i++) {
        storm(count_signal, false);
        storm(count_signal, true);
        storm(do_nothing, true);
    }
    expect(atomic_load(&signals) > 200, "expected thousands of signals, counted %u",
           atomic_load(&signals));
    size_t after = stats_now().live_blocks;
    expect(after <= live + 8, "expected %zu live blocks as before, found %zu", live, after);
    return 0;
}
