// SPDX-License-Identifier: MIT
//
// A program whose thread-local storage is larger than the stacks of the runtime's threads runs
// coroutines like any other.
#include <goalloc/coro.h>

#include <stdatomic.h>

#include "promise.h"

#define LARGE      ((size_t)400 << 10)
#define COROUTINES 100

static __thread char large[LARGE];
static atomic_int ran;

static void use_all(void)
{
    memset(large, 1, LARGE);
    ga_yield();
    memset(large, 2, LARGE);
    atomic_fetch_add(&ran, 1);
}

int main(void)
{
    promise_begin(60);
    expect(ga_set_procs(4) > 0, "expected the runtime to start");
    for (int i = 0; i < COROUTINES; i++)
        expect(ga_go(use_all) == 0, "expected a coroutine to start");
    ga_wait_all();
    expect(ran == COROUTINES, "expected %d to run, not %d", COROUTINES, ran);
    return 0;
}
