/* SPDX-License-Identifier: MIT */
/*
 * naive.c: how calls are bounded where nobody looked closer: by a jump out of the handler, by a flag and
 * EINTR, and (x86-64) by a stub whose program counter the handler judges once. Each is wrong, and here so
 * that the stress program can be seen to notice. What they call through is in meeting.h.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include <fcntl.h>

#include "bound.h"
#include "peer.h"

static volatile unsigned expired;
static volatile unsigned jumps;
static sigjmp_buf landing;

static void note(int signo)
{
    (void)signo;
    expired = 1;
}

static void jump(int signo)
{
    (void)signo;
    expired = 1;
    if (jumps) {
        jumps = 0;
        siglongjmp(landing, 1);
    }
}

#if defined(__x86_64__)
/* long naive_stub(long number, const long argument[4], const volatile unsigned *expired) */
__asm__(".text\n"
        ".globl naive_stub, naive_stub_begin, naive_stub_syscall, naive_stub_cancel\n"
        ".hidden naive_stub, naive_stub_begin, naive_stub_syscall, naive_stub_cancel\n"
        ".type naive_stub, @function\n"
        "naive_stub:\n"
        "   endbr64\n"
        "   movq %rdi, %rax\n"
        "   movq %rsi, %r8\n"
        "   movq %rdx, %r9\n"
        "   movq 0(%r8), %rdi\n"
        "   movq 8(%r8), %rsi\n"
        "   movq 16(%r8), %rdx\n"
        "   movq 24(%r8), %r10\n"
        "naive_stub_begin:\n"
        "   cmpl $0, (%r9)\n"
        "   jne naive_stub_cancel\n"
        "naive_stub_syscall:\n"
        "   syscall\n"
        "   ret\n"
        "naive_stub_cancel:\n"
        "   movq $-4, %rax\n" /* -EINTR */
        "   ret\n"
        ".size naive_stub, .-naive_stub\n");
long naive_stub(long number, const long argument[4], const volatile unsigned *flag);
extern const char naive_stub_begin[], naive_stub_syscall[], naive_stub_cancel[];

static void judge(int signo, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    greg_t *pc = &interrupted->uc_mcontext.gregs[REG_RIP];
    (void)signo;
    (void)info;
    expired = 1;
    if (*pc >= (greg_t)naive_stub_begin && *pc <= (greg_t)naive_stub_syscall)
        *pc = (greg_t)naive_stub_cancel;
}

static int call_stub(const struct meeting *meeting, unsigned char *byte)
{
    const long calls[3][5] = {
        [CALL_OPEN] = { SYS_openat, AT_FDCWD, (long)meeting->path, O_RDONLY | O_CLOEXEC, 0 },
        [CALL_READ] = { SYS_read, meeting->here, (long)byte, 1, 0 },
        [CALL_ACCEPT] = { SYS_accept4, meeting->here, 0, 0, SOCK_CLOEXEC },
    };
    const long *call = calls[meeting->call];
    long result = naive_stub(call[0], call + 1, &expired);
    if (result < 0)
        errno = (int)-result;
    return result < 0 ? -1 : (int)result;
}
#else
static void judge(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    (void)context;
}

static int call_stub(const struct meeting *meeting, unsigned char *byte)
{
    (void)meeting;
    (void)byte;
    errno = ENOSYS;
    return -1;
}
#endif

void naive_start(enum bounded bounded)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    if (bounded == BY_PC) {
        action.sa_sigaction = judge;
        action.sa_flags = SA_SIGINFO | SA_RESTART;
    } else {
        action.sa_handler = bounded == BY_LONGJMP ? jump : note;
    }
    sigaction(SIGALRM, &action, NULL);
}

static void arm(const struct attempt *attempt, uint64_t ns)
{
    struct itimerval value = { { 0, 0 }, { (time_t)(ns / AW_SEC(1)), (suseconds_t)(ns % AW_SEC(1) / 1000) } };
    if (attempt->plan->by == BY_TIMER)
        setitimer(ITIMER_REAL, &value, NULL);
}

static void begin(struct attempt *attempt)
{
    expired = 0;
    attempt->began_ns = clock_ns();
    attempt->begin(attempt, attempt->arg);
    arm(attempt, attempt->timeout_ns);
}

static void call_jumping(struct attempt *attempt)
{
    volatile int result = -1;
    if (sigsetjmp(landing, 1) == 0) {
        begin(attempt);
        attempt->landed = bound_delay(attempt, &expired);
        jumps = 1;
        if (!expired)
            result = meeting_call(attempt->meeting, &attempt->byte);
        jumps = 0;
    }
    attempt->result = result;
}

static void call_looping(struct attempt *attempt)
{
    begin(attempt);
    attempt->landed = bound_delay(attempt, &expired);
    do {
        if (expired)
            break;
        attempt->result = meeting_call(attempt->meeting, &attempt->byte);
    } while (attempt->result < 0 && errno == EINTR);
}

static void call_judged(struct attempt *attempt)
{
    begin(attempt);
    attempt->landed = bound_delay(attempt, &expired);
    attempt->result = call_stub(attempt->meeting, &attempt->byte);
}

void naive_call(struct attempt *attempt)
{
    errno = 0;
    if (attempt->plan->bounded == BY_LONGJMP)
        call_jumping(attempt);
    else if (attempt->plan->bounded == BY_EINTR)
        call_looping(attempt);
    else
        call_judged(attempt);
    arm(attempt, 0);
    attempt->error = attempt->result >= 0 || expired || errno == EINTR ? 0 : errno;
}
