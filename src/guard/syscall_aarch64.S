/* SPDX-License-Identifier: MIT */
/* syscall_aarch64.S: the guarded system call, as syscall_x86_64.S explains it. */
#if defined(__aarch64__)
    .text
    .globl awi_syscall_stub, awi_syscall_instruction, awi_syscall_cancel
    .hidden awi_syscall_stub, awi_syscall_instruction, awi_syscall_cancel
    .type awi_syscall_stub, %function
    .balign 16
awi_syscall_stub:
    .cfi_startproc
    hint #34 /* bti c */
    mov x10, x1
    mov x11, x2
    mov x9, x0
    ldp x8, x0, [x9]
    ldp x1, x2, [x9, #16]
    ldp x3, x4, [x9, #32]
    ldr x5, [x9, #48]
    ldr x10, [x10]
    cmp x10, x11
    b.ne awi_syscall_cancel
awi_syscall_instruction:
    svc #0
    ret
awi_syscall_cancel:
    mov x0, #-4 /* -EINTR */
    ret
    .cfi_endproc
    .size awi_syscall_stub, . - awi_syscall_stub

/* Says that this object has its landing pads (BTI): the linker asks every object. */
#if defined(__ARM_FEATURE_BTI_DEFAULT)
    .section .note.gnu.property, "a"
    .balign 8
    .word 4, 16, 5
    .asciz "GNU"
    .word 0xc0000000, 4, 1, 0
#endif
#endif
    .section .note.GNU-stack, "", %progbits
