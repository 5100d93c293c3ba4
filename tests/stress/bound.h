/* SPDX-License-Identifier: MIT */
/*
 * bound.h: a blocking call bounded in time: by alarmwheel, in each of the ways in which it does that, and by
 * the naive ways, that the stress program must see to fail.
 */
#ifndef AWI_STRESS_BOUND_H
#define AWI_STRESS_BOUND_H

#include "meeting.h"

/* How alarmwheel is asked. */
enum way {
    WAY_OWN,    /* the call's own time-out */
    WAY_AROUND, /* a guard around it */
    WAY_ESCAPE, /* a guard that escapes; the result is taken under a shield */
    WAYS
};

struct attempt {
    const struct plan *plan;
    const struct meeting *meeting;
    enum way way;
    uint64_t timeout_ns;
    uint64_t delay_ns; /* from the start of its time to the call; 0: at once */
    /* Called when the time has begun, before the call; `began` keeps the clock of that moment. */
    void (*begin)(struct attempt *attempt, void *arg);
    void *arg;
    uint64_t began_ns;

    bool landed; /* the signal had come before the call was made, as far as can be seen */
    int result;  /* -1: time-out, or `error` */
    int error;   /* 0: time-out */
    unsigned char byte;
    uint64_t not_before_ns; /* a time-out before this is one too early */
    uint64_t ended_ns;
};

/* In the owner thread, once. */
bool bound_start(const struct plan *plan);
void bound_stop(const struct plan *plan);
int bound_signo(const struct plan *plan);

/* SIGUSR1 from now on keeps the processor, in an SA_RESTART handler, until `until_ns`. */
extern _Atomic uint64_t beneath_until_ns, beneath_at_ns;
void bound_hold(void);

void bound_call(struct attempt *attempt);

/* The naive ways; `bounded` is not BY_US. */
void naive_start(enum bounded bounded);
void naive_call(struct attempt *attempt);

/* Waits for the moment of the call; true if `landed`, looked at last of all, was set before. */
bool bound_delay(const struct attempt *attempt, const volatile unsigned *landed);

#endif
