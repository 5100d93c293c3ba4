/* SPDX-License-Identifier: MIT */
/*
 * fake_fault.h: has the n-th call of a libc function fail, and counts the calls. By ld --wrap, as
 * fake_clock.h: the faked ones look here, the others are wrapped in fake_fault.c.
 */
#ifndef AWI_FAKE_FAULT_H
#define AWI_FAKE_FAULT_H

#include <stdbool.h>

enum fault {
    FAULT_SETITIMER,
    FAULT_TIMER_CREATE,
    FAULT_TIMER_SETTIME,
    FAULT_CLOCK_GETRES,
    FAULT_PPOLL,
    FAULT_SIGACTION,
    FAULT_EVENTFD,
    FAULT_ATFORK,
    FAULT_ALLOCATION, /* malloc, calloc, realloc, aligned_alloc, posix_memalign */
    FAULTS
};

/* The n-th call from now on fails with `error`; with `always` all later ones do, too. */
void fault_plan(enum fault fault, unsigned n, int error);
void fault_plan_always(enum fault fault, int error);
void fault_clear(void);

/* Calls since the plan was made, or since fault_clear. */
unsigned fault_calls(enum fault fault);

/* For those who wrap: counts a call; true, with errno set, if it is to fail. */
bool fault_strikes(enum fault fault);

#endif
