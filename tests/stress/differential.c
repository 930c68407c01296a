// SPDX-License-Identifier: MIT
/*
 * differential.c: one to eight threads call every entry point at random. Each block is filled with
 * words that tell the block and their place in it, and is verified before it is freed or resized;
 * so two blocks that overlap, a resize that loses bytes and a calloc that isn't zero all show.
 * Blocks also change hands through a table that all threads share.
 *
 * At quiescent points, all threads waiting, the heap's and the centrals' checkers run, and what the
 * library counts as live is compared with what the threads hold.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entries.h"
#include "goalloc/goalloc.h"
#include "mcentral/mcentral.h"
#include "stress.h"

#define MAX_THREADS  8
#define BLOCKS       3000
#define SHARED       128
#define BUDGET       ((size_t)48 << 20) /* bytes that a thread holds at most */
#define PHASES       4
#define OPERATIONS   6000
#define FOREIGN      400 /* blocks that libc may hold for itself */
#define FOREIGN_SIZE ((size_t)2 << 20)

struct worker {
    struct block blocks[BLOCKS];
    size_t held; /* bytes */
    struct dice dice;
    uint64_t next_id;
};

static struct worker workers[MAX_THREADS];
static struct {
    atomic_flag taken;
    struct block block;
} shared[SHARED];
static pthread_barrier_t barrier;
static atomic_ullong operations;

static size_t random_size(struct dice *dice)
{
    size_t percent = dice_below(dice, 1000);
    size_t limit = percent < 550   ? 300
                   : percent < 800 ? 2500
                   : percent < 920 ? 36000
                   : percent < 980 ? 300000
                   : percent < 998 ? (size_t)2 << 20
                                   : (size_t)12 << 20;
    return dice_below(dice, limit);
}

/* --- One block --- */

static void verify(const struct block *block)
{
    if (!pattern_holds(block, block->memory, block->size))
        FAIL("block %llx of %zu bytes at %p isn't as it was written", (unsigned long long)block->id,
             block->size, (void *)block->memory);
}

static void claim(struct worker *worker, struct block *block)
{
    size_t usable = malloc_usable_size(block->memory);
    CHECK(usable >= block->size);
    if (dice_below(&worker->dice, 16) == 0)
        block->size = usable;
    block->id = worker->next_id += 1 << 4;
    worker->held += block->size;
    pattern_write(block);
}

static void allocate(struct worker *worker, struct block *block)
{
    unsigned entry = (unsigned)dice_next(&worker->dice) >> 1;
    size_t power = (size_t)1 << dice_below(&worker->dice, dice_below(&worker->dice, 20) ? 10 : 22);
    size_t align;
    block->size = random_size(&worker->dice);
    block->memory = entry_alloc(entry, block->size, power, &align);
    if (!block->memory)
        FAIL("no memory for %zu bytes by entry %u", block->size, entry % ALLOC_ENTRIES);
    if ((uintptr_t)block->memory % align || (uintptr_t)block->memory % MIN_ALIGN)
        FAIL("%p by entry %u isn't aligned to %zu", (void *)block->memory, entry % ALLOC_ENTRIES,
             align);
    if (entry_zeroes(entry) && !all_zero(block->memory, block->size))
        FAIL("calloc of %zu bytes at %p isn't zero", block->size, (void *)block->memory);
    claim(worker, block);
}

static void release(struct worker *worker, struct block *block)
{
    verify(block);
    worker->held -= block->size;
    errno = 1234;
    entry_free((unsigned)dice_next(&worker->dice) >> 1, block->memory, block->size);
    CHECK(errno == 1234);
    block->memory = NULL;
}

static void resize(struct worker *worker, struct block *block)
{
    size_t size = random_size(&worker->dice), old = block->size;
    verify(block);
    if (dice_below(&worker->dice, 3) == 0)
        size = old + old / 2; /* as vectors grow */
    size += size == 0;
    unsigned char *memory = dice_below(&worker->dice, 4) ? realloc(block->memory, size)
                                                         : reallocarray(block->memory, size, 1);
    CHECK(memory && (uintptr_t)memory % MIN_ALIGN == 0);
    if (!pattern_holds(block, memory, size < old ? size : old))
        FAIL("realloc from %zu at %p to %zu at %p lost bytes", old, (void *)block->memory, size,
             (void *)memory);
    worker->held -= old;
    block->memory = memory;
    block->size = size;
    claim(worker, block);
}

/* --- Between threads, and with the library as a whole --- */

