// SPDX-License-Identifier: MIT
//
// A child that is forked while another thread pins blocks can pin and collect. So can one that a
// signal's handler forks while a block's pages are moved: it marks as its parent does.

#include "collected.h"

#include <sys/mman.h>
#include <sys/time.h>

#define PINS  3000
#define FORKS 40
#define MOVES 150
#define LONG  ((size_t)64 << 20)

static int (*pin)(const void *);
static void (*unpin)(const void *);
static atomic_bool stop;

/* Unpinning the first one looks at all of them. */
static void *pin_for_ever(void *unused)
{
    static char bytes[PINS];
    for (unsigned i = 0; i < PINS; i++)
        pin(&bytes[i]);
    while (!atomic_load(&stop)) {
        unpin(&bytes[0]);
        pin(&bytes[0]);
    }
    return unused;
}

static void while_another_pins(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, pin_for_ever, NULL);
    for (unsigned i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            watchdog(20);
            expect(pin(&thread) == 0, "expected a child to pin");
            expect(collect() == 0, "expected a cycle in a child");
            _exit(0);
        }
        expect_success(child, "a child that pins");
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

static volatile sig_atomic_t moves, is_child;
static volatile pid_t forked;

static void fork_here(int number)
{
    (void)number;
    if (!moves)
        return;
    moves = 0;
    forked = fork();
    is_child = forked == 0;
}

/* A wall behind it, so that it moves. */
static char *grow(char *block)
{
    char *wall = malloc((size_t)2 << 20);
    struct itimerval soon = {{0, 0}, {0, 20 + rand() % 600}};
    forked = 0;
    setitimer(ITIMER_REAL, &soon, NULL);
    moves = 1;
    block = realloc(block, LONG + LONG / 2);
    moves = 0;
    free(wall);
    return block;
}

static bool tracks(void)
{
    size_t before = gc_stats_now().tracked;
    expect(collect() == 0, "expected a cycle");
    return gc_stats_now().tracked > before;
}

static void while_a_block_moves(void)
{
    bool parent_tracks = tracks();
    unsigned forks = 0;
    signal(SIGALRM, fork_here);
    for (unsigned i = 0; i < MOVES; i++) {
        char *block = malloc(LONG);
        madvise(block, LONG, MADV_POPULATE_WRITE);
        block[LONG - 1] = 1;
        block = grow(block);
        expect(block && block[LONG - 1] == 1, "expected a block to keep its bytes");
        if (is_child) {
            watchdog(20);
            expect(tracks() == parent_tracks, "expected a child to mark as its parent does");
            _exit(0);
        }
        if (forked)
            expect_success(forked, "a child of a handler");
        forks += forked != 0;
        free(block);
    }
    printf("%u children forked by a handler\n", forks);
}

int main(void)
{
    gc_promise_begin(150);
    find_call("ga_gc_pin", &pin);
    find_call("ga_gc_unpin", &unpin);
    while_another_pins();
    while_a_block_moves();
    return 0;
}
