/* SPDX-License-Identifier: MIT */
/*
 * syscall_x86_64.S: the guarded system call. See stub.h.
 *
 *     long awi_syscall_stub(const struct awi_call *call, const uint64_t *runs, uint64_t seen);
 *
 * rcx and r11, which the kernel destroys, are the two registers that no argument needs. A call that the
 * kernel is to restart has its program counter at awi_syscall_instruction again, and all its registers: the
 * handler then sends it to the cancel exit, as one that has not come so far.
 */
#if defined(__x86_64__) && !defined(__ILP32__)
#ifdef __CET__
#include <cet.h>
#else
#define _CET_ENDBR endbr64
#endif

    .text
    .globl awi_syscall_stub, awi_syscall_instruction, awi_syscall_cancel
    .hidden awi_syscall_stub, awi_syscall_instruction, awi_syscall_cancel
    .type awi_syscall_stub, @function
    .balign 16
awi_syscall_stub:
    .cfi_startproc
    _CET_ENDBR
    mov %rsi, %rcx
    mov %rdx, %r11
    mov (%rdi), %rax
    mov 16(%rdi), %rsi
    mov 24(%rdi), %rdx
    mov 32(%rdi), %r10
    mov 40(%rdi), %r8
    mov 48(%rdi), %r9
    mov 8(%rdi), %rdi
    cmp (%rcx), %r11
    jne awi_syscall_cancel
awi_syscall_instruction:
    syscall
    ret
awi_syscall_cancel:
    mov $-4, %rax /* -EINTR */
    ret
    .cfi_endproc
    .size awi_syscall_stub, . - awi_syscall_stub
#endif
    .section .note.GNU-stack, "", %progbits
