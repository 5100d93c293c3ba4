/* SPDX-License-Identifier: MIT */
/* bound.c: see bound.h. The calls as alarmwheel bounds them. */
#include "bound.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include <alarmwheel/alarmwheel.h>

#include "peer.h"

_Atomic uint64_t beneath_until_ns, beneath_at_ns;

int bound_signo(const struct plan *plan)
{
    return plan->alarm == AW_ALARM_POSIX ? SIGRTMIN + 6 : SIGALRM;
}

bool bound_start(const struct plan *plan)
{
    if (plan->bounded != BY_US) {
        naive_start(plan->bounded);
        return true;
    }
    struct aw_options options = AW_OPTIONS_DEFAULT;
    options.alarm = plan->alarm;
    options.interrupt = plan->interrupt;
    return aw_init(&options) == 0;
}

/*
 * qemu-user keeps signals of its own, which SIG_IGN does not discard, and gives them to the disposition of a
 * later moment: there no signal may be under way to another thread when the engine stops. A kernel has no
 * such moment, and gets no such rest.
 */
static void rest(void)
{
    uint64_t until = clock_ns() + AW_MS(20);
    while (clock_ns() < until)
        sched_yield();
}

void bound_stop(const struct plan *plan)
{
    if (plan->emulated)
        rest();
    if (plan->bounded == BY_US)
        aw_shutdown();
}

/* It yields, because the peer, who sends the signal, may have been woken on this processor. */
static void hold(int signo)
{
    (void)signo;
    beneath_at_ns = clock_ns();
    while (clock_ns() < beneath_until_ns)
        sched_yield();
}

void bound_hold(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = hold;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
}

bool bound_delay(const struct attempt *attempt, const volatile unsigned *landed)
{
    if (attempt->delay_ns == 0)
        return false;
    uint64_t until = attempt->began_ns + attempt->delay_ns;
    while (clock_ns() < until)
        continue;
    return *landed != 0;
}

static void begin(struct attempt *attempt)
{
    attempt->began_ns = clock_ns();
    attempt->begin(attempt, attempt->arg);
}

static void made(struct attempt *attempt, int result)
{
    attempt->result = result;
    attempt->error = result >= 0 || (errno == ETIMEDOUT && aw_timed_out()) ? 0 : errno;
}

/* Another's alarm() in place of ours: from now on only tgkill brings the signal. */
static void steal_alarm(const struct attempt *attempt)
{
    const struct itimerval none = { { 0, 0 }, { 0, 0 } };
    if (attempt->plan->by == BY_TGKILL && attempt->plan->alarm == AW_ALARM_ITIMER)
        setitimer(ITIMER_REAL, &none, NULL);
}

static void call_with_own(struct attempt *attempt)
{
    begin(attempt);
    attempt->not_before_ns = attempt->began_ns + attempt->timeout_ns;
    made(attempt, meeting_call_guarded(attempt->meeting, &attempt->byte, attempt->timeout_ns));
}

static void call_inside(struct attempt *attempt)
{
    steal_alarm(attempt);
    begin(attempt);
    attempt->landed = bound_delay(attempt, (const volatile unsigned *)&awi_pending);
    made(attempt, meeting_call_guarded(attempt->meeting, &attempt->byte, AW_FOREVER));
}

static void call_around(struct attempt *attempt)
{
    struct aw_guard guard;
    attempt->not_before_ns = clock_ns() + attempt->timeout_ns;
    int entered = aw_guard_enter(&guard, attempt->timeout_ns, AW_GUARD_DEFAULT);
    if (entered != 0) {
        attempt->error = -entered;
        return;
    }
    call_inside(attempt);
    aw_guard_leave(&guard);
}

/* An escape may come between the guard's entry and the shield; then there was no call yet. */
static void call_escaping(struct attempt *attempt)
{
    struct aw_guard guard;
    attempt->not_before_ns = clock_ns() + attempt->timeout_ns;
    AW_GUARD(&guard, attempt->timeout_ns, AW_GUARD_ESCAPE) {
        aw_shield();
        call_inside(attempt);
        aw_unshield();
    }
    AW_EXPIRED
    {
        if (aw_guard_error(&guard) != 0)
            attempt->error = -aw_guard_error(&guard);
    }
}

void bound_call(struct attempt *attempt)
{
    attempt->result = -1;
    attempt->error = 0;
    attempt->landed = false;
    attempt->began_ns = 0;
    if (attempt->plan->bounded != BY_US)
        naive_call(attempt);
    else if (attempt->way == WAY_OWN)
        call_with_own(attempt);
    else if (attempt->way == WAY_AROUND)
        call_around(attempt);
    else
        call_escaping(attempt);
    attempt->ended_ns = clock_ns();
}
