/* SPDX-License-Identifier: MIT */
/*
 * alarm.c: the only setitimer and timer_settime of the library. The handler programs the alarm too, so
 * everything on that path is a system call and arithmetic.
 */
#include "alarm.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "pending.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_SEC UINT64_C(1000000000)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static enum aw_alarm kind;
static timer_t posix_timer;

/* The least time that setitimer takes which is not before `ns` has passed: never zero. */
static struct timeval timeval_after(uint64_t ns)
{
    uint64_t us = ns / NS_PER_US + (ns % NS_PER_US != 0);
    if (us == 0)
        us = 1;
    return (struct timeval){ .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };
}

static uint64_t timeval_ns(const struct timeval *tv)
{
    return (uint64_t)tv->tv_sec * NS_PER_SEC + (uint64_t)tv->tv_usec * NS_PER_US;
}

static int open_itimer(uint64_t *found_at, uint64_t *found_interval_ns)
{
    const struct itimerval stop = { { 0, 0 }, { 0, 0 } };
    struct itimerval found;
    if (setitimer(ITIMER_REAL, &stop, &found) != 0)
        return -errno;
    *found_interval_ns = timeval_ns(&found.it_interval);
    if (found.it_value.tv_sec != 0 || found.it_value.tv_usec != 0)
        *found_at = awi_sum(awi_clock_now(), timeval_ns(&found.it_value));
    return 0;
}

static int open_posix(int signo)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signo;
    event.sigev_value.sival_ptr = &posix_timer;
    event.sigev_notify_thread_id = gettid();
    return timer_create(CLOCK_MONOTONIC, &event, &posix_timer) == 0 ? 0 : -errno;
}

int awi_alarm_open(enum aw_alarm source, int signo, uint64_t *found_at, uint64_t *found_interval_ns)
{
    int saved_errno = errno;
    *found_at = AW_FOREVER;
    *found_interval_ns = 0;
    kind = source;
    int result = source == AW_ALARM_POSIX ? open_posix(signo) : open_itimer(found_at, found_interval_ns);
    errno = saved_errno;
    return result;
}

void awi_alarm_close(uint64_t found_at, uint64_t found_interval_ns)
{
    int saved_errno = errno;
    if (kind == AW_ALARM_POSIX) {
        timer_delete(posix_timer);
    } else {
        struct itimerval again = { { 0, 0 }, { 0, 0 } };
        if (found_at != AW_FOREVER) {
            uint64_t now = awi_clock_now();
            again.it_value = timeval_after(found_at > now ? found_at - now : 0);
            if (found_interval_ns != 0)
                again.it_interval = timeval_after(found_interval_ns);
        }
        setitimer(ITIMER_REAL, &again, NULL);
    }
    errno = saved_errno;
}

void awi_alarm_forget(void)
{
    const struct itimerval stop = { { 0, 0 }, { 0, 0 } };
    /* Not inherited: but a forged signal may have had the handler program it before the child came here. */
    if (kind == AW_ALARM_ITIMER)
        setitimer(ITIMER_REAL, &stop, NULL);
}

int awi_alarm_program(uint64_t at_ns, uint64_t now_ns)
{
    int saved_errno = errno;
    int failed;
    awi_count(&awi.programmed, 1);
    if (kind == AW_ALARM_POSIX) {
        struct itimerspec spec = { { 0, 0 }, { 0, 0 } };
        if (at_ns != AW_FOREVER) {
            spec.it_value.tv_sec = (time_t)(at_ns / NS_PER_SEC);
            spec.it_value.tv_nsec = (long)(at_ns % NS_PER_SEC);
            if (at_ns == 0)
                spec.it_value.tv_nsec = 1;
        }
        failed = timer_settime(posix_timer, TIMER_ABSTIME, &spec, NULL);
    } else {
        struct itimerval value = { { 0, 0 }, { 0, 0 } };
        if (at_ns != AW_FOREVER)
            value.it_value = timeval_after(at_ns > now_ns ? at_ns - now_ns : 0);
        failed = setitimer(ITIMER_REAL, &value, NULL);
    }
    int result = failed ? -errno : 0;
    errno = saved_errno;
    return result;
}

bool awi_alarm_rang(const siginfo_t *info)
{
    if (kind == AW_ALARM_POSIX)
        return info->si_code == SI_TIMER && info->si_value.sival_ptr == &posix_timer;
    return info->si_code == SI_KERNEL;
}
