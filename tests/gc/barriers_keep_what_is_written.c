// SPDX-License-Identifier: MIT
//
// Where the program tells what it writes (gc_track=barrier) its blocks are collected beside it:
// what it stores by ga_gc_write and ga_gc_write_range stays, also what it had in a register only;
// so does what ga_gc_realloc moves, and what malloc's blocks point to, which nobody tells of and
// which are kept. What is out of reach is freed. Forks, and threads that come and go, change
// nothing.

#include "collected.h"

#include <errno.h>

#define NODES 100000 /* so many take the marker some time */
#define SIZE  176

struct node {
    struct node *next;
    uintptr_t rest[5];
};

static struct node *nodes;
static void **holder;
static hidden end_of_nodes; /* the last leads to it */
static atomic_bool go, over;

__attribute__((noinline)) static void *make_told(size_t size)
{
    uint64_t *words = ga_gc_malloc(size);
    expect(words != NULL, "expected %zu bytes", size);
    for (size_t i = 0; i < size / 8; i++)
        words[i] = PATTERN ^ i;
    return words;
}

/* As overwrite_free, of the API's blocks. */
__attribute__((noinline)) static void overwrite_told(size_t size)
{
    enum { MANY = 4000 };
    static void *blocks[MANY];
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = memset(ga_gc_malloc(size), 0x11, size);
    for (unsigned i = 0; i < MANY; i++)
        ga_gc_free(blocks[i]);
    memset(blocks, 0, sizeof(blocks));
}

__attribute__((noinline)) static hidden hidden_block(void)
{
    return hide(make_told(SIZE));
}

/* --- Stored late --- */

static void *collect_once(void *unused)
{
    while (!atomic_load(&go))
        continue;
    expect(collect() == 0, "expected a cycle to succeed");
    atomic_store(&over, true);
    return unused;
}

/* Until it is stored the pointer is in a register, and nowhere else. */
__attribute__((noinline)) static void store_late(hidden block, unsigned spins)
{
    void *pointer = unhide(block);
    __asm__ volatile("" : "+r"(pointer));
    atomic_store(&go, true);
    while (!__atomic_load_n(&ga_gc_marking, __ATOMIC_RELAXED) && !atomic_load(&over))
        continue;
    for (unsigned i = 0; i < spins && __atomic_load_n(&ga_gc_marking, __ATOMIC_RELAXED); i++)
        continue;
    ga_gc_write(&holder[3], pointer);
}

static void what_is_stored_late_stays(void)
{
    for (unsigned i = 0; i < 40; i++) {
        pthread_t thread;
        atomic_store(&go, false);
        atomic_store(&over, false);
        pthread_create(&thread, NULL, collect_once, NULL);
        hidden block = hidden_block();
        clear_stack();
        store_late(block, i * 100000);
        clear_stack();
        pthread_join(thread, NULL);
        overwrite_told(SIZE);
        expect(is_whole(block, SIZE), "expected a block that was stored to stay");
        ga_gc_write(&holder[3], NULL);
    }
}

/* Marking gets to the array last, when it has moved. */
__attribute__((noinline)) static void move_early(hidden box, size_t bytes)
{
    void **last = unhide(box);
    atomic_store(&go, true);
    while (!__atomic_load_n(&ga_gc_marking, __ATOMIC_RELAXED) && !atomic_load(&over))
        continue;
    ga_gc_write(&last[0], ga_gc_realloc(last[0], bytes));
}

__attribute__((noinline)) static void fill_array(hidden box, size_t words)
{
    void **last = unhide(box), **array = ga_gc_malloc(words * sizeof(*array));
    for (size_t i = 0; i < 50; i++)
        ga_gc_write(&array[i * words / 50], make_told(SIZE));
    ga_gc_write(&last[0], array);
}

static void what_is_moved_early_stays(void)
{
    hidden box = end_of_nodes;
    for (unsigned i = 0; i < 20; i++) {
        const size_t words = i % 2 ? 200 : 300000;
        pthread_t thread;
        fill_array(box, words);
        void *in_the_way = ga_gc_malloc((size_t)2 << 20);
        atomic_store(&go, false);
        atomic_store(&over, false);
        pthread_create(&thread, NULL, collect_once, NULL);
        clear_stack();
        move_early(box, words * 2 * sizeof(void *));
        pthread_join(thread, NULL);
        overwrite_told(SIZE);
        void **array = *(void ***)unhide(box);
        for (size_t k = 0; k < 50; k++)
            expect(is_whole(hide(array[k * words / 50]), SIZE),
                   "expected a block in an array of %zu that was moved to stay", words);
        ga_gc_free(in_the_way);
    }
}

