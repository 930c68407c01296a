// SPDX-License-Identifier: MIT
//
// When a process has used up all memory it may have with blocks of one size and frees them, blocks
// of any other size can be allocated: what lies in caches of one class isn't lost to the others.

#include "address_space.h"

static const size_t sizes[] = {16, 100, 1000, 8192, 65536, 300000, 1 << 20, 5 << 20};

static void fill_and_refill(size_t size)
{
    size_t bytes, others;
    limit_address_space((size_t)56 << 20);
    free_chain(allocate_to_the_limit(size, &bytes));
    allocate_all_classes((size_t)1 << 20);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        free_chain(allocate_to_the_limit(sizes[i], &others));
        expect(others >= bytes / 2,
               "expected blocks of %zu bytes to get the %zu KB that those of %zu had, got %zu KB",
               sizes[i], bytes >> 10, size, others >> 10);
    }
}

int main(void)
{
    promise_begin(60);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        pid_t child = fork();
        if (child == 0) {
            watchdog(30);
            fill_and_refill(sizes[i]);
            _exit(0);
        }
        expect_success(child, "the child that refills its memory");
    }
    return 0;
}
