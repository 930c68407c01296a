// SPDX-License-Identifier: MIT
//
// A thread inside of ga_gc_blocking isn't interrupted by a cycle, and needn't be interruptible.
// What its frames, its registers and the call's argument point to is kept. It doesn't come out
// while the world is stopped. A thread that ends inside, or forks, leaves nothing behind.

#include "collected.h"

#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static void *(*blocking)(void *(*)(void *), void *);

#define HELD 6

static sem_t go_on;
static atomic_uint arrived;
static hidden held[HELD + 1];

/* --- One that can't be interrupted --- */

/* Also of the signals that libc lets nobody block. */
static void block_all_signals(void)
{
    uint64_t all = ~UINT64_C(0);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}

static void *wait_inside(void *argument)
{
    atomic_store(&arrived, 1);
    while (sem_wait(&go_on) != 0)
        expect(false, "expected a thread in a blocking region not to be interrupted");
    return argument;
}

/* Three blocks that only registers point to, one that the argument leads to. */
__attribute__((noinline)) static void hold_in_registers(hidden argument)
{
#if defined(__x86_64__)
    register void *a __asm__("rbx") = unhide(held[0]);
    register void *b __asm__("r12") = unhide(held[1]);
    register void *c __asm__("r15") = unhide(held[2]);
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c));
    clear_stack();
    blocking(wait_inside, unhide(argument));
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c));
#else
    void *volatile all[] = {unhide(held[0]), unhide(held[1]), unhide(held[2])};
    blocking(wait_inside, unhide(argument));
    (void)all;
#endif
}

__attribute__((noinline)) static hidden make_argument(void)
{
    void **argument = malloc(40);
    argument[2] = make_block(400);
    held[HELD] = hide(argument[2]);
    return hide(argument);
}

static void *hold_blocks(void *unused)
{
    void *volatile in_frame[HELD];
    block_all_signals();
    for (unsigned i = 0; i < HELD; i++)
        held[i] = hide(make_block(400));
    for (unsigned i = 3; i < HELD; i++)
        in_frame[i] = unhide(held[i]);
    hold_in_registers(make_argument());
    (void)in_frame;
    return unused;
}

static void it_needs_no_signal(void)
{
    pthread_t thread;
    running = "a thread that blocks all signals";
    size_t abandoned = gc_stats_now().abandoned;
    pthread_create(&thread, NULL, hold_blocks, NULL);
    while (!atomic_load(&arrived))
        usleep(1000);
    for (unsigned i = 0; i < 5; i++)
        full_cycle();
    overwrite_free(400);
    for (unsigned i = 0; i <= HELD; i++)
        expect(is_whole(held[i], 400), "expected block %u of a waiting thread to be kept", i);
    expect(gc_stats_now().abandoned == abandoned, "expected no cycle to be given up");
    sem_post(&go_on);
    pthread_join(thread, NULL);
}

/* --- Nobody comes out of one while the world is stopped --- */

#define ROUNDS 60

static atomic_uint rounds, ready, runner; /* the last: a thread's number */
static atomic_bool stop;

static void *run_for_ever(void *unused)
{
    atomic_store(&runner, (unsigned)gettid());
    while (!atomic_load(&stop))
        ;
    return unused;
}

/* It sleeps, with all signals blocked: in the library's handler. Doesn't allocate. */
static bool is_stopped(unsigned thread)
{
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/self/task/%u/status", thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    close(fd);
    expect(length > 0, "expected %s", path);
    text[length] = '\0';
    return strstr(text, "State:\tS") && !strstr(text, "SigBlk:\t0000000000000000");
}

/* Until the world is stopped, or the cycle is over. */
static void *watch(void *round)
{
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&rounds) == *(unsigned *)round)
        if (is_stopped(atomic_load(&runner)))
            return round;
    return NULL;
}

static void *come_out(void *unused)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (blocking(watch, &round))
            expect(!is_stopped(atomic_load(&runner)),
                   "expected no thread to leave a region while the world is stopped");
        while (atomic_load(&rounds) == round)
            sched_yield();
    }
    return unused;
}

