/* SPDX-License-Identifier: MIT */
/*
 * itimer.h: virtual interval timers: alarm(2), setitimer(2) and getitimer(2) as a process would have them to
 * itself, as many as wanted, on the engine's one alarm. A timer that runs out calls a function at a safe
 * point, and sends no signal. So code that was written for the one real interval timer can go on beside
 * everybody else's.
 *
 * Three timers are always there: ITIMER_REAL, ITIMER_VIRTUAL and ITIMER_PROF, each a virtual one of that
 * kind; aw_alarm sets the first. aw_itimer_create makes more. The kinds are the clocks: REAL counts the time
 * that passes (CLOCK_MONOTONIC), VIRTUAL the user time of the process, PROF its user and system time. None
 * is ever early. REAL is late by a timer's tick, VIRTUAL and PROF by up to two ticks of the kernel's
 * clock, as the originals.
 *
 * Values, rounding and errors are those of the originals on Linux, the errors as negative errno: fields out
 * of range are -EINVAL and change nothing, a new value of NULL stops the timer, the time that is left of one
 * that runs is never zero.
 *
 * For all functions here: AS-Unsafe; owner thread only (-EPERM elsewhere); -ENODEV without an engine and in
 * a forked child. aw_shutdown stops all of them.
 *
 * Needs <sys/time.h> of POSIX.1-2008: define _XOPEN_SOURCE 700, _DEFAULT_SOURCE or _GNU_SOURCE in C11 mode.
 */
#ifndef ALARMWHEEL_ITIMER_H
#define ALARMWHEEL_ITIMER_H

#include <sys/time.h>

#include <alarmwheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What is called when timer `id` has run out, `expirations` times since the last call: as a signal merges
 * with one that is pending. Return values as of aw_timer_fn: 0 and more: go on; a negative one comes out of
 * the safe point. It may set, delete and create timers, itself too.
 */
typedef int aw_itimer_fn(int id, uint64_t expirations, void *arg);

/*
 * Which function a timer calls; NULL: none, and its expirations are lost. Returns 0; -EINVAL
 * (no such timer).
 */
AW_API int aw_itimer_callback(int id, aw_itimer_fn *fn, void *arg);

/*
 * One more timer, of the kind `which`: its id, for the functions below. Errors: -EINVAL (no such kind; fn
 * NULL); -ENOMEM; -ENOSPC (1,000 of them).
 */
AW_API int aw_itimer_create(int which, aw_itimer_fn *fn, void *arg);

/*
 * Stops it and forgets it; its id may be given out again. Returns 0; -EINVAL (no such timer, or one of the
 * three).
 */
AW_API int aw_itimer_delete(int id);

/*
 * As setitimer(2) and getitimer(2): `id` is ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF or of aw_itimer_create.
 * Returns 0. Errors: -EINVAL (no such timer, or a value out of range); -EFAULT (a pointer to nowhere);
 * -ENOMEM; -EAGAIN (the kernel has no timer left for the first VIRTUAL or PROF one).
 */
AW_API int aw_setitimer(int id, const struct itimerval *new_value, struct itimerval *old_value);
AW_API int aw_getitimer(int id, struct itimerval *value);

/*
 * As alarm(2), on the virtual ITIMER_REAL: the seconds that were left, rounded as the original rounds them,
 * never to 0 for a timer that runs; 0 if none did. 0 stops it. Negative errno for -EPERM, -ENODEV, -ENOMEM.
 */
AW_API int64_t aw_alarm(unsigned seconds);

#ifdef __cplusplus
}
#endif

#endif
