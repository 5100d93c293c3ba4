/* SPDX-License-Identifier: MIT */
/*
 * safepoint.h: where callbacks run. The signal handler only raises flags; the program's own thread looks at
 * them at safe points: aw_safepoint in its loops, aw_wait or aw_poll where it has nothing else to do. This
 * is the two-stage signal model of CPython ("eval breaker" and pending calls), for C.
 *
 * For all functions here, unless said otherwise: AS-Unsafe; owner thread only (-EPERM elsewhere); -ENODEV
 * without an engine and in a forked child. Inside a callback a safe point runs no callbacks, but reports
 * guards that were entered there; a wait is -EDEADLK.
 */
#ifndef ALARMWHEEL_SAFEPOINT_H
#define ALARMWHEEL_SAFEPOINT_H

#include <alarmwheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pollfd; /* <poll.h> */

/* Not for direct use: nonzero while a safe point has something to do. Written by the library alone. */
extern AW_API volatile uint32_t awi_pending;

/* What aw_safepoint calls when something is pending: aw_dispatch with the default budget. */
AW_API int aw_safepoint_slow(void);

/*
 * A load and a branch; when something is pending it runs the callbacks that are due. Put it where the
 * program can stand a callback: once per iteration, per row, per opcode. Returns 0; or the first negative
 * value that a callback returned; or -ETIMEDOUT while an enclosing guard stands expired. Where nothing is
 * pending it is 0 on any thread and without an engine.
 */
static inline int aw_safepoint(void)
{
#if defined(__GNUC__)
    return __builtin_expect(__atomic_load_n(&awi_pending, __ATOMIC_RELAXED) != 0, 0) ? aw_safepoint_slow()
                                                                                     : 0;
#else
    return awi_pending != 0 ? aw_safepoint_slow() : 0;
#endif
}

/*
 * Reads the clock and runs what is due: watched signals, timers in the order of their deadlines, interval
 * timers on processor time, then what was posted.
 * `budget` bounds the timer records visited (0: the engine's option); what is left over stays pending.
 * Returns the callbacks run, or a negative value as aw_safepoint does.
 */
AW_API int aw_dispatch(unsigned budget);

/*
 * Sleeps until a callback has run, at most timeout_ns (AW_FOREVER: no limit). Safe against the race between
 * the check and the sleep: it sleeps in ppoll(2), with signals blocked around it. A stolen alarm costs at
 * most 10 ms.
 * Returns the callbacks run; 0: the time passed; -EINTR: a signal handler that is not alarmwheel's ran while
 * it slept (one that runs while it dispatches goes unnoticed: let it call aw_post or aw_quit); -ETIMEDOUT:
 * an enclosing guard expired; or the negative value of a callback. -EDEADLK inside a callback.
 */
AW_API int aw_wait(uint64_t timeout_ns);

/*
 * poll(2) that runs what is due while it waits, and goes on waiting. Returns the descriptors that are
 * ready; 0: the time passed; -EINTR, -ETIMEDOUT, or the negative value of a callback, as aw_wait; -EINVAL,
 * -EFAULT, -ENOMEM as poll(2); -EDEADLK inside a callback. When a negative value comes out, `revents` are
 * not meaningful.
 */
AW_API int aw_poll(struct pollfd *fds, unsigned long n, uint64_t timeout_ns);

/*
 * Runs callbacks until aw_quit, or until no timer is armed (those under aw_timer_unref aside) and no signal
 * is watched. A foreign signal handler does not end it: let that handler call aw_quit. Returns what aw_quit
 * was given, 0 when nothing is left, or the first negative value of a callback, or -ETIMEDOUT for an
 * enclosing guard. -EDEADLK inside a callback or inside another aw_run.
 */
AW_API int aw_run(void);

/*
 * Makes the aw_run that runs return `result` once the callbacks of the current dispatch are done. Returns
 * 0; -EINVAL if no aw_run runs. AS-Safe; MT-Safe: a signal handler or another thread may call it.
 */
AW_API int aw_quit(int result);

/* A posted function: 0 to go on; a negative value comes out of the safe point. */
typedef int aw_post_fn(void *arg);

/*
 * Has fn(arg) run at a safe point of the owner, in the order of the posts, once each; wakes the owner if it
 * sleeps in a wait or a guarded call. The queue is bounded (1,024) and lock-free: a bounded ring with a
 * sequence number in every cell (D. Vyukov). Returns 0. Errors: -EAGAIN when full; -EINVAL; -ENODEV.
 * AS-Safe; MT-Safe. What was posted and not run is dropped by fork (in the child) and by aw_shutdown.
 */
AW_API int aw_post(aw_post_fn *fn, void *arg);

/*
 * A descriptor, made at the first call, that is readable when a dispatch is due: for a poll loop that is
 * not ours. Do not read it: aw_dispatch drains it. It is closed by aw_shutdown and in a forked child.
 * Returns the descriptor, or what eventfd(2) says.
 */
AW_API int aw_wakeup_fd(void);

/*
 * From now on each signal that the library handles writes its number as one byte to `fd`, as Python's
 * signal.set_wakeup_fd. The descriptor must be non-blocking and stays the caller's; a byte that does not
 * fit is lost. A negative fd: none. Returns the descriptor set before, or -ENOENT where there was none
 * (which may be passed back as it is). Errors: -EINVAL (blocking), -EBADF (not open); the old one then
 * stays. Forgotten by aw_shutdown and in a forked child.
 */
AW_API int aw_set_wakeup_fd(int fd);

/*
 * The time-out for a foreign poll loop: *deadline_ns is the next deadline of a timer or guard (AW_FOREVER:
 * none; a time in the past: dispatch now). Returns 1, or 0 where there is none. -EINVAL.
 */
AW_API int aw_next(uint64_t *deadline_ns);

/*
 * Before a foreign sleep, poll or nanosleep, which the kernel never restarts: takes back an alarm that was
 * left armed for something since cancelled, so that only a real deadline can interrupt it. Returns 1 if it
 * had to, 0 if not. Errors: what setitimer says.
 */
AW_API int aw_quiet(void);

#ifdef __cplusplus
}
#endif

#endif
