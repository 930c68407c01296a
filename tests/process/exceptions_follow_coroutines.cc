// SPDX-License-Identifier: MIT
//
// C++ exceptions are caught by the coroutine that threw them, also when it has changed threads in
// between, and ga_exit runs destructors. Under GOALLOC=migrate.
#include <atomic>
#include <cstdio>

#include <goalloc/coro.h>

static std::atomic<int> wrong, caught, destroyed;

struct Counted {
    ~Counted()
    {
        destroyed++;
    }
};

static void throw_and_catch(int self)
{
    for (int i = 0; i < 50; i++) {
        try {
            Counted counted;
            throw self;
        } catch (int first) {
            ga_yield();
            wrong += first != self;
            try {
                throw;
            } catch (int second) {
                wrong += second != self;
                caught++;
            }
        }
    }
}

static void exit_early()
{
    Counted counted;
    ga_exit();
}

int main()
{
    for (int i = 0; i < 20; i++)
        ga_go(throw_and_catch, i);
    ga_go(exit_early);
    ga_wait_all();
    std::printf("%d caught, %d wrong, %d destroyed\n", caught.load(), wrong.load(),
                destroyed.load());
    return caught != 1000 || wrong != 0 || destroyed != 1001;
}