static void leaving_waits_for_the_world(void)
{
    pthread_t busy, watcher;
    running = "leaving while the world is stopped";
    pthread_create(&busy, NULL, run_for_ever, NULL);
    while (!atomic_load(&runner))
        usleep(100);
    pthread_create(&watcher, NULL, come_out, NULL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        while (atomic_load(&ready) == round)
            sched_yield();
        full_cycle();
        atomic_fetch_add(&rounds, 1);
    }
    pthread_join(watcher, NULL);
    atomic_store(&stop, true);
    pthread_join(busy, NULL);
}

/* --- Coming and going --- */

#define VISITORS 4

static void *wait_little(void *argument)
{
    usleep(*(useconds_t *)argument);
    return NULL;
}

static void *wait_twice(void *argument)
{
    blocking(wait_little, argument);
    return blocking(wait_little, argument);
}

/* What it has it changes as soon as it is out; nobody else knows of it. */
static void *come_and_go(void *unused)
{
    struct random random = {(uintptr_t)&random};
    void *blocks[32] = {NULL};
    while (!atomic_load(&stop)) {
        useconds_t time = (useconds_t)(random_next(&random) % 200);
        blocking(time % 2 ? wait_little : wait_twice, &time);
        for (unsigned i = 0; i < 200; i++) {
            unsigned at = (unsigned)(random_next(&random) % 32);
            expect(!blocks[at] || is_whole(hide(blocks[at]), 400), "expected blocks to be whole");
            if (i % 2)
                free(blocks[at]);
            blocks[at] = make_block(400);
        }
    }
    return unused;
}

static void threads_enter_and_leave(void)
{
    pthread_t threads[VISITORS];
    running = "threads that enter and leave";
    atomic_store(&stop, false);
    for (unsigned i = 0; i < VISITORS; i++)
        pthread_create(&threads[i], NULL, come_and_go, NULL);
    for (unsigned i = 0; i < 150; i++)
        expect(collect() == 0, "expected a cycle to succeed");
    atomic_store(&stop, true);
    for (unsigned i = 0; i < VISITORS; i++)
        pthread_join(threads[i], NULL);
}

/* --- Ends --- */

#define STACK ((size_t)256 << 10)

static void *wait_for_ever(void *unused)
{
    atomic_store(&arrived, 1);
    for (;;)
        pause();
    return unused;
}

static void *leave_for_good(void *unused)
{
    pthread_exit(unused);
}

static void *enter(void *call)
{
    return blocking(call ? wait_for_ever : leave_for_good, NULL);
}

static void *start(pthread_t *thread, bool for_ever)
{
    pthread_attr_t attributes;
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, STACK);
    atomic_store(&arrived, 0);
    pthread_create(thread, &attributes, enter, for_ever ? stack : NULL);
    while (for_ever && !atomic_load(&arrived))
        usleep(100);
    return stack;
}

/* Its stack is gone afterwards: whoever still looks for a region there dies. */
static void ended_threads_have_left(void)
{
    pthread_t thread;
    running = "threads that end inside";
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        void *stack = start(&thread, cancelled);
        if (cancelled)
            pthread_cancel(thread);
        pthread_join(thread, NULL);
        munmap(stack, STACK);
        full_cycle();
    }
}

static void *fork_inside(void *block)
{
    pid_t child = fork();
    if (child == 0)
        return block;
    expect_success(child, "a child from within a blocking region");
    return NULL;
}

/* Beside a thread that the child hasn't got, and whose stack it does without. */
static void children_begin_anew(void)
{
    pthread_t thread;
    running = "a fork beside and from within a blocking region";
    void *stack = start(&thread, true);
    void *volatile block = make_block(400);
    void *result = blocking(fork_inside, block);
    if (result) {
        watchdog(20);
        munmap(stack, STACK);
        expect_alive(hide(block), 400, "a child's stack");
        result = blocking(wait_little, &(useconds_t){10});
        expect_alive(hide(block), 400, "a child's stack, after a region of its own");
        _exit(0);
    }
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    full_cycle();
}

int main(void)
{
    gc_promise_begin(100);
    find_call("ga_gc_blocking", &blocking);
    sem_init(&go_on, 0, 0);
    it_needs_no_signal();
    leaving_waits_for_the_world();
    threads_enter_and_leave();
    ended_threads_have_left();
    children_begin_anew();
    return 0;
}