static void hand_over(struct worker *worker, struct block *block)
{
    size_t place = dice_below(&worker->dice, SHARED);
    if (atomic_flag_test_and_set_explicit(&shared[place].taken, memory_order_acquire))
        return;
    struct block theirs = shared[place].block;
    shared[place].block = *block;
    atomic_flag_clear_explicit(&shared[place].taken, memory_order_release);
    worker->held -= block->memory ? block->size : 0;
    worker->held += theirs.memory ? theirs.size : 0;
    *block = theirs;
    if (theirs.memory)
        verify(block);
}

static void fork_and_allocate(struct worker *worker)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (size_t i = 0; i < BLOCKS / 4; i++)
            if (worker->blocks[i].memory)
                release(worker, &worker->blocks[i]);
        for (size_t size = 1; size < (size_t)4 << 20; size += size / 2 + 1)
            free(malloc(size));
        mheap_check();
        mcentral_check();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0)
        FAIL("a forked child ended with status %#x", (unsigned)status);
}

static void look_at_the_whole(struct worker *worker)
{
    struct ga_stats stats;
    switch (dice_below(&worker->dice, 40)) {
    case 0:
        fork_and_allocate(worker);
        break;
    case 1:
    case 2:
        malloc_trim(dice_below(&worker->dice, (size_t)64 << 20));
        break;
    case 3:
        ga_free_os_memory();
        break;
    case 4:
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
    size_t choice = dice_below(&worker->dice, 1000);
    if (choice < 60)
        hand_over(worker, block);
    else if (choice < 62)
        look_at_the_whole(worker);
    else if (!block->memory && worker->held < BUDGET)
        allocate(worker, block);
    else if (block->memory && choice < 250 && worker->held < BUDGET)
        resize(worker, block);
    else if (block->memory)
        release(worker, block);
}

/* --- Quiescent points --- */

static void count_held(const struct block *block, struct ga_stats *ours)
{
    if (!block->memory)
        return;
    verify(block);
    ours->live_blocks++;
    ours->live += malloc_usable_size(block->memory);
}

/* With GOALLOC=hardened a block may use what was asked for, and statistics count its slot. */
static bool sizes_are_exact(void)
{
    void *p = malloc(1);
    bool exact = malloc_usable_size(p) == 1;
    free(p);
    return exact;
}

static void check_everything(void)
{
    struct ga_stats ours = {0}, stats;
    mheap_check();
    mcentral_check();
    for (size_t i = 0; i < MAX_THREADS; i++)
        for (size_t j = 0; j < BLOCKS; j++)
            count_held(&workers[i].blocks[j], &ours);
    for (size_t i = 0; i < SHARED; i++)
        count_held(&shared[i].block, &ours);
    ga_stats(&stats, sizeof(stats));
    if (stats.live_blocks < ours.live_blocks || stats.live_blocks > ours.live_blocks + FOREIGN)
        FAIL("%zu blocks are live, and %zu are held", stats.live_blocks, ours.live_blocks);
    if (stats.live < ours.live || (!sizes_are_exact() && stats.live > ours.live + FOREIGN_SIZE))
        FAIL("%zu bytes are live, and %zu are held", stats.live, ours.live);
    CHECK(stats.mapped == stats.in_use + stats.free_dirty + stats.free_released);
    CHECK(stats.in_use == stats.live + stats.cached + stats.span_free);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (int phase = 0; phase < PHASES && stress_goes_on(); phase++) {
        for (int i = 0; i < OPERATIONS; i++)
            step(worker);
        atomic_fetch_add(&operations, OPERATIONS);
    }
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
        check_everything(); /* the others' caches are full, and at rest */
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void round_of(unsigned threads)
{
    pthread_t ids[MAX_THREADS];
    pthread_barrier_init(&barrier, NULL, threads);
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_create(&ids[i], NULL, work, &workers[i]) == 0);
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_join(ids[i], NULL) == 0);
    pthread_barrier_destroy(&barrier);
    check_everything();
}

static void free_all(void)
{
    for (size_t i = 0; i < MAX_THREADS; i++)
        for (size_t j = 0; j < BLOCKS; j++)
            if (workers[i].blocks[j].memory)
                release(&workers[i], &workers[i].blocks[j]);
    for (size_t i = 0; i < SHARED; i++)
        if (shared[i].block.memory)
            release(&workers[0], &shared[i].block);
}

int main(int argc, char **argv)
{
    unsigned rounds = 0;
    struct dice dice;
    stress_begin(argc, argv);
    dice.state = stress.seed;
    for (size_t i = 0; i < MAX_THREADS; i++) {
        workers[i].dice.state = dice_next(&dice);
        workers[i].next_id = i + 1;
    }
    for (; stress_goes_on(); rounds++)
        round_of(1 + (unsigned)dice_below(&dice, MAX_THREADS));
    free_all();
    check_everything();
    printf("%llu operations in %u rounds\n", (unsigned long long)atomic_load(&operations), rounds);
    return 0;
}
