/* SPDX-License-Identifier: MIT */
/*
 * naive.c: see naive.h. Takes SIGALRM and ITIMER_REAL; an engine beside it has to use the other source.
 */
#include "naive.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#include "loops.h"

#define TRY_AGAIN_US 50

static sigjmp_buf env;
static bool only_at_text;

/* The bounds of the program's text, by the linker. */
extern const char __executable_start[], etext[]; // NOLINT: the linker's names

uint64_t naive_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void ring_after(uint64_t timeout_ns)
{
    struct itimerval once;
    memset(&once, 0, sizeof once);
    once.it_value.tv_sec = (time_t)(timeout_ns / 1000000000);
    once.it_value.tv_usec = (suseconds_t)(timeout_ns % 1000000000 / 1000) + 1;
    setitimer(ITIMER_REAL, &once, NULL);
}

/* On other machines the instruction is never the program's: that kind of naive escape is not made there. */
static bool is_at_text(const ucontext_t *context)
{
    uintptr_t at = 0;
#if defined(__x86_64__)
    at = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    at = (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
#endif
    return at >= (uintptr_t)__executable_start && at < (uintptr_t)etext;
}

static void jump(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    if (only_at_text && !is_at_text(context))
        ring_after(TRY_AGAIN_US * UINT64_C(1000));
    else
        siglongjmp(env, 1);
}

static void install(void (*handler)(int signo, siginfo_t *info, void *context))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGALRM, &action, NULL) != 0)
        abort();
}

void naive_begin(enum naive kind)
{
    only_at_text = kind == NAIVE_AT_TEXT;
    install(jump);
}

void naive_escape(uint64_t timeout_ns, void (*turn)(void))
{
    if (sigsetjmp(env, 1) != 0)
        return;
    ring_after(timeout_ns);
    for (;;)
        turn();
}

static volatile uint64_t rang_ns;

static void read_clock(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    (void)context;
    rang_ns = naive_clock_ns();
}

uint64_t naive_signal_lateness_ns(uint64_t timeout_ns, void (*turn)(void))
{
    install(read_clock);
    rang_ns = 0;
    uint64_t deadline = naive_clock_ns() + timeout_ns;
    ring_after(timeout_ns - 1000); /* which adds a microsecond */
    while (rang_ns == 0)
        turn();
    return rang_ns > deadline ? rang_ns - deadline : 0;
}