/* --- What is freed, and what isn't --- */

__attribute__((noinline)) static void make_garbage(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        void **a = ga_gc_malloc(i + 16), **b = ga_gc_malloc_atomic(i + 16);
        ga_gc_write(&a[0], a);
        ga_gc_write(&a[1], b);
        if (i % 2)
            ga_gc_realloc(a, i * 3 + 100);
    }
    for (unsigned i = 0; i < 10; i++)
        make_told((size_t)2 << 20);
}

static void what_is_out_of_reach_is_freed(void)
{
    struct ga_gc_stats before = gc_stats_now();
    make_garbage();
    full_cycle();
    full_cycle();
    struct ga_gc_stats stats = gc_stats_now();
    expect(stats.freed_blocks - before.freed_blocks > 3900, "expected 4010 blocks freed, not %zu",
           stats.freed_blocks - before.freed_blocks);
    expect(stats.freed_bytes - before.freed_bytes > (size_t)18 << 20, "expected 20 MB freed");
}

/* Nobody points to the second, and the first isn't told of what is in it. */
static void mallocs_blocks_stay(void)
{
    static hidden in_large;
    void **told = malloc(400), **large = malloc((size_t)2 << 20);
    hidden inner = hidden_block(), lost = hide(make_block(SIZE));
    in_large = hidden_block();
    told[9] = unhide(inner);
    large[200000] = unhide(in_large);
    full_cycle();
    full_cycle();
    overwrite_told(SIZE);
    overwrite_free(SIZE);
    expect(is_whole(inner, SIZE), "expected a block to live by a block of malloc's");
    expect(is_whole(in_large, SIZE), "expected a block to live by a large block of malloc's");
    expect(is_whole(lost, SIZE), "expected malloc's block to be kept");
    free(unhide(lost));
    free(told);
    free(large);
}

static void types_are_kept_to(void)
{
    const uint64_t first_word = 1;
    ga_gc_type type = ga_gc_type_new(32, &first_word);
    struct ga_gc_stats before = gc_stats_now();
    static void **typed;
    typed = ga_gc_malloc_typed(32, type);
    hidden kept = hidden_block();
    ga_gc_write(&typed[0], unhide(kept));
    for (unsigned i = 0; i < 100; i++) {
        hidden dead = hidden_block();
        ga_gc_write(&typed[1], unhide(dead)); /* no pointer, by its type */
    }
    full_cycle();
    full_cycle();
    expect(is_whole(kept, SIZE), "expected a block to live by a word of its type's");
    expect(gc_stats_now().freed_blocks - before.freed_blocks >= 95, "expected others to be freed");
}

/* --- While cycles run back to back --- */

/* An array of pointers grows, block by block, from a few bytes to megabytes. */
static void what_realloc_moves_stays(void)
{
    static void **array;
    const size_t most = 400000;
    for (unsigned round = 0; round < 3; round++) {
        array = NULL;
        size_t made = 0;
        for (size_t room = 1; room <= most; room = room * 3 / 2 + 1) {
            array = ga_gc_realloc(array, room * sizeof(*array));
            expect(array != NULL, "expected %zu pointers", room);
            for (; made < room; made += made < 2000 ? 1 : 500)
                ga_gc_write(&array[made], make_told(SIZE));
        }
        overwrite_told(SIZE);
        for (size_t i = 0; i < made; i += i < 2000 ? 1 : 500)
            expect(is_whole(hide(array[i]), SIZE), "expected block %zu of an array to stay", i);
    }
}

/* Pointers go round between blocks, each in one at a time. */
static void what_ranges_move_stays(void)
{
    enum { PLACES = 64, WORDS = 40 };
    static void **places[PLACES];
    for (unsigned i = 0; i < PLACES; i++)
        places[i] = ga_gc_malloc(WORDS * sizeof(void *));
    for (unsigned i = 0; i < WORDS - 1; i++)
        ga_gc_write(&places[0][i], make_told(SIZE));
    for (unsigned i = 0; i < 20000; i++) {
        void **from = places[i % PLACES], **to = places[(i + 1) % PLACES];
        ga_gc_write_range(to + (i + 1) % 2, from + i % 2, (WORDS - 1) * sizeof(void *));
        memset(from, 0, WORDS * sizeof(void *));
        expect(((uint64_t *)to[(i + 1) % 2 + i % (WORDS - 1)])[7] == (PATTERN ^ 7),
               "expected a block that moved to stay");
    }
}

