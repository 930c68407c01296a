// SPDX-License-Identifier: MIT
// A C++ library for a program that knows nothing of C++.

#include <cstddef>
#include <new>
#include <string>
#include <vector>

extern "C" int thrower_catches(std::size_t absurd);
extern "C" int thrower_works(void);

/* 1: operator new threw bad_alloc and it was caught here. */
int thrower_catches(std::size_t absurd)
{
    try {
        /* volatile: a compiler may leave out an allocation that it sees through. */
        char *volatile block = new char[absurd];
        block[0] = 1;
        delete[] block;
        return 0;
    } catch (const std::bad_alloc &) {
        return 1;
    }
}

int thrower_works(void)
{
    std::vector<std::string> words;
    for (int i = 0; i < 1000; i++)
        words.push_back(std::to_string(i) + " bottles of beer on the wall");
    return words[999][0] == '9';
}
