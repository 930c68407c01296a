// SPDX-License-Identifier: MIT
//
// What no pointer leads to is freed by the next cycle, whatever its size, also where blocks point
// at each other in rings; a program that frees nothing doesn't grow; blocks that were freed
// explicitly are not freed again. (A few of a hundred may be kept by words that look like
// pointers.)

#include <malloc.h>

#include "collected.h"

#define COUNT 100
#define KEPT  10 /* at most: words on the stack, in registers, in magazines' places */

__attribute__((noinline)) static void make_and_forget(size_t size)
{
    for (unsigned i = 0; i < COUNT; i++) {
        void *block = make_block(size);
        __asm__ volatile("" ::"r"(block) : "memory");
    }
}

static void every_size_is_freed(size_t largest)
{
    for (size_t size = 16; size <= largest; size += size / 3 + 1) {
        full_cycle();
        size_t before = gc_stats_now().freed_blocks;
        make_and_forget(size);
        full_cycle();
        size_t freed = gc_stats_now().freed_blocks - before;
        expect(freed >= COUNT - KEPT, "expected %d dead blocks of %zu bytes to be freed, not %zu",
               COUNT, size, freed);
    }
}

__attribute__((noinline)) static void make_rings(void)
{
    for (unsigned ring = 0; ring < COUNT; ring++) {
        void **first = malloc(64), **last = first;
        for (unsigned i = 0; i < 20; i++) {
            void **next = malloc(64 + i * 100);
            *last = next;
            last = next;
        }
        *last = first;
    }
}

static void rings_are_freed(void)
{
    full_cycle();
    size_t before = gc_stats_now().freed_blocks;
    make_rings();
    full_cycle();
    size_t freed = gc_stats_now().freed_blocks - before;
    expect(freed >= (COUNT - KEPT) * 21u, "expected rings to be freed, only %zu blocks were",
           freed);
}

/* Without this a test for life could not fail. */
static void a_hidden_pointer_does_not_count(void)
{
    hidden all[COUNT];
    unsigned dead = 0;
    for (unsigned i = 0; i < COUNT; i++)
        all[i] = hide(make_block(400));
    full_cycle();
    overwrite_free(400);
    for (unsigned i = 0; i < COUNT; i++)
        dead += !is_whole(all[i], 400);
    expect(dead >= COUNT - KEPT, "expected hidden blocks to be freed, only %u were", dead);
}

static void a_leaking_program_stays_small(void)
{
    struct random random = {7};
    void *volatile kept[1000] = {NULL};
    for (unsigned i = 0; i < 400000; i++) {
        size_t size = random_size(&random, 12);
        char *block = malloc(size);
        mark(block, size, (unsigned char)i);
        kept[random_next(&random) % 1000] = block;
    }
    expect(kept[0] != NULL, "expected blocks to be kept");
    size_t resident = resident_kilobytes();
    expect(resident < 80000, "expected a leaking program to stay small, it has %zu KB", resident);
}

static void freeing_oneself_is_fine(void)
{
    struct random random = {9};
    void *blocks[500] = {NULL};
    for (unsigned i = 0; i < 200000; i++) {
        unsigned at = (unsigned)(random_next(&random) % 500);
        if (random_next(&random) % 4)
            free(blocks[at]);
        blocks[at] = malloc(random_size(&random, 14));
        if (i % 20000 == 0)
            full_cycle();
    }
    for (unsigned i = 0; i < 500; i++)
        free(blocks[i]);
    full_cycle();
    overwrite_free(400);
}

/* One, for the pointer right behind it. */
static void a_block_takes_a_byte_more(void)
{
    for (size_t size = 16; size <= 256; size += 16) {
        void *fits = malloc(size - 1), *grows = malloc(size);
        expect(malloc_usable_size(fits) == size, "expected a block of %zu for %zu bytes", size,
               size - 1);
        expect(malloc_usable_size(grows) == size + 16 || size == 256,
               "expected a block of %zu for %zu bytes", size + 16, size);
        free(fits);
        free(grows);
    }
}

int main(void)
{
    gc_promise_begin(100);
    a_block_takes_a_byte_more();
    a_hidden_pointer_does_not_count(); /* first, while few blocks are free that could be reused */
    a_leaking_program_stays_small();
    every_size_is_freed((size_t)5 << 20);
    rings_are_freed();
    freeing_oneself_is_fine();
    return 0;
}
