/* SPDX-License-Identifier: MIT */
/*
 * watching.h: a watcher that writes down what it was told, a disposition that is known again, and a child
 * that sends a signal; for the tests of what watching does to a process.
 */
#ifndef AWI_WATCHING_H
#define AWI_WATCHING_H

#include <pthread.h>

#include "signal_fixture.h"

/* What a watcher was told. */
struct told {
    unsigned runs;
    uint64_t counted;
    siginfo_t info;
    pthread_t thread;
    int result;
};

int note(const siginfo_t *info, uint64_t count, void *arg);
void watch(int signo, struct told *told);
void unwatch(int signo, struct told *told);
void shut_down(void);

struct sigaction disposition(int signo);
void queue_value(int signo, int value);

/* A handler with a mask and flags that nobody else would think of, and what it saw. */
extern volatile unsigned handled;
extern volatile int handled_value;
void install(int signo);
bool is_installed(int signo);

struct later {
    pid_t target;
    int signo;
};
int send_later(void *arg);

/* It comes while the owner sleeps: the callback runs there, and no foreign handler did. */
void sleep_and_expect(int signo, struct told *told);

#endif
