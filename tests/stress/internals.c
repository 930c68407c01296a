// SPDX-License-Identifier: MIT
/*
 * internals.c: threads drive the caches, the centrals and the page heap directly, below the entry
 * points, so that ThreadSanitizer, which brings its own malloc, sees what they do to shared state.
 * Blocks carry patterns and change hands between threads, as in differential.c.
 *
 * Statistics are read when the threads have ended: observe_all looks at other threads' caches
 * without synchronisation, which is what it promises and what ThreadSanitizer would report.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "../support/objects.h"
#include "mcentral/mcentral.h"
#include "mheap/internal.h"
#include "observe/observe.h"
#include "scavenger/scavenger.h"
#include "stress.h"

#define MAX_THREADS 6
#define BLOCKS      400
#define SHARED      64
#define OPERATIONS  4000

struct worker {
    struct block blocks[BLOCKS];
    struct dice dice;
    uint64_t next_id;
};

static struct worker workers[MAX_THREADS];
static struct {
    atomic_flag taken;
    struct block block;
} shared[SHARED];

static void claim(struct worker *worker, struct block *block, void *memory, size_t size)
{
    CHECK(memory);
    block->memory = memory;
    block->size = size;
    block->id = worker->next_id += 1 << 4;
    pattern_write(block);
}

static void claim_span(struct worker *worker, struct block *block, struct span *span, bool zeroed)
{
    CHECK(span);
    size_t size = (size_t)span->pages << HEAP_PAGE_SHIFT;
    if (zeroed) {
        mheap_zero_fresh(span);
        CHECK(all_zero((void *)span_address(span), size));
    }
    claim(worker, block, (void *)span_address(span), size);
}

static void allocate(struct worker *worker, struct block *block)
{
    struct dice *dice = &worker->dice;
    size_t pages = 1 + dice_below(dice, 200), choice = dice_below(dice, 100);
    if (choice < 90) {
        unsigned class = 1 + (unsigned)dice_below(dice, choice < 60 ? 20 : SIZE_CLASS_COUNT - 1);
        claim(worker, block, object_alloc(class), size_classes[class].size);
    } else if (choice < 93) {
        unsigned pages_class = SIZE_CLASS_FIRST_PAGE_CLASS + (unsigned)dice_below(dice, 8);
        void *zeros = mcentral_take_zero(pages_class);
        CHECK(zeros && all_zero(zeros, size_classes[pages_class].size));
        claim(worker, block, zeros, size_classes[pages_class].size);
    } else if (choice < 96) {
        claim_span(worker, block, mheap_alloc_growing(pages), false);
    } else {
        claim_span(worker, block,
                   mheap_alloc_large(pages, HEAP_PAGE << dice_below(dice, 6), CONTENTS_ANY),
                   choice & 1);
    }
}

static void verify(const struct block *block)
{
    if (!pattern_holds(block, block->memory, block->size))
        FAIL("block %llx of %zu bytes at %p isn't as it was written", (unsigned long long)block->id,
             block->size, (void *)block->memory);
}

static void release(struct block *block)
{
    verify(block);
    if (mheap_class_of(block->memory))
        object_free(block->memory);
    else
        mheap_free_large(mheap_span_of(block->memory));
    block->memory = NULL;
}

static void resize(struct worker *worker, struct block *block)
{
    struct span *span = mheap_span_of(block->memory);
    size_t old = span->pages, pages = 1 + dice_below(&worker->dice, old * 2);
    size_t kept = (old < pages ? old : pages) << HEAP_PAGE_SHIFT;
    verify(block);
    span = mheap_resize_large(span, pages);
    CHECK(span && pattern_holds(block, (void *)span_address(span), kept));
    claim_span(worker, block, span, false);
}

static void hand_over(struct worker *worker, struct block *block)
{
    size_t place = dice_below(&worker->dice, SHARED);
    if (atomic_flag_test_and_set_explicit(&shared[place].taken, memory_order_acquire))
        return;
    struct block theirs = shared[place].block;
    shared[place].block = *block;
    atomic_flag_clear_explicit(&shared[place].taken, memory_order_release);
    *block = theirs;
}

static void disturb(struct worker *worker)
{
    switch (dice_below(&worker->dice, 6)) {
    case 0:
        scavenger_release_all(dice_below(&worker->dice, (size_t)8 << 20));
        break;
    case 1:
        mheap_check();
        break;
    case 2:
        mcentral_check();
        break;
    case 3:
        mcache_flush_self();
        break;
    case 4:
        mcache_flush_idle();
        break;
    default:
        mcentral_trim(1 + (unsigned)dice_below(&worker->dice, 20),
                      (uint32_t)dice_below(&worker->dice, 4));
        break;
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (int i = 0; i < OPERATIONS && (i % 64 || stress_goes_on()); i++) {
        struct block *block = &worker->blocks[dice_below(&worker->dice, BLOCKS)];
        size_t choice = dice_below(&worker->dice, 1000);
        if (choice < 60)
            hand_over(worker, block);
        else if (choice < 64)
            disturb(worker);
        else if (!block->memory)
            allocate(worker, block);
        else if (choice < 400 && !mheap_class_of(block->memory))
            resize(worker, block);
        else
            release(block);
    }
    return NULL;
}

static void round_of(unsigned threads)
{
    pthread_t ids[MAX_THREADS];
    struct ga_stats stats;
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_create(&ids[i], NULL, work, &workers[i]) == 0);
    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_join(ids[i], NULL) == 0);
    mheap_check();
    mcentral_check();
    observe_all(&stats);
    CHECK(stats.mapped == stats.in_use + stats.free_dirty + stats.free_released);
    CHECK(stats.in_use == stats.live + stats.cached + stats.span_free);
}

static void free_all(void)
{
    for (size_t i = 0; i < MAX_THREADS; i++)
        for (size_t j = 0; j < BLOCKS; j++)
            if (workers[i].blocks[j].memory)
                release(&workers[i].blocks[j]);
    for (size_t i = 0; i < SHARED; i++)
        if (shared[i].block.memory)
            release(&shared[i].block);
}

int main(int argc, char **argv)
{
    struct ga_stats stats;
    struct dice dice;
    stress_begin(argc, argv);
    dice.state = stress.seed;
    mcache_init_process();
    CHECK(mheap_init());
    for (size_t i = 0; i < MAX_THREADS; i++) {
        workers[i].dice.state = dice_next(&dice);
        workers[i].next_id = i + 1;
    }
    while (stress_goes_on())
        round_of(2 + (unsigned)dice_below(&dice, MAX_THREADS - 1));
    free_all();
    scavenger_release_all(0);
    observe_all(&stats);
    CHECK(stats.live == 0 && stats.live_blocks == 0 && stats.cached == 0);
    CHECK(stats.in_use == 0 && stats.free_dirty == 0);
    mheap_check();
    mcentral_check();
    return 0;
}
