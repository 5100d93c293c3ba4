/* SPDX-License-Identifier: MIT */
/*
 * interrupt.c on contexts made by hand: which system calls are stepped over, and what is left alone. That the
 * kernel makes such contexts is for the signal tests.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <termios.h>
#include <ucontext.h>
#include <unistd.h>

#include "check_main.h"
#include "fake_clock.h"
#include "guard/expiry.h"

/* The system-call instruction of this machine, and where a context has what belongs to it. */
#if defined(__x86_64__) && !defined(__ILP32__)
static const unsigned char instruction[] = { 0x0f, 0x05 };
#define PC(c) ((c)->uc_mcontext.gregs[REG_RIP])
#define NUMBER(c) ((c)->uc_mcontext.gregs[REG_RAX])
#define REQUEST(c) ((c)->uc_mcontext.gregs[REG_RSI])
#define RESULT(c) ((c)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
static const unsigned char instruction[] __attribute__((aligned(4))) = { 0x01, 0x00, 0x00, 0xd4 };
#define PC(c) ((c)->uc_mcontext.pc)
#define NUMBER(c) ((c)->uc_mcontext.regs[8])
#define REQUEST(c) ((c)->uc_mcontext.regs[1])
#define RESULT(c) ((c)->uc_mcontext.regs[0])
#elif defined(__riscv) && __riscv_xlen == 64
static const unsigned char instruction[] __attribute__((aligned(4))) = { 0x73, 0x00, 0x00, 0x00 };
#define PC(c) ((c)->uc_mcontext.__gregs[REG_PC])
#define NUMBER(c) ((c)->uc_mcontext.__gregs[REG_A0 + 7])
#define REQUEST(c) ((c)->uc_mcontext.__gregs[REG_A0 + 1])
#define RESULT(c) ((c)->uc_mcontext.__gregs[REG_A0])
#endif

#ifdef PC
/* Both ways: stepped over with -EINTR, or nothing of the context has changed. */
static void expect_step(const void *text, long number, long request, bool expected)
{
    ucontext_t context, before;
    memset(&context, 0x11, sizeof context);
    __typeof__(PC(&context)) at = (__typeof__(PC(&context)))(uintptr_t)text;
    PC(&context) = at;
    REQUEST(&context) = (__typeof__(REQUEST(&context)))request;
    NUMBER(&context) = (__typeof__(NUMBER(&context)))number;
    before = context;
    bool stepped = awi_interrupt_step(&context);
    ck_assert_msg(stepped == expected, "call %ld, request %ld: %d", number, request, stepped);
    if (stepped) {
        ck_assert((uintptr_t)PC(&context) == (uintptr_t)text + sizeof instruction);
        ck_assert_int_eq((long)RESULT(&context), -EINTR);
        PC(&context) = at;
        RESULT(&context) = RESULT(&before);
    }
    ck_assert_mem_eq(&context, &before, sizeof context);
}

START_TEST(calls_that_block)
{
    static const long numbers[] = { SYS_openat,  SYS_read,    SYS_readv,  SYS_write,    SYS_writev,
                                    SYS_accept4, SYS_connect, SYS_sendto, SYS_recvfrom, SYS_sendmsg,
                                    SYS_recvmsg, SYS_flock,   SYS_wait4,  SYS_waitid,   SYS_splice };
    ck_assert(awi_interrupt_can_step);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; ++i)
        expect_step(instruction, numbers[i], 0, true);
}
END_TEST

/* They do not block, or return EINTR by themselves whatever SA_RESTART says, or must not be cut short. */
START_TEST(calls_that_are_left_alone)
{
    static const long numbers[] = {
        SYS_close,  SYS_getpid, SYS_ppoll,           SYS_nanosleep, SYS_clock_nanosleep, SYS_epoll_pwait,
        SYS_munmap, SYS_exit,   SYS_rt_sigtimedwait, SYS_clone,     SYS_execve,          SYS_fsync,
        -1,         -EINTR
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; ++i)
        expect_step(instruction, numbers[i], 0, false);
}
END_TEST

START_TEST(calls_that_block_by_request)
{
    expect_step(instruction, SYS_fcntl, F_SETLKW, true);
    expect_step(instruction, SYS_fcntl, F_OFD_SETLKW, true);
    expect_step(instruction, SYS_fcntl, F_SETLK, false);
    expect_step(instruction, SYS_fcntl, F_GETFL, false);
    expect_step(instruction, SYS_ioctl, TCSBRK, true);
    expect_step(instruction, SYS_ioctl, TCSETSW, true);
    expect_step(instruction, SYS_ioctl, TIOCGWINSZ, false);
    expect_step(instruction, SYS_close, F_SETLKW, false);
}
END_TEST

START_TEST(other_instructions)
{
    unsigned char text[2 * sizeof instruction] __attribute__((aligned(4)));
    for (size_t i = 0; i < sizeof instruction; ++i) {
        memcpy(text, instruction, sizeof instruction);
        text[i] = (unsigned char)(text[i] ^ 0x80);
        expect_step(text, SYS_read, 0, false);
    }
}
END_TEST

#if defined(__x86_64__)
/* At the end of a page, with nothing behind it. */
START_TEST(the_last_byte_of_a_page)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(pages != MAP_FAILED);
    ck_assert_int_eq(munmap(pages + page, page), 0);
    pages[page - 1] = 0x90;
    expect_step(pages + page - 1, SYS_read, 0, false);
    memcpy(pages + page - 2, instruction, 2);
    expect_step(pages + page - 2, SYS_read, 0, true);
    munmap(pages, page);
}
END_TEST
#endif
#else
START_TEST(unknown_machine)
{
    ck_assert(!awi_interrupt_can_step);
    ck_assert(!awi_interrupt_step(NULL));
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("guard_interrupt");
    TCase *tc = tcase_create("guard_interrupt");
    tcase_add_checked_fixture(tc, fake_begin, fake_end);
#ifdef PC
    tcase_add_test(tc, calls_that_block);
    tcase_add_test(tc, calls_that_are_left_alone);
    tcase_add_test(tc, calls_that_block_by_request);
    tcase_add_test(tc, other_instructions);
#if defined(__x86_64__)
    tcase_add_test(tc, the_last_byte_of_a_page);
#endif
#else
    tcase_add_test(tc, unknown_machine);
#endif
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
