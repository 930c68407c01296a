// SPDX-License-Identifier: MIT
/*
 * soak.c: everything at once, for minutes. Worker threads call every entry point on blocks whose
 * contents are verified, while
 *   - each gets ten thousand signals a second, on a stack of its own;
 *   - further threads come, allocate, and are cancelled or leave by pthread_exit;
 *   - two threads fork, and the children verify and free what the workers hold;
 *   - the limit of the address space goes down and up again;
 *   - in debug builds mapping calls fail;
 *   - the memory is trimmed, figures are read, the scavenger's thread comes and goes;
 *   - the whole process is stopped and continued.
 *
 * So any call may be refused, but none may lose anything: every few seconds all threads come to an
 * end, the checkers run, and what the library counts as live is compared with what is held. A
 * watchdog says who was at what when one round takes too long.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entries.h"
#include "goalloc/goalloc.h"
#include "mcentral/mcentral.h"
#include "options/options.h"
#include "os/fault.h"
#include "stress.h"

#define WORKERS      4
#define BLOCKS       1500
#define BUDGET       ((size_t)6 << 20) /* bytes that a worker holds in the first round, at most */
#define GROWTHS      10                /* rounds in each of which they hold as much more */
#define ROUND_NS     3000000000u
#define ROUND_LIMIT  300 /* seconds after which a round counts as hanging */
#define FOREIGN      600 /* blocks that libc may hold for itself */
#define FOREIGN_SIZE ((size_t)4 << 20)
#define SIGNAL       (SIGRTMIN + 4)
#define ALT_STACK    ((size_t)32 << 10)

struct worker {
    struct block blocks[BLOCKS];
    size_t held; /* bytes */
    struct dice dice;
    uint64_t next_id;
    pthread_mutex_t lock; /* over each step, and over a fork */
    const char *doing;    /* for the watchdog */
    unsigned char alternate[ALT_STACK];
};

static struct worker workers[WORKERS];
static size_t budget; /* constant during a round */
static atomic_bool stop;
static atomic_ullong operations, refusals, forks, departures, faults, signals;

/* --- Signals --- */

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add_explicit(&signals, 1, memory_order_relaxed);
}

static timer_t start_signals(struct worker *worker)
{
    timer_t timer;
    stack_t stack = {.ss_sp = worker->alternate, .ss_size = ALT_STACK};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL};
    const struct itimerspec period = {{0, 100000}, {0, 100000}};
    CHECK(sigaltstack(&stack, NULL) == 0);
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &period, NULL) == 0);
    return timer;
}

static void end_signals(timer_t timer)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    timer_delete(timer);
    sigaltstack(&none, NULL);
}

/* --- Workers --- */

static size_t random_size(struct dice *dice)
{
    static const size_t limits[] = {100, 300, 1000, 3000, 9000, 40000, 300000, 3000000};
    return 1 + dice_below(dice, limits[dice_below(dice, dice_below(dice, 20) ? 6 : 8)]);
}

static void verify(const struct block *block)
{
    if (!pattern_holds(block, block->memory, block->size))
        FAIL("block %llx of %zu bytes at %p isn't as it was written", (unsigned long long)block->id,
             block->size, (void *)block->memory);
}

static bool refused(const void *p, int error)
{
    if (p)
        return false;
    if (error != ENOMEM)
        FAIL("a call failed with errno %d", error);
    atomic_fetch_add_explicit(&refusals, 1, memory_order_relaxed);
    return true;
}

static void claim(struct worker *worker, struct block *block, void *memory, size_t size)
{
    block->memory = memory;
    block->size = size;
    block->id = worker->next_id += 1 << 4;
    worker->held += size;
    pattern_write(block);
}

static void allocate(struct worker *worker, struct block *block)
{
    unsigned entry = (unsigned)dice_next(&worker->dice) >> 1;
    size_t size = random_size(&worker->dice), align;
    worker->doing = "allocating";
    errno = 0;
    void *p = entry_alloc(entry, size, (size_t)1 << dice_below(&worker->dice, 16), &align);
    if (refused(p, errno))
        return;
    CHECK((uintptr_t)p % align == 0 && malloc_usable_size(p) >= size);
    CHECK(!entry_zeroes(entry) || all_zero(p, size));
    claim(worker, block, p, size);
}

