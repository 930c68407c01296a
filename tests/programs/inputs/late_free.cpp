// SPDX-License-Identifier: MIT
// Memory is used before main, after main, and after a thread's own data is gone: in constructors,
// destructors, exit handlers, thread_local destructors and key destructors that run in rounds.
#include <pthread.h>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>
#include <vector>

static pthread_key_t key;
static int rounds;

static void remember(int count)
{
    auto *block = static_cast<int *>(std::malloc(333));
    *block = count;
    pthread_setspecific(key, block);
}

// The block says how many rounds came before; glibc goes through four.
static void at_key_destruction(void *block)
{
    int before = *static_cast<int *>(block);
    std::free(block);
    __atomic_add_fetch(&rounds, 1, __ATOMIC_SEQ_CST);
    if (before < 3) {
        remember(before + 1);
    }
}

struct Holder {
    std::vector<std::string> lines;
    explicit Holder(int count)
    {
        for (int i = 0; i < count; i++) {
            lines.emplace_back(static_cast<std::size_t>(i % 90), 'x');
        }
    }
    ~Holder()
    {
        std::size_t total = 0;
        for (auto &line : lines) {
            total += line.size();
            line.assign(200, 'y');
        }
        if (total == 0) {
            std::abort();
        }
    }
};

static Holder before_main(2000);
static thread_local Holder of_thread(500);

static void at_exit()
{
    Holder late(1000);
    std::puts("exit handler");
}

int main()
{
    pthread_key_create(&key, at_key_destruction);
    std::atexit(at_exit);
    for (int round = 0; round < 20; round++) {
        std::vector<std::thread> threads;
        std::vector<char *> blocks(8);
        for (int i = 0; i < 8; i++) {
            threads.emplace_back([&blocks, i] {
                of_thread.lines.emplace_back("used");
                remember(0);
                blocks[static_cast<std::size_t>(i)] = new char[5000];
            });
        }
        for (auto &thread : threads) {
            thread.join();
        }
        for (char *block : blocks) {
            delete[] block;
        }
    }
    volatile std::size_t impossible = static_cast<std::size_t>(1) << 62;
    try {
        ::operator delete(::operator new(impossible)); // a new expression may be left out
    } catch (const std::bad_alloc &) {
        std::puts("bad_alloc");
    }
    std::printf("%d rounds\n", rounds);
    return 0;
}
