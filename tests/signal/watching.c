/* SPDX-License-Identifier: MIT */
/* watching.c: see watching.h. */
#include "watching.h"

#include <string.h>
#include <unistd.h>

int note(const siginfo_t *info, uint64_t count, void *arg)
{
    struct told *told = arg;
    ++told->runs;
    told->counted += count;
    told->info = *info;
    told->thread = pthread_self();
    return told->result;
}

void watch(int signo, struct told *told)
{
    ck_assert_int_eq(aw_signal_watch(signo, note, told), 0);
}

void unwatch(int signo, struct told *told)
{
    ck_assert_int_eq(aw_signal_unwatch(signo, note, told), 0);
}

struct sigaction disposition(int signo)
{
    struct sigaction now;
    ck_assert_int_eq(sigaction(signo, NULL, &now), 0);
    return now;
}

void queue_value(int signo, int value)
{
    const union sigval with = { .sival_int = value };
    ck_assert_int_eq(sigqueue(getpid(), signo, with), 0);
}

volatile unsigned handled;
volatile int handled_value;

static void handle(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    ++handled;
    handled_value = info->si_value.sival_int;
}

void install(int signo)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGHUP);
    handled = 0;
    ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
}

bool is_installed(int signo)
{
    struct sigaction now = disposition(signo);
    const int flags = SA_SIGINFO | SA_NODEFER | SA_RESTART | SA_ONSTACK;
    return now.sa_sigaction == handle && (now.sa_flags & flags) == (SA_SIGINFO | SA_NODEFER) &&
           sigismember(&now.sa_mask, SIGHUP) == 1 && sigismember(&now.sa_mask, SIGTERM) == 0;
}

void shut_down(void)
{
    ck_assert_int_eq(aw_shutdown(), 0);
}

int send_later(void *arg)
{
    const struct later *later = arg;
    return kill(later->target, later->signo);
}

void sleep_and_expect(int signo, struct told *told)
{
    struct later later = { getpid(), signo };
    unsigned before = told->runs;
    pid_t pid = in_child(20, send_later, &later);
    ck_assert_int_eq(aw_wait(AW_SEC(60)), 1);
    ck_assert_uint_eq(told->runs, before + 1);
    expect_exit(pid, 0);
}
