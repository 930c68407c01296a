// SPDX-License-Identifier: MIT
/*
 * out_of_memory.c: a workload of all entry points and some threads, in which the n-th system call
 * for memory fails: for each n up to the last, once that call alone and once all from it on; of all
 * kinds of calls together and of each kind. What fails says so with NULL and ENOMEM, nothing that
 * was held is lost, the checkers pass, and when memory is there again the workload runs to its end;
 * when all is freed, as much is live as at the start. Each n has a process of its own, so that the
 * first call is the heap's very first.
 *
 * Then the same by RLIMIT_AS. Debug builds only: src/os/fault.h makes the calls fail.
 */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entries.h"
#include "goalloc/goalloc.h"
#include "mcentral/mcentral.h"
#include "os/fault.h"
#include "os/os.h"
#include "stress.h"

#define BLOCKS  120
#define THREADS 3

struct worker {
    struct block blocks[BLOCKS];
    struct dice dice;
    size_t failures;
};
static struct worker workers[THREADS + 1];

static size_t random_size(struct dice *dice)
{
    static const size_t limits[] = {100, 1000, 9000, 20000, 70000, 70000, 300000, 4000000};
    return 1 + dice_below(dice, limits[dice_below(dice, 8)]);
}

static bool failed(struct worker *worker, const void *p, int error)
{
    if (p)
        return false;
    if (error != ENOMEM)
        FAIL("a call failed with errno %d", error);
    worker->failures++;
    return true;
}

static void allocate(struct worker *worker, struct block *block)
{
    unsigned entry = (unsigned)dice_next(&worker->dice) >> 1;
    size_t size = random_size(&worker->dice), align;
    errno = 0;
    void *p = entry_alloc(entry, size, (size_t)1 << dice_below(&worker->dice, 18), &align);
    if (failed(worker, p, errno))
        return;
    CHECK((uintptr_t)p % align == 0);
    if (entry_zeroes(entry) && !all_zero(p, size))
        FAIL("calloc of %zu bytes by entry %u isn't zero", size, entry % ALLOC_ENTRIES);
    *block = (struct block){p, size, dice_next(&worker->dice)};
    pattern_write(block);
}

static void resize(struct worker *worker, struct block *block)
{
    size_t size = random_size(&worker->dice);
    errno = 0;
    void *p = realloc(block->memory, size);
    if (failed(worker, p, errno))
        return;
    CHECK(pattern_holds(block, p, size));
    block->memory = p;
    block->size = size;
    pattern_write(block);
}

static void release(struct worker *worker, struct block *block)
{
    CHECK(pattern_holds(block, block->memory, block->size));
    errno = 77;
    entry_free((unsigned)dice_next(&worker->dice) >> 1, block->memory, block->size);
    CHECK(errno == 77);
    block->memory = NULL;
}

