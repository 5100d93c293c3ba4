/* SPDX-License-Identifier: MIT */
/*
 * interrupt.c: makes a plain blocking system call return -EINTR although its signal has SA_RESTART. Signal
 * context.
 *
 * When a signal ends a system call that is to be restarted, the kernel moves the program counter back to
 * the system-call instruction, with the call's number and arguments in their registers, before it runs the
 * handler. The same picture is seen when the signal lands just before the instruction. In both cases
 * nothing has been done yet, and the handler may put the result of an interrupted call in its place:
 * program counter behind the instruction, -EINTR in the result register. musl's cancellation points rest on
 * the same picture. No disposition is changed, so no other thread sees anything.
 *
 * A call that has something to return does not look like that: its program counter is behind the
 * instruction already.
 */
#include "expiry.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <ucontext.h>

/*
 * Calls that may block and that the kernel would restart. Others are left alone: they do not block, or
 * return EINTR by themselves.
 */
static const long interruptible[] = {
#ifdef SYS_open
    SYS_open,
#endif
#ifdef SYS_creat
    SYS_creat,
#endif
    SYS_openat,
#ifdef SYS_openat2
    SYS_openat2,
#endif
    SYS_read,     SYS_readv,    SYS_pread64, SYS_preadv,       SYS_preadv2,         SYS_write,
    SYS_writev,   SYS_pwrite64, SYS_pwritev, SYS_pwritev2,     SYS_accept,          SYS_accept4,
    SYS_connect,  SYS_sendto,   SYS_sendmsg, SYS_sendmmsg,     SYS_recvfrom,        SYS_recvmsg,
    SYS_recvmmsg, SYS_sendfile, SYS_splice,  SYS_tee,          SYS_vmsplice,        SYS_copy_file_range,
    SYS_flock,    SYS_wait4,    SYS_waitid,  SYS_mq_timedsend, SYS_mq_timedreceive,
};

/* Of the kernel's interface; a libc need not bring <linux/futex.h>. */
enum {
    FUTEX_OPERATION = 0x7f,
    FUTEX_OPERATION_WAIT = 0,
    FUTEX_OPERATION_WAIT_BITSET = 9
};

/* Calls of which only some requests block. */
static bool blocks_by_request(long number, unsigned long request)
{
    if (number == SYS_fcntl)
        return request == F_SETLKW || request == F_OFD_SETLKW;
    if (number == SYS_ioctl)
        return request == TCSBRK || request == TCSBRKP || request == TCSETSW || request == TCSETSF;
    if (number == SYS_futex) /* sem_wait; the waits of mutexes and the like go on by themselves */
        return (request & FUTEX_OPERATION) == FUTEX_OPERATION_WAIT ||
               (request & FUTEX_OPERATION) == FUTEX_OPERATION_WAIT_BITSET;
    return false;
}

static bool is_interruptible(long number, unsigned long request)
{
    for (size_t i = 0; i < sizeof interruptible / sizeof interruptible[0]; ++i) {
        if (interruptible[i] == number)
            return true;
    }
    return blocks_by_request(number, request);
}

#if defined(__x86_64__) && !defined(__ILP32__)

const bool awi_interrupt_can_step = true;

bool awi_interrupt_step(void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *pc = (const unsigned char *)registers[REG_RIP];
    /*
     * `syscall` is 0f 05. One byte at a time: the second may be on a page that is not there, unless the
     * first is 0f.
     */
    if (pc[0] != 0x0f || pc[1] != 0x05 ||
        !is_interruptible((long)registers[REG_RAX], (unsigned long)registers[REG_RSI]))
        return false;
    registers[REG_RIP] += 2;
    registers[REG_RAX] = -EINTR;
    return true;
}

#elif defined(__aarch64__)

const bool awi_interrupt_can_step = true;

bool awi_interrupt_step(void *context)
{
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    const uint32_t *pc = (const uint32_t *)machine->pc;
    if (*pc != UINT32_C(0xd4000001) /* svc #0 */ ||
        !is_interruptible((long)machine->regs[8], machine->regs[1]))
        return false;
    machine->pc += 4;
    machine->regs[0] = (unsigned long long)-EINTR;
    return true;
}

#elif defined(__riscv) && __riscv_xlen == 64

const bool awi_interrupt_can_step = true;

bool awi_interrupt_step(void *context)
{
    unsigned long *registers = ((ucontext_t *)context)->uc_mcontext.__gregs;
    const uint16_t *pc = (const uint16_t *)registers[REG_PC];
    /* `ecall` is 00000073; with compressed instructions it may lie across two pages. */
    if (pc[0] != 0x0073 || pc[1] != 0 ||
        !is_interruptible((long)registers[REG_A0 + 7], registers[REG_A0 + 1]))
        return false;
    registers[REG_PC] += 4;
    registers[REG_A0] = (unsigned long)-EINTR;
    return true;
}

#else

const bool awi_interrupt_can_step = false;

bool awi_interrupt_step(void *context)
{
    (void)context;
    return is_interruptible(-1, 0);
}

#endif
