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

#include "../engine/context.h"

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

/*
 * What each machine says: the length of the system-call instruction at `pc`, 0 if there is none; the
 * registers of the call's number, its second argument and its result.
 */
#if defined(__x86_64__) && !defined(__ILP32__)

/* `syscall` is 0f 05. The second byte may be on a page that is not there, unless the first is 0f. */
static unsigned call_at(uintptr_t pc)
{
    const unsigned char *code = (const unsigned char *)pc;
    return code[0] == 0x0f && code[1] == 0x05 ? 2 : 0;
}
#define LONGEST_CALL 2u
#define NUMBER(context) ((context)->uc_mcontext.gregs[REG_RAX])
#define REQUEST(context) ((context)->uc_mcontext.gregs[REG_RSI])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])

#elif defined(__aarch64__)

static unsigned call_at(uintptr_t pc)
{
    return *(const uint32_t *)pc == UINT32_C(0xd4000001) /* svc #0 */ ? 4 : 0;
}
#define LONGEST_CALL 4u
#define NUMBER(context) ((context)->uc_mcontext.regs[8])
#define REQUEST(context) ((context)->uc_mcontext.regs[1])
#define RESULT(context) ((context)->uc_mcontext.regs[0])

#elif defined(__riscv) && __riscv_xlen == 64

/* `ecall` is 00000073; with compressed instructions it may lie across two pages. */
static unsigned call_at(uintptr_t pc)
{
    const uint16_t *code = (const uint16_t *)pc;
    return code[0] == 0x0073 && code[1] == 0 ? 4 : 0;
}
#define LONGEST_CALL 4u
#define NUMBER(context) ((context)->uc_mcontext.__gregs[REG_A0 + 7])
#define REQUEST(context) ((context)->uc_mcontext.__gregs[REG_A0 + 1])
#define RESULT(context) ((context)->uc_mcontext.__gregs[REG_A0])

#endif

#ifdef NUMBER

const bool awi_interrupt_can_step = true;

/* The length of the instruction, if the context stands at a call that may be interrupted. */
static unsigned interruptible_at(const ucontext_t *context)
{
    unsigned length = call_at((uintptr_t)AWI_CONTEXT_PC(context));
    return length != 0 && is_interruptible((long)NUMBER(context), (unsigned long)REQUEST(context)) ? length
                                                                                                   : 0;
}

bool awi_interrupt_step(void *context)
{
    ucontext_t *interrupted = context;
    unsigned length = interruptible_at(interrupted);
    if (length == 0)
        return false;
    AWI_CONTEXT_PC(interrupted) += length;
    RESULT(interrupted) = (__typeof__(RESULT(interrupted)))-EINTR;
    return true;
}

/* Behind the instruction it may have come by another way; then the bytes before it are nobody's business. */
bool awi_interrupt_is_at_call(const void *context)
{
    const ucontext_t *interrupted = context;
    uintptr_t pc = (uintptr_t)AWI_CONTEXT_PC(interrupted);
    if (interruptible_at(interrupted) != 0)
        return true;
    return (long)RESULT(interrupted) == -EINTR && pc % 4096 >= LONGEST_CALL &&
           call_at(pc - LONGEST_CALL) == LONGEST_CALL;
}

#else

const bool awi_interrupt_can_step = false;

bool awi_interrupt_step(void *context)
{
    (void)context;
    return is_interruptible(-1, 0);
}

bool awi_interrupt_is_at_call(const void *context)
{
    (void)context;
    return false;
}

#endif
