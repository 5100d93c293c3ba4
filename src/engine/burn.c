/* SPDX-License-Identifier: MIT */
/*
 * burn.c: the clocks of processor time and a timer on each. See burn.h. Looking and programming run in the
 * handler, too: they are system calls and arithmetic.
 *
 * A timer is programmed for the earliest guard on its clock, and only where it is not set for something
 * earlier that is still to come; it is not taken back when a guard is left. So a loop of guards makes no
 * system call but the one that reads the clock, and the price is a signal, now and then, that finds nothing
 * due.
 *
 *     publish the guard                       (the caller: awi.burning, then awi.depth)
 *  1  runs = awi.runs
 *  2  now; need = the earliest guard that is not due, of those not marked
 *  3  armed_at = need
 *  4  program the timer
 *  5  awi.runs == runs ?  done : once more, whatever armed_at says
 *
 * The handler does the same without coming in between itself. Where it can come in, for the program:
 *
 *   before 1   it sees the guard and programs its timer; step 2 finds it covered, or marked.
 *   1 .. 3     it may mark the guard that 2 found, and program a later time. We overwrite both with the
 *              earlier one: consistent, one signal too many. 5 sets it right.
 *   3 .. 4     it finds armed_at = need. Still to come: it leaves the timer alone, and 4 programs it. Due by
 *              now: it marks the guard and programs the next; 4 then programs a time that has passed, while
 *              armed_at speaks of the next: wrong, and 5 repeats.
 *   after 4    timer and armed_at agree.
 *
 * Where step 2 finds no guard left, nothing is programmed, and armed_at keeps a time that passes; one that
 * has passed covers nothing. That also mends a timer whose signal was lost.
 */
#include "burn.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "alarm.h"
#include "clock.h"
#include "disposition.h"
#include "handler.h"
#include "pending.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_SEC UINT64_C(1000000000)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static timer_t cpu_timer;
static bool has_cpu_timer;

/* The time that a timer is set for: both store. */
static uint64_t cpu_armed_at = AW_FOREVER, user_armed_at = AW_FOREVER;

static struct {
    bool taken;
    bool was_blocked, was_pending;
    struct sigaction found;
} sigvtalrm;

/* ---- the clocks, and the guards on them ---- */

static uint64_t *armed_at(unsigned how)
{
    return how == AW_GUARD_CPU ? &cpu_armed_at : &user_armed_at;
}

uint64_t awi_burn_now(unsigned how)
{
    struct timespec now = { 0, 0 };
    clock_gettime(how == AW_GUARD_USER ? AWI_USER_CLOCK : CLOCK_THREAD_CPUTIME_ID, &now);
    return awi_clock_ns(&now);
}

/* The entered guards of a kind that are not marked. A bit may stay behind in awi.burning for a while. */
static uint64_t unmarked(unsigned how)
{
    uint32_t depth = AWI_LOAD(awi.depth);
    uint64_t entered = depth < AWI_GUARD_DEPTH ? ~(UINT64_MAX << depth) : UINT64_MAX;
    uint64_t guards = 0;
    for (uint64_t rest = AWI_LOAD(awi.burning) & entered & ~AWI_LOAD(awi.expired); rest != 0;
         rest &= rest - 1) {
        if ((awi.guards[__builtin_ctzll(rest)].how & how) != 0)
            guards |= rest & -rest;
    }
    return guards;
}

/* Adds those that are due to *due; returns the earliest deadline of the others. NULL: of all. */
static uint64_t look(uint64_t guards, uint64_t now_ns, uint64_t *due)
{
    uint64_t need = AW_FOREVER;
    for (; guards != 0; guards &= guards - 1) {
        struct awi_guard_entry *entry = &awi.guards[__builtin_ctzll(guards)];
        if (due != NULL && entry->burn_ns <= now_ns) {
            AWI_STORE(entry->lateness_ns, now_ns - entry->burn_ns);
            *due |= guards & -guards;
        } else if (entry->burn_ns < need) {
            need = entry->burn_ns;
        }
    }
    return need;
}

/* ---- the timers ---- */

