/* SPDX-License-Identifier: MIT */
/*
 * toy.c: what the race checker is tried on before it is trusted with alarmwheel. Its broken copies
 * (toy-*.edit) swap two stores, leave out the mask around the sleep, and leave out the nag.
 */
#include "toy.h"

#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void (*toy_fn)(void);
static volatile sig_atomic_t due, nagging;
static volatile uint64_t need; /* 0: none */

static uint64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void program(uint64_t at)
{
    uint64_t t = now();
    uint64_t us = at > t ? (at - t + 999) / 1000 : 1;
    struct itimerval value = { { 0, 0 }, { (time_t)(us / 1000000), (suseconds_t)(us % 1000000) } };

    setitimer(ITIMER_REAL, &value, NULL);
}

static void handler(int signo)
{
    uint64_t t = now();

    (void)signo;
    if (need != 0) {
        if (t >= need) {
            need = 0;
            due = 1;
        } else {
            program(need);
        }
    }
    if (nagging && due)
        program(t + 50000);
}

void toy_start(void (*fn)(void))
{
    struct sigaction action = { .sa_handler = handler };

    toy_fn = fn;
    sigaction(SIGALRM, &action, NULL);
}

void toy_arm(uint64_t delay_ns)
{
    uint64_t at = now() + delay_ns;

    need = at;
    program(at);
}

void toy_run(void)
{
    if (due) {
        due = 0;
        toy_fn();
    }
}

int toy_wait(uint64_t timeout_ns)
{
    struct timespec timeout = { (time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u) };
    sigset_t all, old;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    while (!due && ppoll(NULL, 0, &timeout, &old) != 0)
        continue;
    sigprocmask(SIG_SETMASK, &old, NULL);
    toy_run();
    return 0;
}

int toy_read(int fd, uint64_t delay_ns)
{
    char byte;
    int result;

    nagging = 1;
    toy_arm(delay_ns);
    result = (int)read(fd, &byte, 1);
    nagging = 0;
    due = 0;
    return result;
}
