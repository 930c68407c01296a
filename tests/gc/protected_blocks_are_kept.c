// SPDX-License-Identifier: MIT
//
// A block of which the program has protected a page, as a guard or against writing, isn't freed,
// though nothing points to it any more: nobody else could use it. Once it isn't protected it is.

#include "collected.h"

#include <sys/mman.h>

#define COUNT 40
#define PAGES 4
#define PAGE  ((size_t)4096)

static hidden blocks[COUNT];

__attribute__((noinline)) static void make_protected(int protection)
{
    for (unsigned i = 0; i < COUNT; i++) {
        char *block = aligned_alloc(PAGE, PAGES * PAGE);
        memset(block, 1, PAGES * PAGE);
        expect(mprotect(block + i % PAGES * PAGE, PAGE, protection) == 0, "expected protection");
        blocks[i] = hide(block);
    }
}

__attribute__((noinline)) static void unprotect(void)
{
    for (unsigned i = 0; i < COUNT; i++)
        mprotect((char *)unhide(blocks[i]) + i % PAGES * PAGE, PAGE, PROT_READ | PROT_WRITE);
}

/* By their last pages but one, which are zeroed when they are freed. */
__attribute__((noinline)) static unsigned count_kept(void)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < COUNT; i++)
        kept += ((volatile char *)unhide(blocks[i]))[(i + 1) % PAGES * PAGE + 100] == 1;
    return kept;
}

static void they_are_kept_while_protected(int protection)
{
    make_protected(protection);
    full_cycle();
    full_cycle();
    unsigned kept = count_kept();
    expect(kept == COUNT, "expected %d blocks with a protected page to be kept, found %u", COUNT,
           kept);
    unprotect();
    full_cycle();
    kept = count_kept();
    expect(kept <= COUNT / 4, "expected %d blocks to be freed, %u are kept", COUNT, kept);
}

int main(void)
{
    gc_promise_begin(60);
    expect(getpagesize() == (int)PAGE, "expected pages of 4 KB");
    they_are_kept_while_protected(PROT_NONE);
    they_are_kept_while_protected(PROT_READ);
    expect_forced_way();
    return 0;
}