static void *short_life(void *unused)
{
    void **first = NULL;
    for (unsigned i = 0; i < 300; i++) {
        void **block = ga_gc_malloc(SIZE);
        ga_gc_write(&block[0], first);
        first = block;
    }
    for (unsigned i = 0; i < 300; i++, first = *first)
        expect(first != NULL, "expected a list of 300, not %u", i);
    return unused;
}

static void threads_come_and_go(void)
{
    for (unsigned i = 0; i < 300; i++) {
        pthread_t threads[4];
        for (unsigned k = 0; k < 4; k++)
            expect(pthread_create(&threads[k], NULL, short_life, NULL) == 0, "expected a thread");
        for (unsigned k = 0; k < 4; k++)
            pthread_join(threads[k], NULL);
    }
}

static void forks_change_nothing(void)
{
    for (unsigned i = 0; i < 60; i++) {
        hidden block = hidden_block();
        ga_gc_write(&holder[2], unhide(block));
        usleep(i * 50);
        pid_t child = fork();
        if (child == 0) {
            watchdog(30);
            expect(ga_gc_marking == 0, "expected no marking in a child");
            short_life(NULL);
            expect(collect() == 0, "expected a cycle in a child to succeed");
            expect(is_whole(block, SIZE), "expected a child's block to stay");
            short_life(NULL);
            _exit(0);
        }
        expect_success(child, "a child");
        expect(is_whole(block, SIZE), "expected a parent's block to stay");
    }
}

/* A thread that has something in its hands by a weak pointer alone. */
static void weak_pointers_give_what_stays(void)
{
    for (unsigned i = 0; i < 300; i++) {
        ga_gc_weak *weak = ga_gc_weak_new(make_told(SIZE));
        clear_stack();
        usleep(i % 20 * 100);
        void *block = ga_gc_weak_get(weak);
        if (block) {
            ga_gc_write(&holder[1], block);
            block = NULL;
            clear_stack();
            size_t cycles = gc_stats_now().cycles;
            while (gc_stats_now().cycles < cycles + 1)
                usleep(300);
            overwrite_told(SIZE);
            expect(is_whole(hide(holder[1]), SIZE), "expected a block that was got to stay");
            ga_gc_write(&holder[1], NULL);
        }
        ga_gc_weak_free(weak);
    }
}

/* --- On --- */

static void one_way_excludes_the_other(void)
{
    expect(ga_gc_enable_barriers() == -1 && errno == EBUSY, "expected EBUSY");
    exit(0);
}

static void run_in_other_ways(void)
{
    setenv("GOALLOC", "gc=collect", 1);
    run_again("other");
    setenv("GOALLOC", "gc=audit", 1);
    run_again("other");
    setenv("GOALLOC", "", 1);
    run_again("own");
}

static void make_nodes(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        struct node *node = ga_gc_malloc(sizeof(*node));
        ga_gc_write(&node->next, nodes);
        if (!nodes) {
            void *box = ga_gc_malloc(64);
            ga_gc_write(&node->rest[0], box);
            end_of_nodes = hide(box);
        }
        nodes = node;
    }
}

int main(int argc, char **argv)
{
    gc_promise_begin(170);
    if (argc > 1 && strcmp(argv[1], "other") == 0)
        one_way_excludes_the_other();
    bool own = argc > 1 && strcmp(argv[1], "own") == 0;
    expect(ga_gc_enable_barriers() == 0 && ga_gc_enable() == 0, "expected to switch it on");
    ga_set_gc_percent(-1);
    holder = ga_gc_malloc(64);
    make_nodes();
    what_is_stored_late_stays();
    what_is_moved_early_stays();
    what_is_out_of_reach_is_freed();
    mallocs_blocks_stay();
    types_are_kept_to();
    during_cycles(what_realloc_moves_stays);
    during_cycles(what_ranges_move_stays);
    during_cycles(weak_pointers_give_what_stays);
    expect(own || gc_stats_now().by_barriers == gc_stats_now().cycles, "expected barriers alone");
    during_cycles(threads_come_and_go);
    during_cycles(forks_change_nothing);
    if (!own) {
        expect_forced_way();
        run_in_other_ways();
    }
    return 0;
}
