// SPDX-License-Identifier: MIT
//
// Of the address space that RLIMIT_AS leaves to a program, here 512 MB less what it has mapped at
// start, at least 85 % can be allocated, whatever the size of its blocks.

#include "address_space.h"

#define LIMIT   ((size_t)512 << 20)
#define PERCENT 85

static const size_t sizes[] = {64, 1024, 16384, 131072, 1 << 20, 3 << 20, 20 << 20};

int main(void)
{
    promise_begin(60);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        pid_t child = fork();
        if (child == 0) {
            size_t bytes, left = LIMIT - (address_space_kilobytes() << 10);
            watchdog(30);
            limit_address_space(LIMIT);
            allocate_to_the_limit(sizes[i], &bytes);
            expect(bytes / 100 >= left / 10000 * PERCENT,
                   "expected %d %% of %zu MB in blocks of %zu bytes, got %zu MB", PERCENT,
                   left >> 20, sizes[i], bytes >> 20);
            _exit(0);
        }
        expect_success(child, "the child that uses all it may");
    }
    return 0;
}