static void resize(struct worker *worker, struct block *block)
{
    size_t old = block->size, size = random_size(&worker->dice);
    size = dice_below(&worker->dice, 3) ? size : old + old / 2;
    worker->doing = "resizing";
    verify(block);
    errno = 0;
    void *p = realloc(block->memory, size);
    if (refused(p, errno))
        return;
    CHECK(pattern_holds(block, p, size < old ? size : old));
    worker->held -= old;
    claim(worker, block, p, size);
}

static void release(struct worker *worker, struct block *block)
{
    worker->doing = "freeing";
    verify(block);
    worker->held -= block->size;
    errno = 4321;
    entry_free((unsigned)dice_next(&worker->dice) >> 1, block->memory, block->size);
    CHECK(errno == 4321);
    block->memory = NULL;
}

static void look_at_the_whole(struct worker *worker)
{
    struct ga_stats stats;
    worker->doing = "looking at the whole";
    switch (dice_below(&worker->dice, 6)) {
    case 0:
        malloc_trim(dice_below(&worker->dice, (size_t)64 << 20));
        break;
    case 1:
        ga_free_os_memory();
        break;
    case 2:
        CHECK(mallinfo2().arena > 0);
        break;
    default:
        ga_stats(&stats, sizeof(stats));
        CHECK(stats.mapped > 0);
    }
}

static void step(struct worker *worker)
{
    struct block *block = &worker->blocks[dice_below(&worker->dice, BLOCKS)];
    size_t choice = dice_below(&worker->dice, 2000);
    if (choice < 2)
        look_at_the_whole(worker);
    else if (!block->memory && worker->held < budget)
        allocate(worker, block);
    else if (block->memory && choice < 500 && worker->held < budget)
        resize(worker, block);
    else if (block->memory)
        release(worker, block);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    timer_t timer = start_signals(worker);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        pthread_mutex_lock(&worker->lock);
        for (int i = 0; i < 20; i++)
            step(worker);
        pthread_mutex_unlock(&worker->lock);
        atomic_fetch_add_explicit(&operations, 20, memory_order_relaxed);
    }
    end_signals(timer);
    worker->doing = "nothing";
    return NULL;
}

/* --- Threads that come and go --- */

struct guest {
    struct block blocks[30];
    struct dice dice;
};

static void guest_leaves(void *argument)
{
    struct guest *guest = argument;
    for (size_t i = 0; i < 30; i++) {
        if (!guest->blocks[i].memory)
            continue;
        verify(&guest->blocks[i]);
        free(guest->blocks[i].memory);
    }
    atomic_fetch_add_explicit(&departures, 1, memory_order_relaxed);
}

static void guest_step(struct guest *guest)
{
    struct block *block = &guest->blocks[dice_below(&guest->dice, 30)];
    if (block->memory) {
        verify(block);
        free(block->memory);
    }
    *block = (struct block){malloc(50), 50, dice_next(&guest->dice)};
    if (block->memory)
        pattern_write(block);
}

static void guest_steps(struct guest *guest)
{
    for (size_t steps = 1 + dice_below(&guest->dice, 4000); steps; steps--) {
        guest_step(guest);
        pthread_testcancel();
    }
}

static void *be_a_guest(void *guest)
{
    pthread_cleanup_push(guest_leaves, guest);
    guest_steps(guest);
    pthread_exit(NULL);
    pthread_cleanup_pop(1);
    return NULL;
}

