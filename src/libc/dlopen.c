// SPDX-License-Identifier: MIT
/*
 * dlopen.c: dlopen without RTLD_DEEPBIND.
 *
 * A library opened with that flag binds free to libc's before ours: it then frees with one
 * allocator what another allocated. PHP on Debian opens its extensions so and crashes under every
 * preloaded malloc. So the flag is cleared on the way.
 *
 * The real dlopen finds $ORIGIN and RUNPATH by its caller's return address. Hence no C function may
 * stand between: the entry clears the flag and jumps.
 *
 * Only in the shared library: a static program has no one to preload against.
 */
#include <dlfcn.h>

#include "internal.h"

_Static_assert(RTLD_DEEPBIND == 8, "the assembly below clears bit 3");

__attribute__((visibility("hidden"))) void *dlopen_real;
__attribute__((visibility("hidden"), used)) void *dlopen_resolve(void);

/* The dlopen after ours. Every call that comes before the constructor finds it anew. */
__attribute__((constructor)) void *dlopen_resolve(void)
{
    dlopen_real = dlsym(RTLD_NEXT, "dlopen");
    return dlopen_real;
}

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".globl dlopen\n"
        ".type dlopen, @function\n"
        "dlopen:\n"
        "    andl $~8, %esi\n"
        "    movq dlopen_real(%rip), %rax\n"
        "    testq %rax, %rax\n"
        "    je 1f\n"
        "    jmp *%rax\n"
        "1:  pushq %rdi\n"
        "    pushq %rsi\n"
        "    subq $8, %rsp\n"
        "    call dlopen_resolve\n"
        "    addq $8, %rsp\n"
        "    popq %rsi\n"
        "    popq %rdi\n"
        "    jmp *%rax\n"
        ".size dlopen, .-dlopen\n"
        ".popsection\n");
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
        ".globl dlopen\n"
        ".type dlopen, %function\n"
        "dlopen:\n"
        "    and w1, w1, #-9\n"
        "    adrp x16, dlopen_real\n"
        "    ldr x16, [x16, :lo12:dlopen_real]\n"
        "    cbz x16, 1f\n"
        "    br x16\n"
        "1:  stp x29, x30, [sp, #-32]!\n"
        "    stp x0, x1, [sp, #16]\n"
        "    bl dlopen_resolve\n"
        "    mov x16, x0\n"
        "    ldp x0, x1, [sp, #16]\n"
        "    ldp x29, x30, [sp], #32\n"
        "    br x16\n"
        ".size dlopen, .-dlopen\n"
        ".popsection\n");
#endif
