/* SPDX-License-Identifier: MIT */
/*
 * forks.c: a program whose forks are not as they are mostly: behind the back of pthread_atfork, or in a
 * handler that interrupts whatever the thread is at.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/fork_in_handler.h"
#include "burn.h"

BURNER(burn_alpha)
BURNER(burn_child)

#if __GLIBC_PREREQ(2, 34)
#define FORK_RAW _Fork
#else
#define FORK_RAW fork
#endif

#define FORKS 800

static void *work_in_child(void *arg)
{
    burn_child(*(unsigned *)arg);
    return arg;
}

/* No fork handler is called: the child has its parent's memory as it is. */
static void fork_raw(void)
{
    unsigned ms = 300;
    pid_t pid = FORK_RAW();
    require(pid >= 0, "_Fork");
    if (pid == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work_in_child, &ms) != 0 || pthread_join(thread, NULL) != 0)
            _exit(1);
        _exit(0);
    }
    burn_alpha(ms);
    int status = -1;
    require(waitpid(pid, &status, 0) == pid && status == 0, "the child of _Fork ends well");
}

/* A program that hangs, with all signals blocked perhaps, is killed by the kernel. */
static void limit_time(time_t seconds)
{
    timer_t timer;
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
    struct itimerspec limit = { .it_value.tv_sec = seconds };
    require(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create");
    require(timer_settime(timer, 0, &limit, NULL) == 0, "timer_settime");
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void fork_while_threads_come_and_go(void)
{
    limit_time(240);
    require(signal(SIGALRM, fork_in_handler) != SIG_ERR, "signal");
    forks_left = FORKS;
    set_alarm_to_fork();
    while (forks_left > 0) {
        pthread_t thread;
        require(pthread_create(&thread, NULL, do_nothing, NULL) == 0, "pthread_create");
        require(pthread_join(thread, NULL) == 0, "pthread_join");
    }
}

int main(int argc, char **argv)
{
    require(argc == 2, "forks raw|in-handler");
    if (strcmp(argv[1], "raw") == 0)
        fork_raw();
    else
        fork_while_threads_come_and_go();
    return 0;
}
