/* SPDX-License-Identifier: MIT */
/* syscall_riscv64.S: the guarded system call, as syscall_x86_64.S explains it. */
#if defined(__riscv) && __riscv_xlen == 64
    .text
    .globl awi_syscall_stub, awi_syscall_instruction, awi_syscall_cancel
    .hidden awi_syscall_stub, awi_syscall_instruction, awi_syscall_cancel
    .type awi_syscall_stub, @function
    .balign 4
awi_syscall_stub:
    .cfi_startproc
    mv t0, a0
    mv t1, a1
    mv t2, a2
    ld a7, 0(t0)
    ld a0, 8(t0)
    ld a1, 16(t0)
    ld a2, 24(t0)
    ld a3, 32(t0)
    ld a4, 40(t0)
    ld a5, 48(t0)
    ld t1, 0(t1)
    bne t1, t2, awi_syscall_cancel
awi_syscall_instruction:
    ecall
    ret
awi_syscall_cancel:
    li a0, -4 /* -EINTR */
    ret
    .cfi_endproc
    .size awi_syscall_stub, . - awi_syscall_stub
#endif
    .section .note.GNU-stack, "", %progbits
