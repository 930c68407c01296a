// SPDX-License-Identifier: MIT
//
// Under a collector a block of 4 KB and more comes without what its last users have left there, be
// they many small blocks or one as large, and so does what realloc adds to one: while the program
// fills it the collector would follow what it finds. Emptying touches no page that nobody had
// touched.

#include "collected.h"

#define EACH 30

static const size_t sizes[] = {4096, 5000, 9000, 20000, 70000, 300000, 1000000, 3000000};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static void expect_empty(const char *block, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        expect(block[i] == 0, "expected byte %zu of %zu to be zero, it is %d", i, to, block[i]);
}

static void *volatile kept[SIZES][EACH];

/* All at once, so that free memory of many kinds is taken. One in three lives until the next time,
 * so that spans do. */
__attribute__((noinline)) static void take_of_all_sizes(void)
{
    for (size_t i = 0; i < SIZES; i++)
        for (unsigned k = 0; k < EACH; k++) {
            char *block = malloc(sizes[i]);
            expect_empty(block, 0, sizes[i]);
            memset(block, 0x5a, sizes[i]);
            kept[i][k] = k % 3 ? NULL : block;
        }
}

__attribute__((noinline)) static void fill_memory(void)
{
    for (unsigned i = 0; i < 300000; i++)
        make_block(16 + i % 40 * 16);
}

static void blocks_of_all_sizes_are_empty(void)
{
    for (unsigned round = 0; round < 4; round++) {
        if (round % 2 == 0)
            fill_memory();
        full_cycle();
        take_of_all_sizes();
    }
}

/* By a little, in place; and by much, where it may have to move. */
static void what_realloc_adds_is_empty(void)
{
    size_t size = 200000;
    fill_memory();
    full_cycle();
    char *block = malloc(size);
    memset(block, 1, size);
    for (unsigned i = 0; i < 16; i++) {
        size_t more = i % 3 == 0 ? size : 40000;
        block = realloc(block, size + more);
        expect_empty(block, size, size + more);
        expect(block[0] == 1 && block[size - 1] == 1, "expected a block to keep its bytes");
        memset(block, 1, size + more);
        size += more;
    }
    free(block);
}

#define SPARSE       3000
#define SPARSE_BYTES ((size_t)30000)

static void *volatile alive[SPARSE];

/* One in four lives on, so that most spans do. */
__attribute__((noinline)) static void touch_a_little(void)
{
    for (unsigned i = 0; i < SPARSE; i++) {
        char *block = malloc(SPARSE_BYTES);
        block[10] = block[SPARSE_BYTES / 2] = 1;
        alive[i] = i % 4 ? NULL : block;
    }
}

static void untouched_pages_stay_untouched(void)
{
    touch_a_little();
    size_t before = resident_kilobytes();
    full_cycle();
    size_t now = resident_kilobytes();
    expect(now < before + 4000, "expected at most 4,000 KB more than %zu, found %zu", before, now);
}

int main(void)
{
    gc_promise_begin(120);
    untouched_pages_stay_untouched();
    blocks_of_all_sizes_are_empty();
    what_realloc_adds_is_empty();
    expect_forced_way();
    return 0;
}
