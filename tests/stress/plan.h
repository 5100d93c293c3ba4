/* SPDX-License-Identifier: MIT */
/*
 * plan.h: what one configuration of the stress program tries, how often and against whom, and the options
 * that say so. An option that is not given stands for all its values, one configuration after the other.
 */
#ifndef AWI_STRESS_PLAN_H
#define AWI_STRESS_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <alarmwheel/engine.h>

/* The call that blocks until the peer is ready. */
enum call {
    CALL_OPEN,  /* of a FIFO, until somebody opens its other end */
    CALL_READ,  /* of a pipe */
    CALL_ACCEPT /* of a connection */
};

/* What brings the signal at the deadline. */
enum by {
    BY_TIMER, /* the alarm */
    BY_TGKILL /* the peer; where that can be done the alarm is stolen, so that nothing else brings it */
};

/* Who bounds the call. */
enum bounded {
    BY_US,
    BY_LONGJMP, /* siglongjmp out of the handler: loses what was granted and not yet stored */
    BY_EINTR,   /* a flag, and a loop on EINTR: hangs when the signal comes between the look and the call */
    BY_PC /* a stub whose program counter the handler judges, and no nag: hangs beneath other handlers */
};

struct plan {
    enum call call;
    enum by by;
    unsigned beside;  /* threads that spin */
    bool owner_first; /* the process's first thread makes the calls, and not a spinning one */
    enum bounded bounded;
    enum aw_interrupt interrupt;
    enum aw_alarm alarm;
    bool nested;   /* the signal comes inside another handler, above the call */
    bool emulated; /* under qemu-user: see bound_stop */
    unsigned tries;
    unsigned enough;  /* hangs after which it ends */
    uint64_t hang_ns; /* longer than this after the deadline is a hang */
    uint64_t seed;
};

/* The values an option may still have: a bit for each. */
struct choice {
    unsigned calls, bys, besides, owners, interrupts, alarms;
    struct plan rest;
};

/* False, after a message, if the options cannot be understood. */
bool choice_parse(struct choice *choice, int argc, char **argv);

/* Runs each configuration that the options leave; true if `run` was true for all of them. */
void choice_each(const struct choice *choice, void (*run)(const struct plan *plan, void *arg), void *arg);

/* "open by timer, beside 0, step": to print. */
void plan_describe(const struct plan *plan, char *text, unsigned size);

#endif
