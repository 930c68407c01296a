// SPDX-License-Identifier: MIT
/*
 * switch_aarch64.S: leaving one stack for another; switch_x86_64.S says how.
 *
 *   sp -> | x19 ... x28 | x29 | x30 | d8 ... d15 | fpcr | - |
 *           0             80    88    96           160        176
 */
#if defined(__aarch64__)
        .text

/* struct machine *coro_switch(void **save, void *to, struct machine *machine) */
        .globl coro_switch
        .hidden coro_switch
        .type coro_switch, %function
        .p2align 4
coro_switch:
        .cfi_startproc
        sub sp, sp, #176
        .cfi_adjust_cfa_offset 176
        stp x19, x20, [sp, #0]
        stp x21, x22, [sp, #16]
        stp x23, x24, [sp, #32]
        stp x25, x26, [sp, #48]
        stp x27, x28, [sp, #64]
        stp x29, x30, [sp, #80]
        stp d8, d9, [sp, #96]
        stp d10, d11, [sp, #112]
        stp d12, d13, [sp, #128]
        stp d14, d15, [sp, #144]
        mrs x9, fpcr
        str x9, [sp, #160]
        mov x10, sp
        str x10, [x0]
        mov sp, x1
        ldr x11, [sp, #160]
        cmp x9, x11
        b.ne 2f
1:      ldp x19, x20, [sp, #0]
        ldp x21, x22, [sp, #16]
        ldp x23, x24, [sp, #32]
        ldp x25, x26, [sp, #48]
        ldp x27, x28, [sp, #64]
        ldp x29, x30, [sp, #80]
        ldp d8, d9, [sp, #96]
        ldp d10, d11, [sp, #112]
        ldp d12, d13, [sp, #128]
        ldp d14, d15, [sp, #144]
        add sp, sp, #176
        mov x0, x2
        br x30
2:      msr fpcr, x11
        b 1b
        .cfi_endproc
        .size coro_switch, .-coro_switch

/* Where a new coroutine's first switch arrives, with the machine in x0. Unwinding ends here. */
        .globl coro_start
        .hidden coro_start
        .type coro_start, %function
        .p2align 4
coro_start:
        .cfi_startproc
        .cfi_undefined x30
        mov x29, xzr
        bl coro_begin
        brk #1
        .cfi_endproc
        .size coro_start, .-coro_start

/* void coro_call_on_saved(void *sp, void (*function)(void *), void *argument) */
        .globl coro_call_on_saved
        .hidden coro_call_on_saved
        .type coro_call_on_saved, %function
        .p2align 4
coro_call_on_saved:
        .cfi_startproc
        stp x29, x30, [sp, #-32]!
        str x19, [sp, #16]
        mov x29, sp
        mov x19, x0
        mov x0, x2
        .cfi_def_cfa x19, 176
        .cfi_offset x19, -176
        .cfi_offset x20, -168
        .cfi_offset x21, -160
        .cfi_offset x22, -152
        .cfi_offset x23, -144
        .cfi_offset x24, -136
        .cfi_offset x25, -128
        .cfi_offset x26, -120
        .cfi_offset x27, -112
        .cfi_offset x28, -104
        .cfi_offset x29, -96
        .cfi_offset x30, -88
        blr x1
        nop
        ldr x19, [sp, #16]
        ldp x29, x30, [sp], #32
        ret
        .cfi_endproc
        .size coro_call_on_saved, .-coro_call_on_saved
#endif
        .section .note.GNU-stack, "", %progbits
