/* SPDX-License-Identifier: MIT */
/*
 * timer.h: any number of timers for one thread, multiplexed onto the engine's one alarm. Callbacks run at
 * safe points (safepoint.h), on the owner thread, never in the signal handler and never early.
 *
 * For all functions here: AS-Unsafe; owner thread only (-EPERM elsewhere); -ENODEV without an engine, which
 * is also the answer in a forked child. A handle is stale (-ENOENT) once its timer is deleted or the engine
 * was shut down. Deadlines are rounded up to the engine's tick (131 us by default). None of them allocates,
 * except aw_timer_create.
 */
#ifndef ALARMWHEEL_TIMER_H
#define ALARMWHEEL_TIMER_H

#include <alarmwheel/base.h>
#include <alarmwheel/wheel.h> /* struct aw_timer, aw_timer_fn, enum aw_missed */

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a timer, not armed, and stores its handle in *timer. `fn` runs with the handle and `arg`; 0 from it
 * goes on, a negative value comes out of the safe point that ran it. The timer lives until aw_timer_delete
 * or aw_shutdown. May allocate (the slab grows by doubling). Errors: -EINVAL, -ENOMEM (nothing has
 * changed).
 */
AW_API int aw_timer_create(struct aw_timer *timer, aw_timer_fn *fn, void *arg);

/*
 * Arms the timer to run once, delay_ns from now by a fresh reading of the clock; replaces what it was armed
 * for. 0: when the current tick ends. Never within the dispatch that runs. Makes a system call only where
 * the timer becomes strictly the earliest. Returns 0. Errors: -EINVAL (AW_FOREVER), -ENOENT; and what
 * setitimer says: then the timer is as it was.
 */
AW_API int aw_timer_arm(struct aw_timer timer, uint64_t delay_ns);

/*
 * The same at a deadline on CLOCK_MONOTONIC; reads no clock. One that has passed by a tick or more is due at
 * once, though never within the dispatch that runs; one in the current tick when that ends.
 */
AW_API int aw_timer_arm_at(struct aw_timer timer, uint64_t deadline_ns);

/*
 * Arms the timer to run first_ns from now and then every period_ns, from the scheduled times, so without
 * drift. `missed` says what happens to periods that passed before it could run. Errors: as aw_timer_arm;
 * -EINVAL for a period of 0 or of 2^61 ns and more, and for an unknown policy.
 */
AW_API int aw_timer_arm_every(struct aw_timer timer, uint64_t first_ns, uint64_t period_ns,
                              enum aw_missed missed);

/*
 * The delay of the last aw_timer_arm (or the period) once more: the refresh of a connection's timeout, as
 * libev's ev_timer_again. It reads the coarse clock and adds its resolution twice, so the deadline is late
 * by at most two kernel ticks (8 ms at 250 Hz), never early. Errors: -ENOENT; -EINVAL where the timer had
 * no delay yet.
 */
AW_API int aw_timer_again(struct aw_timer timer);

/*
 * Disarms: 1 if it was armed, 0 if it was not. The alarm stays as it is: cancelling makes no system call.
 * -ENOENT.
 */
AW_API int aw_timer_disarm(struct aw_timer timer);

/* Deletes the timer: 0. Safe anywhere, in its own callback too. -ENOENT. */
AW_API int aw_timer_delete(struct aw_timer timer);

/*
 * The time until the tick at which it is due; 0: due already. Errors: -ESRCH if it is not armed, -EINVAL,
 * -ENOENT.
 */
AW_API int aw_timer_remaining(struct aw_timer timer, uint64_t *remaining_ns);

/*
 * Inside its callback: the periods missed before this run, as timer_getoverrun(2); anywhere else 0.
 * -EINVAL, -ENOENT.
 */
AW_API int aw_timer_overrun(struct aw_timer timer, uint64_t *missed);

/* The timer does not keep aw_run going. Idempotent. -ENOENT. */
AW_API int aw_timer_unref(struct aw_timer timer);

#ifdef __cplusplus
}
#endif

#endif
