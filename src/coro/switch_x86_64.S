// SPDX-License-Identifier: MIT
/*
 * switch_x86_64.S: leaving one stack for another.
 *
 * What is saved, at the stack's lower end:
 *
 *   sp -> | rip | mxcsr, x87 cw | rbp | ...
 *           0     8               16    24
 *
 * The other registers that the ABI asks callees to keep are lost to frame_switch's caller, and so
 * are in its frame already: once, not twice (a round of two yields 17.0 -> 15.8 ns).
 *
 * It is neither called nor does it return: the processor predicts returns from a stack of its own,
 * which either would leave out of step for all the callers on the way back (a switch by call and
 * jump cost 15 ns more in a yield than one by two jumps). frame_switch jumps here with the address
 * to go on at in rcx. Control words are only loaded where they differ.
 */
#if defined(__x86_64__)
        .text

/* rcx: where to go on; rdi, rsi, rdx: save, to, machine. See frame_switch in frame.h */
        .globl coro_switch
        .hidden coro_switch
        .type coro_switch, @function
        .p2align 4
coro_switch:
        .cfi_startproc
        .cfi_def_cfa %rsp, 0
        .cfi_register %rip, %rcx
        pushq %rbp
        .cfi_adjust_cfa_offset 8
        subq $16, %rsp
        .cfi_adjust_cfa_offset 16
        movq %rcx, (%rsp)
        .cfi_offset %rip, -24
        .cfi_offset %rbp, -8
        stmxcsr 8(%rsp)
        fnstcw 12(%rsp)
        movq %rsp, %r8
        movq %rsp, (%rdi)
        movq %rsi, %rsp
        movl 8(%r8), %ecx
        xorl 8(%rsp), %ecx
        testl $0xffc0, %ecx /* the low six bits are flags, not control */
        jne 2f
        movzwl 12(%r8), %ecx
        cmpw 12(%rsp), %cx
        jne 2f
        .cfi_remember_state
1:      popq %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rcx
        addq $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_same_value %rbp
        jmpq *%rcx
        .cfi_restore_state
2:      ldmxcsr 8(%rsp)
        fldcw 12(%rsp)
        jmp 1b
        .cfi_endproc
        .size coro_switch, .-coro_switch

/* Where a new coroutine's first switch arrives, with the machine in rdx. Unwinding ends here. */
        .globl coro_start
        .hidden coro_start
        .type coro_start, @function
        .p2align 4
coro_start:
        .cfi_startproc
        .cfi_undefined %rip
        movq %rdx, %rdi
        xorl %ebp, %ebp
        call coro_begin
        ud2
        .cfi_endproc
        .size coro_start, .-coro_start

/*
 * void coro_call_on_saved(void *sp, void (*function)(void *), void *argument)
 *
 * Calls the function on this stack, but says that the caller is whoever saved `sp`: an unwinder
 * that starts in the function goes on through the parked coroutine's frames.
 */
        .globl coro_call_on_saved
        .hidden coro_call_on_saved
        .type coro_call_on_saved, @function
        .p2align 4
coro_call_on_saved:
        .cfi_startproc
        pushq %rbp
        movq %rsp, %rbp
        pushq %rbx
        subq $8, %rsp
        movq %rdi, %rbx
        movq %rdx, %rdi
        .cfi_def_cfa %rbx, 24
        .cfi_offset %rip, -24
        .cfi_offset %rbp, -8
        call *%rsi
        nop
        movq -8(%rbp), %rbx
        movq %rbp, %rsp
        popq %rbp
        ret
        .cfi_endproc
        .size coro_call_on_saved, .-coro_call_on_saved
#endif
        .section .note.GNU-stack, "", %progbits