static void invite(struct dice *dice)
{
    pthread_t thread;
    struct guest *guest = calloc(1, sizeof(*guest));
    if (!guest)
        return;
    guest->dice.state = dice_next(dice);
    if (pthread_create(&thread, NULL, be_a_guest, guest) == 0) {
        usleep(200 + (unsigned)dice_below(dice, 3000));
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
    free(guest);
}

/* What libc loads to unwind a thread's stack it must load before memory gets short. */
static void invite_the_first(void)
{
    struct dice dice = {stress.seed};
    while (!atomic_load(&departures))
        invite(&dice);
}

static void *invite_guests(void *seed)
{
    struct dice dice = {(uintptr_t)seed};
    while (!atomic_load(&stop))
        invite(&dice);
    return NULL;
}

/* --- Forks --- */

static void in_child(struct dice *dice)
{
    struct worker *worker = &workers[dice_below(dice, WORKERS)];
    alarm(ROUND_LIMIT);
#ifdef GOALLOC_DEBUG
    atomic_store(&os_fault_at, 0);
#endif
    for (size_t i = 0; i < BLOCKS; i++)
        if (worker->blocks[i].memory)
            release(worker, &worker->blocks[i]);
    for (size_t size = 1; size < (size_t)2 << 20; size += size / 2 + 1)
        free(malloc(size));
    mheap_check();
    mcentral_check();
    _exit(0);
}

/* With the workers between two steps: a child sees no half-written block. */
static pid_t fork_between_steps(struct dice *dice)
{
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_mutex_lock(&workers[i].lock);
    pid_t pid = fork();
    if (pid == 0)
        in_child(dice);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_mutex_unlock(&workers[i].lock);
    return pid;
}

static void *fork_for_ever(void *seed)
{
    struct dice dice = {(uintptr_t)seed};
    while (!atomic_load(&stop)) {
        int status = 0;
        pid_t pid = fork_between_steps(&dice);
        if (pid < 0)
            continue; /* memory is short just now */
        CHECK(waitpid(pid, &status, 0) == pid);
        if (status != 0)
            FAIL("a forked child ended with status %#x", (unsigned)status);
        atomic_fetch_add(&forks, 1);
        usleep((unsigned)dice_below(&dice, 20000));
    }
    return NULL;
}

/* --- Shortage --- */

static void lower_the_limit(struct dice *dice)
{
    struct ga_stats stats;
    struct rlimit limit;
    ga_stats(&stats, sizeof(stats));
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    rlim_t before = limit.rlim_cur;
    /* Less than is mapped already: nothing more is to be had. */
    limit.rlim_cur = stats.mapped + dice_below(dice, stats.mapped);
    setrlimit(RLIMIT_AS, &limit);
    usleep((unsigned)dice_below(dice, 20000));
    limit.rlim_cur = before;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

#ifdef GOALLOC_DEBUG
static void make_calls_fail(struct dice *dice)
{
    atomic_store(&os_fault_kinds, (unsigned)dice_below(dice, 16));
    atomic_store(&os_fault_forever, dice_below(dice, 2));
    atomic_store(&os_fault_at, 1 + (long)dice_below(dice, 6));
    usleep((unsigned)dice_below(dice, 20000));
    atomic_fetch_add(&faults, atomic_load(&os_fault_at) <= 0);
    atomic_store(&os_fault_at, 0);
}
#else
static void make_calls_fail(struct dice *dice)
{
    usleep((unsigned)dice_below(dice, 20000));
}
#endif

static void *make_memory_short(void *seed)
{
    struct dice dice = {(uintptr_t)seed};
    while (!atomic_load(&stop)) {
        if (dice_below(&dice, 2))
            lower_the_limit(&dice);
        else
            make_calls_fail(&dice);
        usleep((unsigned)dice_below(&dice, 30000));
    }
    return NULL;
}

/* --- Rounds --- */

static void check_everything(void)
{
    struct ga_stats stats;
    size_t blocks = 0, bytes = 0;
    mheap_check();
    mcentral_check();
    for (size_t i = 0; i < WORKERS; i++)
        for (size_t j = 0; j < BLOCKS; j++) {
            const struct block *block = &workers[i].blocks[j];
            if (!block->memory)
                continue;
            verify(block);
            blocks++;
            bytes += malloc_usable_size(block->memory);
        }
    ga_stats(&stats, sizeof(stats));
    if (stats.live_blocks < blocks || stats.live_blocks > blocks + FOREIGN)
        FAIL("%zu blocks are live, and %zu are held", stats.live_blocks, blocks);
    if (stats.live < bytes || stats.live > bytes + FOREIGN_SIZE)
        FAIL("%zu bytes are live, and %zu are held", stats.live, bytes);
    CHECK(stats.mapped == stats.in_use + stats.free_dirty + stats.free_released);
}

static void say_who_hangs(int number)
{
    (void)number;
    dprintf(2,
            "seed %llu: a round takes too long; the workers are:", (unsigned long long)stress.seed);
    for (size_t i = 0; i < WORKERS; i++)
        dprintf(2, " %s;", workers[i].doing);
    dprintf(2, " %llu operations, %llu forks, %llu departures\n", atomic_load(&operations),
            atomic_load(&forks), atomic_load(&departures));
    abort();
}

static void round_of(struct dice *dice, unsigned round)
{
    static void *(*const bodies[])(void *) = {fork_for_ever, fork_for_ever, invite_guests,
                                              invite_guests, make_memory_short};
    enum { OTHERS = sizeof(bodies) / sizeof(*bodies) };
    pthread_t ids[WORKERS], others[OTHERS];
    struct timespec pause = {ROUND_NS / 1000000000u, ROUND_NS % 1000000000u};
    alarm(ROUND_LIMIT);
    atomic_store(&stop, false);
    budget = BUDGET * (1 + round % GROWTHS);
    options.background = dice_below(dice, 2);
    for (size_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&ids[i], NULL, work, &workers[i]) == 0);
    for (size_t i = 0; i < OTHERS; i++)
        CHECK(pthread_create(&others[i], NULL, bodies[i], (void *)(uintptr_t)dice_next(dice)) == 0);
    while (nanosleep(&pause, &pause) != 0)
        continue;
    atomic_store(&stop, true);
    for (size_t i = 0; i < WORKERS; i++)
        CHECK(pthread_join(ids[i], NULL) == 0);
    for (size_t i = 0; i < OTHERS; i++)
        CHECK(pthread_join(others[i], NULL) == 0);
    check_everything();
}

static void soak(void)
{
    const struct sigaction action = {.sa_handler = count_signal,
                                     .sa_flags = SA_RESTART | SA_ONSTACK};
    struct dice dice = {stress.seed};
    unsigned rounds = 0;
    signal(SIGALRM, say_who_hangs);
    sigaction(SIGNAL, &action, NULL);
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i].dice.state = dice_next(&dice);
        workers[i].next_id = i + 1;
        workers[i].doing = "nothing";
        pthread_mutex_init(&workers[i].lock, NULL);
    }
    invite_the_first();
    for (; rounds == 0 || stress_goes_on(); rounds++)
        round_of(&dice, rounds);
    for (size_t i = 0; i < WORKERS; i++)
        for (size_t j = 0; j < BLOCKS; j++)
            if (workers[i].blocks[j].memory)
                release(&workers[i], &workers[i].blocks[j]);
    check_everything();
    CHECK(atomic_load(&operations) && atomic_load(&forks) && atomic_load(&departures));
    CHECK(atomic_load(&signals));
    printf("%u rounds: %llu operations, %llu of them refused; %llu forks, %llu threads left, "
           "%llu faults, %llu signals\n",
           rounds, atomic_load(&operations), atomic_load(&refusals), atomic_load(&forks),
           atomic_load(&departures), atomic_load(&faults), atomic_load(&signals));
}

/* Stops and continues the process that soaks, until that has ended. It may hang with every signal
 * blocked. */
static int stop_and_continue(pid_t pid)
{
    struct dice dice = {stress.seed + 1};
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (stress_seconds() > stress.seconds + ROUND_LIMIT + 60) {
            kill(pid, SIGKILL);
            FAIL("the soak should have ended after %.0f seconds, and says nothing", stress.seconds);
        }
        usleep(20000 + (unsigned)dice_below(&dice, 300000));
        kill(pid, SIGSTOP);
        usleep((unsigned)dice_below(&dice, 5000));
        kill(pid, SIGCONT);
    }
    return status;
}

int main(int argc, char **argv)
{
    stress_begin(argc, argv);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        soak();
        fflush(stdout);
        _exit(0);
    }
    int status = stop_and_continue(pid);
    if (status != 0)
        FAIL("the soak ended with status %#x", (unsigned)status);
    return 0;
}