/* Blocks that grow past one another have to be moved. */
static void grow_in_turns(struct worker *worker)
{
    enum { GROWING = 12 };
    struct block blocks[GROWING] = {{0}};
    for (int i = 0; i < 100; i++) {
        struct block *block = &blocks[dice_below(&worker->dice, GROWING)];
        size_t size = block->size > 2000000 ? 150000 : 150000 + block->size * 3 / 2;
        errno = 0;
        void *p = realloc(block->memory, size);
        if (failed(worker, p, errno))
            continue;
        CHECK(pattern_holds(block, p, size < block->size ? size : block->size));
        *block = (struct block){p, size, dice_next(&worker->dice)};
        pattern_write(block);
    }
    for (size_t i = 0; i < GROWING; i++) {
        CHECK(pattern_holds(&blocks[i], blocks[i].memory, blocks[i].size));
        free(blocks[i].memory);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    if (worker == &workers[THREADS])
        grow_in_turns(worker);
    for (int i = 0; i < 250; i++) {
        struct block *block = &worker->blocks[dice_below(&worker->dice, BLOCKS)];
        if (!block->memory)
            allocate(worker, block);
        else if (dice_below(&worker->dice, 2))
            resize(worker, block);
        else
            release(worker, block);
        if (i == 125 && worker == &workers[0])
            malloc_trim((size_t)6 << 20);
    }
    return NULL;
}

/* A thread that can't be started, because its stack or its cache can't be had, is no failure. */
static void work_in_threads(void)
{
    pthread_t ids[THREADS];
    bool started[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        started[i] = pthread_create(&ids[i], NULL, work, &workers[i]) == 0;
    work(&workers[THREADS]);
    for (size_t i = 0; i < THREADS; i++)
        if (started[i])
            pthread_join(ids[i], NULL);
}

static void check_all_blocks(void)
{
    mheap_check();
    mcentral_check();
    for (size_t i = 0; i <= THREADS; i++)
        for (size_t j = 0; j < BLOCKS; j++) {
            const struct block *block = &workers[i].blocks[j];
            if (block->memory && !pattern_holds(block, block->memory, block->size))
                FAIL("a block of %zu bytes was lost", block->size);
        }
}

static void free_all(void)
{
    for (size_t i = 0; i <= THREADS; i++)
        for (size_t j = 0; j < BLOCKS; j++)
            if (workers[i].blocks[j].memory)
                release(&workers[i], &workers[i].blocks[j]);
}

static size_t count_failures(void)
{
    size_t failures = 0;
    for (size_t i = 0; i <= THREADS; i++)
        failures += workers[i].failures;
    return failures;
}

static void seed_workers(uint64_t seed)
{
    for (size_t i = 0; i <= THREADS; i++)
        workers[i].dice.state = seed * 31 + i + 1;
}

/* What libc may keep for itself once threads have run. */
#define KEPT_BY_LIBC 40

static size_t live_blocks(void)
{
    struct ga_stats stats;
    ga_stats(&stats, sizeof(stats));
    CHECK(stats.in_use == stats.live + stats.cached + stats.span_free);
    return stats.live_blocks;
}

/* The calls that fail. With `mmap` among them some allocations must be refused. */
struct faults {
    unsigned kinds; /* as os_fault_kinds has it */
    const char *name;
    long least; /* the workload makes more such calls than this */
};
static const struct faults all_faults[] = {
    {0, "any call", 10},
    {OS_FAULT_MMAP, "mmap", 8},
    {OS_FAULT_MADVISE, "madvise", 2},
    {OS_FAULT_MREMAP, "mremap", 2},
    {OS_FAULT_MADVISE | OS_FAULT_MREMAP, "madvise or mremap", 5},
};
#define FAULTS (sizeof(all_faults) / sizeof(*all_faults))

static bool refuses_memory(const struct faults *faults)
{
    return faults->kinds == 0 || faults->kinds & OS_FAULT_MMAP;
}

/* With the n-th call failing. true: the workload made that many calls. */
static bool fail_at(const struct faults *faults, long n, bool forever)
{
    size_t live = live_blocks();
    atomic_store(&os_fault_kinds, faults->kinds);
    atomic_store(&os_fault_forever, forever);
    atomic_store(&os_fault_at, n);
    work_in_threads();
    bool reached = atomic_load(&os_fault_at) <= 0;
    atomic_store(&os_fault_at, 0);
    check_all_blocks();
    if (!refuses_memory(faults))
        CHECK(count_failures() == 0);
    else if (forever && n == 1) /* a later one may be the last, and no more than a release */
        CHECK(count_failures() > 0);
    size_t before = count_failures();
    work_in_threads();
    CHECK(count_failures() == before);
    free_all();
    check_all_blocks();
    if (live_blocks() > live + KEPT_BY_LIBC)
        FAIL("%zu blocks are live, %zu were at the start", live_blocks(), live);
    return reached;
}

/* --- Under RLIMIT_AS --- */

static void limit_address_space(size_t more)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    CHECK(statm && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    rlim_t bytes = pages * os_page_size() + more;
    const struct rlimit limit = {bytes, bytes};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static size_t fill_to_the_limit(size_t size, struct block *blocks, size_t most)
{
    size_t count = 0;
    for (; count < most; count++) {
        errno = 0;
        blocks[count] = (struct block){malloc(size), size, count};
        if (!blocks[count].memory)
            break;
        pattern_write(&blocks[count]);
    }
    CHECK(count < most && errno == ENOMEM);
    return count;
}

static void exhaust(size_t size)
{
    enum { MOST = 400000 };
    static struct block blocks[MOST];
    limit_address_space((size_t)80 << 20);
    size_t first = fill_to_the_limit(size, blocks, MOST);
    CHECK(first * size > (size_t)40 << 20);
    for (int again = 0; again < 2; again++) {
        check_all_blocks();
        for (size_t i = 0; i < first; i++)
            CHECK(pattern_holds(&blocks[i], blocks[i].memory, size));
        for (size_t i = 0; i < first; i++)
            free(blocks[i].memory);
        malloc_trim(0);
        check_all_blocks();
        size_t count = fill_to_the_limit(size, blocks, MOST);
        CHECK(count >= first - first / 20);
        first = count;
    }
}

/* --- Processes --- */

static int in_a_child(void (*function)(long, bool), long n, bool flag)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(100);
        function(n, flag);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void exhaust_in_child(long size, bool unused)
{
    (void)unused;
    exhaust((size_t)size);
}

/* exec's memory is fresh: no malloc has been served yet but libc's own few at start. */
static int run_again(const struct faults *faults, long n, bool forever)
{
    static const char self[] = "/proc/self/exe";
    char number[24], seed[24], which[24];
    int status;
    snprintf(which, sizeof(which), "%ld", (long)(faults - all_faults));
    snprintf(number, sizeof(number), "%ld", n);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)stress.seed);
    pid_t pid = vfork();
    if (pid == 0) {
        execl(self, self, "fail", which, number, forever ? "forever" : "once", seed, (char *)NULL);
        _exit(127);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

#define NOT_REACHED 3

static int fail_in_this_process(char **arguments)
{
    const struct faults *faults = &all_faults[strtoul(arguments[0], NULL, 0) % FAULTS];
    stress.seed = strtoull(arguments[3], NULL, 0);
    seed_workers(stress.seed);
    alarm(100);
    return fail_at(faults, strtol(arguments[1], NULL, 0), strcmp(arguments[2], "forever") == 0)
               ? 0
               : NOT_REACHED;
}

/* The first calls surely, the more of them the more time there is; beyond what there is time for
 * ever fewer, and fewer still where the machine is slow. A run takes from a tenth of a second to a
 * whole one. */
static long step_after(long n, long runs)
{
    bool late = stress_seconds() > 10 + 2 * stress.seconds;
    long surely = late ? 2 : 5 + (long)stress.seconds / 2;
    if (runs < (surely < 100 ? surely : 100) || stress_goes_on())
        return 1;
    return late ? 1 + 2 * n : 1 + n / 4;
}

static void fail_at_every_call(const struct faults *faults, bool forever)
{
    long n = 1, runs = 0;
    for (;; n += step_after(n, runs), runs++) {
        int status = run_again(faults, n, forever);
        if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_REACHED)
            break;
        if (status != 0)
            FAIL("%s, call %ld %s: status %#x", faults->name, n,
                 forever ? "and all later fail" : "fails", (unsigned)status);
    }
    if (n <= faults->least)
        FAIL("only %ld times %s", n - 1, faults->name);
    printf("%s: %ld runs, up to call %ld, %s\n", faults->name, runs, n - 1,
           forever ? "and all later" : "alone");
}

int main(int argc, char **argv)
{
    static const long sizes[] = {400, 5000, 100000, 3000000};
    if (argc == 6 && strcmp(argv[1], "fail") == 0)
        return fail_in_this_process(argv + 2);
    stress_begin(argc, argv);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        int status = in_a_child(exhaust_in_child, sizes[i], false);
        if (status != 0)
            FAIL("blocks of %ld bytes: status %#x", sizes[i], (unsigned)status);
    }
    for (size_t i = 0; i < FAULTS; i++) {
        fail_at_every_call(&all_faults[i], false);
        fail_at_every_call(&all_faults[i], true);
    }
    return 0;
}
