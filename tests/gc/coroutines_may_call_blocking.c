// SPDX-License-Identifier: MIT
//
// In a coroutine ga_gc_blocking is a call like any other: it may wait as coroutines do, go on on
// another thread, and allocate, and what its frames and its thread's hold is kept.

#include "collected.h"

#include <goalloc/coro.h>

#define COROUTINES 8
#define ROUNDS     300

static atomic_uint done;

/* What is counted as stopped while it does this frees blocks twice, sooner or later. */
static void churn(size_t size)
{
    void *blocks[100];
    for (unsigned times = 0; times < 30; times++) {
        for (unsigned i = 0; i < 100; i++)
            blocks[i] = make_block(size);
        for (unsigned i = 0; i < 100; i++) {
            expect(is_whole(hide(blocks[i]), size), "expected blocks in use to be whole");
            free(blocks[i]);
        }
    }
}

static void *sleep_inside(void *size)
{
    void *volatile block = make_block(*(size_t *)size);
    ga_sleep(1000000);
    churn(*(size_t *)size);
    expect(is_whole(hide(block), *(size_t *)size), "expected a coroutine's block to be whole");
    ga_yield();
    return block;
}

static void wait_often(size_t size)
{
    void *volatile own = make_block(size);
    for (unsigned i = 0; i < ROUNDS; i++) {
        void *block = ga_gc_blocking(sleep_inside, &size);
        expect(is_whole(hide(block), size), "expected a call's result to be whole");
        expect(is_whole(hide(own), size), "expected what a caller holds to be whole");
    }
    atomic_fetch_add(&done, 1);
}

int main(void)
{
    gc_promise_begin(100);
    ga_set_procs(3);
    for (size_t i = 0; i < COROUTINES; i++)
        expect(ga_go(wait_often, 160 + i * 80) == 0, "expected a coroutine");
    while (atomic_load(&done) < COROUTINES)
        expect(collect() == 0, "expected a cycle to succeed");
    ga_wait_all();
    return 0;
}
