/* SPDX-License-Identifier: MIT */
/*
 * signal_wait.c: waiting for a signal. A guarded rt_sigtimedwait: the set is blocked, so no handler gets
 * what it waits for, while the alarm and all other signals have theirs, which end the call if it sleeps and
 * keep it from sleeping if it is about to (call.c). What it has taken it returns.
 *
 * A signal of the set that a handler on another thread gets is recorded and wakes the owner, whose dispatch
 * leaves it where it is, and ends the call for it (deliver.c).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../busy.h"
#include "../engine/burn.h"
#include "../engine/clock.h"
#include "../engine/dispatch.h"
#include "../engine/disposition.h"
#include "../engine/engine.h"
#include "../engine/wait.h"
#include "../guard/call.h"
#include "record.h"
#include "watch.h"

static uint64_t signals_of(const sigset_t *set)
{
    uint64_t signals = 0;
    for (int signo = 1; signo <= AWI_SIGNALS; ++signo)
        signals |= sigismember(set, signo) == 1 ? awi_signal_bit(signo) : 0;
    return signals;
}

static long plain(const long argument[6])
{
    return sigtimedwait((const sigset_t *)argument[0], (siginfo_t *)argument[1],
                        (const struct timespec *)argument[2]);
}

/* The signal, or 0 where none is pending. */
static int look(const sigset_t *set, siginfo_t *info)
{
    const struct timespec at_once = { 0, 0 };
    long signo;
    do
        signo = syscall(SYS_rt_sigtimedwait, set, info, &at_once, (size_t)_NSIG / 8);
    while (signo < 0 && errno == EINTR);
    return signo > 0 ? (int)signo : 0;
}

/* glibc's sigtimedwait calls what raise(3) sends the same as what kill(2) sends, so all ways here do. */
static int found(int signo, siginfo_t *info)
{
    if (signo > 0 && info->si_code == SI_TKILL)
        info->si_code = SI_USER;
    return signo;
}

/* What is recorded came before what is pending. */
static int take(const sigset_t *set, siginfo_t *info)
{
    struct awi_arrival arrival;
    if (awi_engine.signals == NULL || !awi_record_take(awi_waiting.signals, &arrival))
        return found(look(set, info), info);
    *info = arrival.info;
    return found(arrival.signo, info);
}

static uint64_t left(uint64_t deadline_ns)
{
    uint64_t now = awi_clock_now();
    return deadline_ns == AW_FOREVER ? AW_FOREVER : deadline_ns > now ? deadline_ns - now : 0;
}

static int wait_for(const sigset_t *set, siginfo_t *info, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_rt_sigtimedwait, plain };
    const long argument[6] = { (long)set, (long)info, 0, _NSIG / 8 };
    uint64_t deadline = awi_sum(awi_clock_now(), timeout_ns);
    for (;;) {
        int signo = take(set, info);
        if (signo > 0)
            return signo;
        awi_signal_wait_has = false;
        bool timed_out;
        long result = awi_call_value(argument, left(deadline), &call, &timed_out);
        if (timed_out && awi_expired_guards() == 0) {
            signo = take(set, info); /* both may have come at once, and the alarm first */
            return signo > 0 ? signo : -EAGAIN;
        }
        if (!awi_signal_wait_has || result != -EINTR)
            return found((int)result, info);
    }
}

/* Those of the set that were not in the mask. */
static sigset_t blocked_by(const sigset_t *set, const sigset_t *mask)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    for (int signo = 1; signo <= AWI_SIGNALS; ++signo) {
        if (sigismember(set, signo) == 1 && sigismember(mask, signo) == 0)
            sigaddset(&blocked, signo);
    }
    return blocked;
}

/* The set blocked; what comes of it is nobody's meanwhile. */
static int wait_blocked(const sigset_t *set, siginfo_t *info, uint64_t timeout_ns)
{
    struct awi_frame frame;
    struct awi_waiting outer = awi_waiting;
    sigset_t mask;
    uint64_t epoch = awi_engine.epoch;

    pthread_sigmask(SIG_BLOCK, set, &mask);
    const sigset_t blocked = blocked_by(set, &mask);
    awi_waiting.signals = signals_of(set);
    awi_frame_open(&frame, &awi_waiting.frame);
    int result = wait_for(set, info, timeout_ns);
    awi_frame_close(&frame, &awi_waiting.frame);
    awi_waiting = outer;
    pthread_sigmask(SIG_UNBLOCK, &blocked, NULL); /* what else a callback did to the mask is its business */
    return awi_engine.epoch == epoch ? result : -ENODEV;
}

static bool is_possible(const sigset_t *set)
{
    uint64_t signals = signals_of(set);
    for (int signo = 1; signo <= AWI_SIGNALS; ++signo) {
        bool is_engines = signo == awi_disposition_signo() || awi_burn_took(signo);
        if (is_engines && (signals & awi_signal_bit(signo)) != 0)
            return false;
    }
    return signals != 0;
}

AWI_OUTLINE int aw_signal_wait(const sigset_t *set, siginfo_t *info, uint64_t timeout_ns)
{
    siginfo_t unwanted;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (set == NULL || !is_possible(set))
        return -EINVAL;
    if (awi_in_callback(AWI_HERE))
        return -EDEADLK;
    int saved_errno = errno;
    const void *outer = awi_busy_begin();
    int result = wait_blocked(set, info != NULL ? info : &unwanted, timeout_ns);
    awi_busy_end(outer);
    errno = saved_errno;
    return awi_escape_if_due(result, AWI_HERE);
}

int aw_signal_pending(sigset_t *set)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    if (set == NULL)
        return -EINVAL;
    int saved_errno = errno;
    int count = 0;
    uint64_t recorded = awi_engine.signals != NULL ? awi_record_waiting() : 0;
    sigpending(set);
    for (int signo = 1; signo <= AWI_SIGNALS; ++signo) {
        if ((recorded & awi_signal_bit(signo)) != 0)
            sigaddset(set, signo);
        count += sigismember(set, signo) == 1;
    }
    errno = saved_errno;
    return count;
}

static int pause_for(const void *here)
{
    uint64_t before = awi_signal_delivered;
    bool foreign;
    int result;
    do
        result = awi_wait(NULL, 0, AW_FOREVER, true, &foreign, here);
    while (result >= 0 && awi_signal_delivered == before);
    return result < 0 ? result : 0;
}

AWI_OUTLINE int aw_pause(void)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    const void *outer = awi_busy_begin();
    int result = pause_for(AWI_HERE);
    awi_busy_end(outer);
    return awi_escape_if_due(result, AWI_HERE);
}