/* For at_ns on the thread's clock; one that has passed rings at once. */
static int program_cpu(uint64_t at_ns)
{
    struct itimerspec spec = { { 0, 0 }, { 0, 0 } };
    spec.it_value.tv_sec = (time_t)(at_ns / NS_PER_SEC);
    spec.it_value.tv_nsec = (long)(at_ns % NS_PER_SEC);
    return timer_settime(cpu_timer, TIMER_ABSTIME, &spec, NULL) == 0 ? 0 : -errno;
}

/* The kernel adds a tick, so that it is not early by its own clock. 0 disarms. */
static int program_user(uint64_t span_ns)
{
    struct itimerval value = { { 0, 0 }, { 0, 0 } };
    uint64_t us = span_ns / NS_PER_US + (span_ns % NS_PER_US != 0);
    value.it_value.tv_sec = (time_t)(us / 1000000);
    value.it_value.tv_usec = (suseconds_t)(us % 1000000);
    return setitimer(ITIMER_VIRTUAL, &value, NULL) == 0 ? 0 : -errno;
}

static int program(unsigned how, uint64_t at_ns, uint64_t now_ns)
{
    int saved_errno = errno;
    awi_count(&awi.programmed, 1);
    int result = how == AW_GUARD_CPU ? program_cpu(at_ns) : program_user(at_ns > now_ns ? at_ns - now_ns : 1);
    errno = saved_errno;
    return result;
}

/* The timer rings, at some time to come, no later than that. */
static bool is_covered(unsigned how, uint64_t need_ns, uint64_t now_ns)
{
    uint64_t at = AWI_LOAD(*armed_at(how));
    return at > now_ns && at <= need_ns;
}

static int cover(unsigned how, uint64_t *due)
{
    for (bool anyway = false;; anyway = true) {
        uint64_t runs = AWI_LOAD(awi.runs);
        awi_order();
        uint64_t guards = unmarked(how);
        if (guards == 0)
            return 0;
        uint64_t now = awi_burn_now(how);
        uint64_t need = look(guards, now, due);
        if (need == AW_FOREVER || (!anyway && is_covered(how, need, now)))
            return 0;
        if (need > now && need - now > AWI_ALARM_LONGEST)
            need = now + AWI_ALARM_LONGEST;
        uint64_t before = AWI_LOAD(*armed_at(how));
        AWI_STORE(*armed_at(how), need);
        awi_order();
        int result = program(how, need, now);
        awi_order();
        if (AWI_LIKELY(AWI_LOAD(awi.runs) == runs)) {
            if (result < 0)
                AWI_STORE(*armed_at(how), before);
            return result;
        }
    }
}

int awi_burn_cover(unsigned how, uint64_t burn_ns, uint64_t now_ns)
{
    if (AWI_LIKELY(is_covered(how, burn_ns, now_ns))) {
        ++awi.avoided;
        return 0;
    }
    return cover(how, NULL);
}

uint64_t awi_burn_expire(void)
{
    uint64_t due = 0;
    /* A timer that cannot be programmed is tried again by the next call. */
    (void)cover(AW_GUARD_CPU, &due);
    (void)cover(AW_GUARD_USER, &due);
    return due;
}

bool awi_burn_rang(const siginfo_t *info)
{
    if (info->si_signo == SIGVTALRM)
        return info->si_code == SI_KERNEL;
    return info->si_code == SI_TIMER && info->si_value.sival_ptr == &cpu_timer;
}

/* ---- taking them, and giving them back ---- */

static int open_cpu(void)
{
    struct sigevent event;
    if (has_cpu_timer)
        return 0;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = awi_disposition_signo();
    event.sigev_value.sival_ptr = &cpu_timer;
    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &cpu_timer) != 0)
        return -errno;
    AWI_STORE(*armed_at(AW_GUARD_CPU), AW_FOREVER);
    has_cpu_timer = true;
    return 0;
}

static void close_cpu(void)
{
    if (has_cpu_timer)
        timer_delete(cpu_timer);
    has_cpu_timer = false;
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == awi_handle;
}

static void set_of(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGVTALRM);
}

