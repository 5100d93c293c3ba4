/* SPDX-License-Identifier: MIT */
/*
 * burn.h: processor time, for the guards that are bounded by it: their two clocks, and a timer on each that
 * brings the handler when a guard's time is burnt. AW_GUARD_CPU: the owner thread's clock, and a POSIX timer
 * that sends the engine's own signal. AW_GUARD_USER: the user time of the process, and ITIMER_VIRTUAL with
 * SIGVTALRM, which are taken while such a guard is entered, and given back with the last.
 *
 * `how` is one of the two flags.
 */
#ifndef AWI_BURN_H
#define AWI_BURN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <alarmwheel/guard.h>

#define AWI_BURNS (AW_GUARD_CPU | AW_GUARD_USER)

/*
 * The clock that ITIMER_VIRTUAL runs on, by the kernel's numbering of processor clocks: of this process, its
 * user time. getrusage tells the same time smoothed, which would lie now before, now behind the timer.
 */
#define AWI_USER_CLOCK ((clockid_t)(~0u << 3 | 1u))

/*
 * Before a guard of the kind is pushed: makes the timer, or takes ITIMER_VIRTUAL and SIGVTALRM; -EBUSY if
 * that timer runs. Once is enough, more do no harm.
 */
int awi_burn_open(unsigned how);

/* The time burnt so far. AS-Safe; the owner's thread. */
uint64_t awi_burn_now(unsigned how);

/*
 * After a guard that is due at burn_ns was pushed, with its bit in awi.burning: sees to it that the timer
 * comes in time. now_ns is what awi_burn_now said. Negative errno if the timer cannot be programmed.
 */
int awi_burn_cover(unsigned how, uint64_t burn_ns, uint64_t now_ns);

/*
 * Handler and program: which of the entered guards are due by their own clock, and not marked yet. Notes how
 * late each of them is, and programs the timers for those that are left. It reads a clock only if a guard
 * on it is entered.
 */
uint64_t awi_burn_expire(void);

/* Guards were dropped, and their bits in awi.burning are clear: gives back what the rest does not need. */
void awi_burn_dropped(void);

/* True if the signal comes from one of the two timers. */
bool awi_burn_rang(const siginfo_t *info);

/* SIGVTALRM, while it is taken: false for all other signals. And the disposition that stood there. */
bool awi_burn_took(int signo);
/* ... and puts another in its place, for when it is given back. */
void awi_burn_replace_found(const struct sigaction *action);
struct sigaction awi_burn_found(void);

/* At aw_shutdown, with no guard entered. */
void awi_burn_close(void);

/* In the child of a fork, which has no timers: restores disposition and, on the owner's copy, mask. */
void awi_burn_forked(bool was_owner);

#endif
