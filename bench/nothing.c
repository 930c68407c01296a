// SPDX-License-Identifier: MIT
//
// ga_nothing: a program that does nothing, to see what a preloaded allocator costs at start-up. It
// asks for one block, as every program does sooner or later, so that an allocator that puts its
// work off until then has to do it.

#include <stdlib.h>

int main(void)
{
    void *volatile p = malloc(100);
    free(p);
    return 0;
}