/* As the alarm's own signal, see disposition.c: with a full mask, and what was pending is kept aside. */
static int take_sigvtalrm(void)
{
    const struct timespec at_once = { 0, 0 };
    struct sigaction action;
    sigset_t set, mask, pending;

    set_of(&set);
    pthread_sigmask(SIG_BLOCK, &set, &mask);
    sigvtalrm.was_blocked = sigismember(&mask, SIGVTALRM) == 1;
    sigvtalrm.was_pending = sigvtalrm.was_blocked && sigpending(&pending) == 0 &&
                            sigismember(&pending, SIGVTALRM) == 1 &&
                            sigtimedwait(&set, NULL, &at_once) == SIGVTALRM;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = awi_handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigfillset(&action.sa_mask);
    int result = sigaction(SIGVTALRM, &action, &sigvtalrm.found) == 0 ? 0 : -errno;
    sigvtalrm.taken = result == 0;
    awi_order();
    pthread_sigmask(result == 0 ? SIG_UNBLOCK : SIG_SETMASK, result == 0 ? &set : &mask, NULL);
    return result;
}

/*
 * The timer is stopped: what is pending goes by SIG_IGN. A handler under way on another thread rings the
 * engine's doorbell at worst.
 */
static void give_back_sigvtalrm(void)
{
    struct sigaction now, ignore;
    sigset_t set;

    set_of(&set);
    if (sigvtalrm.was_blocked)
        pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (sigaction(SIGVTALRM, NULL, &now) == 0 && is_ours(&now)) {
        memset(&ignore, 0, sizeof ignore);
        ignore.sa_handler = SIG_IGN;
        sigaction(SIGVTALRM, &ignore, NULL);
        sigaction(SIGVTALRM, &sigvtalrm.found, NULL);
    }
    sigvtalrm.taken = false;
    if (sigvtalrm.was_pending)
        raise(SIGVTALRM);
}

static int open_user(void)
{
    struct itimerval running;
    if (sigvtalrm.taken)
        return 0;
    if (getitimer(ITIMER_VIRTUAL, &running) != 0)
        return -errno;
    if (running.it_value.tv_sec != 0 || running.it_value.tv_usec != 0)
        return -EBUSY;
    AWI_STORE(*armed_at(AW_GUARD_USER), AW_FOREVER);
    return take_sigvtalrm();
}

static void close_user(void)
{
    if (!sigvtalrm.taken)
        return;
    (void)program_user(0);
    give_back_sigvtalrm();
}

int awi_burn_open(unsigned how)
{
    int saved_errno = errno;
    int result = how == AW_GUARD_CPU ? open_cpu() : open_user();
    errno = saved_errno;
    return result;
}

void awi_burn_dropped(void)
{
    if (AWI_LIKELY(!sigvtalrm.taken))
        return;
    uint64_t guards = AWI_LOAD(awi.burning);
    while (guards != 0 && (awi.guards[__builtin_ctzll(guards)].how & AW_GUARD_USER) == 0)
        guards &= guards - 1;
    if (guards != 0)
        return;
    int saved_errno = errno;
    close_user();
    errno = saved_errno;
}

void awi_burn_close(void)
{
    int saved_errno = errno;
    close_cpu();
    close_user();
    errno = saved_errno;
}

/* A stray signal may have had the handler set the interval timer before the child came here. */
void awi_burn_forked(bool was_owner)
{
    struct sigaction now;
    sigset_t set;
    has_cpu_timer = false;
    if (!sigvtalrm.taken)
        return;
    (void)program_user(0);
    if (sigaction(SIGVTALRM, NULL, &now) == 0 && is_ours(&now))
        sigaction(SIGVTALRM, &sigvtalrm.found, NULL);
    if (was_owner && sigvtalrm.was_blocked) {
        set_of(&set);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
    }
    sigvtalrm.taken = false;
}

bool awi_burn_took(int signo)
{
    return signo == SIGVTALRM && sigvtalrm.taken;
}

void awi_burn_replace_found(const struct sigaction *action)
{
    sigvtalrm.found = *action;
}

struct sigaction awi_burn_found(void)
{
    return sigvtalrm.found;
}
