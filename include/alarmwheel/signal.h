/* SPDX-License-Identifier: MIT */
/*
 * signal.h: signals whose work is done at safe points. The handler writes down what came and raises a flag;
 * the callbacks run where the program's own callbacks run: in aw_safepoint, aw_dispatch, aw_wait, aw_poll,
 * aw_run, and in guarded calls while they block. There they may do what they like: allocate, print, longjmp.
 * This is CPython's two-stage delivery.
 *
 * Each watched signal has the engine's handler, installed with SA_RESTART | SA_ONSTACK | SA_SIGINFO and a
 * full mask. It may run on any thread; the callbacks run on the owner's. Nothing that arrived is forgotten:
 * what could not be told apart is counted.
 *
 * For all functions here, unless said otherwise: AS-Unsafe; owner thread only (-EPERM elsewhere); -ENODEV
 * without an engine and in a forked child, whose dispositions are those from before aw_signal_watch.
 *
 * Needs the types of POSIX.1-2008: define _POSIX_C_SOURCE 200809L or _GNU_SOURCE in C11 mode.
 */
#ifndef ALARMWHEEL_SIGNAL_H
#define ALARMWHEEL_SIGNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include <alarmwheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What is called for a signal that was watched. `info` is that of the last one, and valid until the function
 * returns; `count` is how many came since it was called last, this one included. Real-time signals are
 * queued, 1024 of all kinds at most, and come one by one, in their order, each with its own value and with
 * count 1; beyond that they merge as the standard ones do, and are counted. The kernel merges standard
 * signals before anybody can count them.
 *
 * 0 and more: go on. A negative value ends the dispatch and comes out of the safe point that ran it, so that
 * an interruption unwinds the program as an exception would.
 */
typedef int aw_signal_fn(const siginfo_t *info, uint64_t count, void *arg);

/*
 * Has fn(arg) called for signo. Several functions may watch one signal: they are called in the order in
 * which they came. The disposition that the first of them displaces comes back when the last goes. A watched
 * signal keeps aw_run going. Signals that are blocked stay blocked: the mask is the program's.
 *
 * The signal of the engine itself (SIGALRM with AW_ALARM_ITIMER) is watched behind it: what is not the
 * engine's own is called back. The disposition that aw_init found is not called meanwhile. SIGPROF beside a
 * profile (profile.h): what is not the profiler's own; end last what began first.
 *
 * Returns 0. Errors: -EINVAL (fn NULL; no such signal; SIGKILL, SIGSTOP, which nobody can catch; SIGSEGV,
 * SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, after which there is no safe point to come: the same instruction
 * would run again, for ever); -EEXIST (that fn with that arg watches it already); -ENOSPC (128 watchers).
 */
AW_API int aw_signal_watch(int signo, aw_signal_fn *fn, void *arg);

/*
 * Takes that back; fn NULL: all that watch signo. When the last goes, and at aw_shutdown, the old
 * disposition is restored, unless somebody else has replaced the engine's since; what has arrived and was
 * not called back yet is then sent again, to this thread, and finds that disposition (but for the engine's
 * own signal: it is dropped). Inside a callback, too. Returns 0. Errors: -EINVAL (no such signal); -ENOENT.
 */
AW_API int aw_signal_unwatch(int signo, aw_signal_fn *fn, void *arg);

/*
 * Sets the disposition to SIG_IGN or SIG_DFL, until aw_signal_unwatch(signo, NULL, NULL) or aw_shutdown
 * brings back the old one. Returns 0. Errors: -EINVAL, as above, and the engine's signal; -EBUSY (it is
 * watched: unwatch it first).
 */
AW_API int aw_signal_ignore(int signo);
AW_API int aw_signal_default(int signo);

/*
 * Whether the signal interrupts what blocks (true: EINTR, as siginterrupt(3)) or the kernel restarts it
 * (false, as it is at first). Guarded calls go on in both cases, after running the callbacks. It holds while
 * the signal is watched. Returns 0. Errors: -EINVAL (no such signal; the engine's); -ENOENT (not watched).
 */
AW_API int aw_signal_interrupt(int signo, bool interrupts);

/* Who has a signal. */
enum aw_signal_kind {
    AW_SIGNAL_DEFAULT, /* SIG_DFL, whoever set it */
    AW_SIGNAL_IGNORED, /* SIG_IGN */
    AW_SIGNAL_FOREIGN, /* a handler that is not alarmwheel's */
    AW_SIGNAL_WATCHED  /* aw_signal_watch; the engine's own if `watchers` is 0 */
};
struct aw_signal_state {
    size_t size; /* in: sizeof(struct aw_signal_state); out: the bytes that were filled in */
    enum aw_signal_kind kind;
    unsigned watchers;
    aw_signal_fn *fn; /* the first of them; else NULL */
    void *arg;
    uint64_t received; /* since the first began to watch */
    uint64_t merged;   /* of these: real-time ones that found the queue full */
};

/* Fills in *state. Returns 0. Errors: -EINVAL (no such signal; NULL; size 0). */
AW_API int aw_signal_query(int signo, struct aw_signal_state *state);

/*
 * Sends signo to a thread of this process, as pthread_kill(3), any thread; 0 only looks whether it is there.
 * AS-Safe; MT-Safe; needs no engine. Returns 0. Errors: -EINVAL (no such signal); -ESRCH.
 */
AW_API int aw_signal_raise_in(pthread_t thread, int signo);

/*
 * Waits for one of `set`, takes it, and returns its number, with *info (NULL: not wanted) filled in; as
 * sigtimedwait(2), but timers, posts and other watched signals go on meanwhile. It blocks the set for as
 * long as it waits, so that no handler gets them; block them yourself, in all threads, before they may come.
 * Signals of the set that were watched, and came before, count: their callbacks do not run for what is
 * returned here.
 *
 * A callback that leaves it by longjmp leaves the set blocked: use siglongjmp to a mask that was saved.
 *
 * timeout_ns: AW_FOREVER: no limit; 0: only looks. Errors: -EAGAIN (the time is over); -EINVAL (NULL; empty;
 * the engine's signal in it, or SIGVTALRM inside a guard on user time); -EDEADLK (inside a callback);
 * -ETIMEDOUT (a guard around it has expired); the negative value of a callback.
 */
AW_API int aw_signal_wait(const sigset_t *set, siginfo_t *info, uint64_t timeout_ns);

/*
 * Fills in *set with the signals that have come and are still to be handled: blocked and pending, as
 * sigpending(2), or watched and not called back yet. Returns how many. Errors: -EINVAL (NULL).
 */
AW_API int aw_signal_pending(sigset_t *set);

/*
 * Sleeps until a signal has been handled, as pause(2): a watched one, whose callback has run (returns 0), or
 * one that is somebody else's (-EINTR). Timers and posts run meanwhile, and do not end it. -ETIMEDOUT: a
 * guard around it; or the negative value of a callback. -EDEADLK inside a callback.
 */
AW_API int aw_pause(void);

#ifdef __cplusplus
}
#endif

#endif
