/* SPDX-License-Identifier: MIT */
/*
 * alarm.h: the one alarm clock, from one of two sources: ITIMER_REAL, or a POSIX timer that signals the
 * owner's thread. One-shot; programmed for a point in time. Who may be programmed for what is cover.h's
 * business.
 */
#ifndef AWI_ALARM_H
#define AWI_ALARM_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <alarmwheel/engine.h>

/*
 * Opens the source. An interval timer that runs already is stopped and stored: due at *found_at
 * (AW_FOREVER: none).
 */
int awi_alarm_open(enum aw_alarm source, int signo, uint64_t *found_at, uint64_t *found_interval_ns);

/* Stops and closes it; a foreign interval timer that is to go on is started again. */
void awi_alarm_close(uint64_t found_at, uint64_t found_interval_ns);

/* The child of a fork has no timers: forget the one of the parent. */
void awi_alarm_forget(void);

/*
 * Programs the alarm for at_ns, given now_ns: at least 1 us ahead, since 0 would disarm; AW_FOREVER
 * disarms. The signal never comes early. Beyond AWI_ALARM_LONGEST it is the caller's part to ask again.
 * AS-Safe on Linux; POSIX lists timer_settime, and leaves out setitimer.
 */
int awi_alarm_program(uint64_t at_ns, uint64_t now_ns);
#define AWI_ALARM_LONGEST ((uint64_t)1 << 53) /* 104 days */

/*
 * True if the signal comes from the alarm clock itself, ours or (ITIMER) whoever else programs the same
 * one.
 */
bool awi_alarm_rang(const siginfo_t *info);

#endif
