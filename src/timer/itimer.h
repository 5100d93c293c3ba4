/* SPDX-License-Identifier: MIT */
/*
 * itimer.h: the virtual interval timers as values in nanoseconds: what itimer_values.c knows of them. Owner
 * thread.
 */
#ifndef AWI_ITIMER_H
#define AWI_ITIMER_H

#include <stdbool.h>
#include <stdint.h>

#include <alarmwheel/itimer.h>

#define AWI_ITIMER_KINDS 3 /* and the ids from 0 to 2 are one of each: ITIMER_REAL, _VIRTUAL, _PROF */

/* The longest span, and the last instant of CLOCK_MONOTONIC, as the kernel has them. */
#define AWI_ITIMER_LONGEST ((uint64_t)INT64_MAX)

struct awi_itimer_value {
    uint64_t left_ns; /* 0: it does not run; never more than AWI_ITIMER_LONGEST to set */
    uint64_t interval_ns;
};

/* 0, with the three timers there; -EPERM, -ENODEV. Before all others. */
int awi_itimer_open(void);

bool awi_itimer_exists(int id);

/* Of a timer that exists: what is left, to the nanosecond. */
struct awi_itimer_value awi_itimer_value(int id);

/*
 * Replaces it, and says what it was: what has run out by then is delivered, and what is left is not, so that
 * each of its expirations is either in *old or comes. On an error it is as before.
 */
int awi_itimer_set(int id, const struct awi_itimer_value *value, struct awi_itimer_value *old);

#endif
