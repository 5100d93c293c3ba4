/* SPDX-License-Identifier: MIT */
/*
 * fork_in_handler.h: a SIGALRM handler that forks, a number of times, at instants that move: it interrupts
 * whatever the thread is at. Included by one source of a program.
 */
#ifndef FORK_IN_HANDLER_H
#define FORK_IN_HANDLER_H

#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t forks_left;

/* Once: a handler that takes longer than the time to the next would leave the program none. */
static void set_alarm_to_fork(void)
{
    struct itimerval value = { .it_value.tv_usec = 200 + forks_left * 37 % 1000 };
    setitimer(ITIMER_REAL, &value, NULL);
}

static void fork_in_handler(int signo)
{
    int saved_errno = errno;
    (void)signo;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (--forks_left > 0)
        set_alarm_to_fork();
    errno = saved_errno;
}

#endif
