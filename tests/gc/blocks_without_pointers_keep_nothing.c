// SPDX-License-Identifier: MIT
//
// ga_gc_malloc_atomic's blocks are collected and kept as others are, but what they hold keeps
// nothing alive. free, realloc and malloc_usable_size take them as any block. ga_gc_malloc's are
// zeroed. Pins and added roots keep blocks that nothing else does.

#include "collected.h"

#include <malloc.h>
#include <sys/mman.h>

#define COUNT 200
#define KEPT  10

static void *(*atomic_malloc)(size_t);
static void *(*gc_malloc)(size_t);
static void *(*gc_realloc)(void *, size_t);
static int (*add_root)(const void *, size_t);
static void (*remove_root)(const void *, size_t);
static int (*pin)(const void *);
static void (*unpin)(const void *);
static void **volatile holder;

static unsigned count_whole(const hidden *all)
{
    unsigned whole = 0;
    for (unsigned i = 0; i < COUNT; i++)
        whole += is_whole(all[i], 400);
    return whole;
}

__attribute__((noinline)) static void fill_holder(void **to, hidden *all)
{
    holder = to;
    for (unsigned i = 0; i < COUNT; i++) {
        holder[i] = make_block(400);
        all[i] = hide(holder[i]);
    }
}

/* How many of the blocks that `holder` points to outlive a cycle. */
static unsigned kept_by(void **to)
{
    hidden all[COUNT];
    fill_holder(to, all);
    full_cycle();
    overwrite_free(400);
    return count_whole(all);
}

static void what_they_hold_is_not_kept(void)
{
    unsigned kept = kept_by(atomic_malloc(COUNT * sizeof(void *)));
    expect(kept <= KEPT, "expected %d blocks to be freed, %u are alive", COUNT, kept);
    kept = kept_by(atomic_malloc((size_t)4 << 20));
    expect(kept <= KEPT, "expected %d blocks behind a large one to be freed, %u are alive", COUNT,
           kept);
    kept = kept_by(gc_malloc(COUNT * sizeof(void *)));
    expect(kept == COUNT, "expected ga_gc_malloc's block to keep %d, %u are alive", COUNT, kept);
}

static void they_themselves_are_kept(void)
{
    uint64_t *block = atomic_malloc(4000);
    for (unsigned i = 0; i < 500; i++)
        block[i] = i;
    holder = (void **)block;
    block = NULL;
    full_cycle();
    for (unsigned i = 0; i < 300; i++)
        memset(atomic_malloc(4000), 0x11, 4000);
    for (unsigned i = 0; i < 500; i++)
        expect(((uint64_t *)(void *)holder)[i] == i, "expected a block without pointers to live");
}

static void they_are_freed_when_dead(void)
{
    full_cycle();
    size_t before = gc_stats_now().freed_blocks;
    for (unsigned i = 0; i < COUNT; i++)
        memset(atomic_malloc(4000), 0x11, 4000);
    full_cycle();
    size_t freed = gc_stats_now().freed_blocks - before;
    expect(freed >= COUNT - KEPT, "expected %d dead blocks to be freed, not %zu", COUNT, freed);
}

static void the_family_takes_them(void)
{
    for (size_t size = 1; size < (size_t)3 << 20; size += size / 2 + 1) {
        char *block = atomic_malloc(size);
        mark(block, size, 7);
        expect(malloc_usable_size(block) >= size, "expected %zu usable bytes", size);
        block = gc_realloc(block, size * 3);
        expect(block && block[0] == 7 && block[size - 1] == 7, "expected realloc to keep bytes");
        block = realloc(block, size);
        expect_mark(block, size, 7);
        free(block);
        unsigned char *zeroed = gc_malloc(size);
        expect(zeroed[0] == 0 && zeroed[size - 1] == 0, "expected ga_gc_malloc to zero");
        free(zeroed);
    }
}

static void pins_and_roots_keep(void)
{
    void **shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared[3] = make_block(400);
    hidden h = hide(shared[3]);
    expect(add_root(shared, 4096) == 0, "expected to add a root");
    expect_alive(h, 400, "an added root");
    remove_root(shared, 4096);
    expect(pin(shared[3]) == 0, "expected to pin");
    expect_alive(h, 400, "a pin");
    unpin(shared[3]);
}

int main(void)
{
    gc_promise_begin(60);
    find_call("ga_gc_malloc_atomic", &atomic_malloc);
    find_call("ga_gc_malloc", &gc_malloc);
    find_call("ga_gc_realloc", &gc_realloc);
    find_call("ga_gc_add_root", &add_root);
    find_call("ga_gc_remove_root", &remove_root);
    find_call("ga_gc_pin", &pin);
    find_call("ga_gc_unpin", &unpin);
    what_they_hold_is_not_kept();
    they_themselves_are_kept();
    they_are_freed_when_dead();
    the_family_takes_them();
    pins_and_roots_keep();
    return 0;
}
