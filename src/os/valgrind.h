// SPDX-License-Identifier: MIT
/*
 * valgrind.h: what a program can tell valgrind, without valgrind's headers.
 *
 * A request is a sequence of instructions that changes nothing, which valgrind's translator knows.
 * Numbers and sequences are part of valgrind's interface and don't change.
 */
#ifndef GOALLOC_VALGRIND_H
#define GOALLOC_VALGRIND_H

#include "../goalloc.h"

enum valgrind_request {
    VALGRIND_IS_THERE = 0x1001,         /* its answer: how many valgrinds there are */
    VALGRIND_BLOCK_GIVEN = 0x1301,      /* address, size, red zone, whether it is zeroed */
    VALGRIND_BLOCK_FREED = 0x1302,      /* address, red zone */
    VALGRIND_BE_SILENT = 0x1801,        /* 1: until it is called with -1 errors aren't shown */
    MEMCHECK_FORBID = 0x4d430000,       /* address, size: nobody's */
    MEMCHECK_MAKE_DEFINED = 0x4d430002, /* address, size: readable; its answer is not 0 */
};

/* 0 where nobody listens. */
#if defined(__x86_64__)
GA_COLD static uintptr_t valgrind_request(enum valgrind_request request, uintptr_t a, uintptr_t b,
                                          uintptr_t c, uintptr_t d)
{
    volatile const uintptr_t words[6] = {request, a, b, c, d, 0};
    uintptr_t result = 0;
    __asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(result)
                     : "a"(words)
                     : "cc", "memory");
    return result;
}
#elif defined(__aarch64__)
GA_COLD static uintptr_t valgrind_request(enum valgrind_request request, uintptr_t a, uintptr_t b,
                                          uintptr_t c, uintptr_t d)
{
    volatile const uintptr_t words[6] = {request, a, b, c, d, 0};
    register uintptr_t result __asm__("x3") = 0;
    register volatile const uintptr_t *at __asm__("x4") = words;
    __asm__ volatile("ror x12, x12, #3\n\tror x12, x12, #13\n\tror x12, x12, #51\n\t"
                     "ror x12, x12, #61\n\torr x10, x10, x10"
                     : "+r"(result)
                     : "r"(at)
                     : "cc", "memory");
    return result;
}
#endif

GA_INLINE bool valgrind_is_there(void)
{
    return valgrind_request(VALGRIND_IS_THERE, 0, 0, 0, 0) != 0;
}

/* Whether its tool is memcheck. Others don't look at what they are told of blocks. */
GA_INLINE bool valgrind_is_memcheck(void)
{
    return valgrind_request(MEMCHECK_MAKE_DEFINED, 0, 0, 0, 0) != 0;
}

#endif
