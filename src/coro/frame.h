// SPDX-License-Identifier: MIT
/*
 * frame.h: what coro_switch saves, as each processor has it; the drawings are in switch_*.S.
 */
#ifndef GOALLOC_CORO_FRAME_H
#define GOALLOC_CORO_FRAME_H

#include "internal.h"

/* --- switch_*.S --- */
void coro_start(void);
void coro_call_on_saved(void *sp, void (*function)(void *), void *argument);

#if defined(__x86_64__)
void coro_switch(void); /* not a function to call */
#define FRAME_WORDS   3
#define FRAME_PC      0
#define FRAME_CONTROL 1
/* The initial rounding modes and masks: mxcsr, and the x87's control word above it. */
#define FRAME_CONTROL_WORD (UINT64_C(0x037f) << 32 | 0x1f80)

#if defined(__AVX512F__)
#define FRAME_LOST_512                                                                             \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define FRAME_LOST_512
#endif

/* Saves the caller's stack, and goes on with the one saved in `to`, which gets `machine`. All
 * registers but rbp are lost. Only from a function that calls others: it pushes below the stack. */
GA_INLINE struct machine *frame_switch(void **save, void *to, struct machine *machine)
{
    __asm__ volatile("leaq 1f(%%rip), %%rcx\n\t"
                     "jmp coro_switch\n"
                     "1:"
                     : "+D"(save), "+S"(to), "+d"(machine)
                     :
                     : "rax", "rcx", "rbx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)",
                       "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "mm0", "mm1", "mm2",
                       "mm3", "mm4", "mm5", "mm6", "mm7", "cc", "memory" FRAME_LOST_512);
    return machine;
}

#elif defined(__aarch64__)
struct machine *coro_switch(void **save, void *to, struct machine *machine);
#define FRAME_WORDS        22
#define FRAME_PC           11
#define FRAME_CONTROL      20
#define FRAME_CONTROL_WORD 0

GA_INLINE struct machine *frame_switch(void **save, void *to, struct machine *machine)
{
    return coro_switch(save, to, machine);
}
#endif

/* As if coro_switch had been called at the very top of the stack, by coro_start. */
GA_INLINE void frame_make(struct waiter *waiter)
{
    uint64_t *frame = (uint64_t *)((uintptr_t)waiter & ~(uintptr_t)63) - FRAME_WORDS;
    frame[FRAME_PC] = (uintptr_t)coro_start;
    frame[FRAME_CONTROL] = FRAME_CONTROL_WORD;
    waiter->sp = frame;
}

#endif
