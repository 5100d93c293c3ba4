/* SPDX-License-Identifier: MIT */
/*
 * waits.c: a program that takes signals by sigwait and its kin, all of them mostly, in a thread of its own,
 * must not be told of the sampler's. What it gets of them here is dropped, and it goes on waiting.
 */
#include "preload.h"

#include <errno.h>
#include <stdint.h>

#include "../../profile/sampler/sampler.h"

#define NS_PER_SEC INT64_C(1000000000)

static int64_t now_ns(void)
{
    struct timespec now = { 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

static bool concerns_us(const sigset_t *set)
{
    return awi_dispositions_is_taken() && sigismember(set, SIGPROF) == 1;
}

/* `limit_ns` negative: no limit. */
static int wait_for(const sigset_t *set, siginfo_t *info, int64_t limit_ns)
{
    siginfo_t own;
    siginfo_t *arrived = info != NULL ? info : &own;
    int64_t deadline = limit_ns >= 0 ? now_ns() + limit_ns : -1;
    for (;;) {
        int64_t left = deadline >= 0 ? deadline - now_ns() : 0;
        left = left > 0 ? left : 0;
        struct timespec limit = { .tv_sec = (time_t)(left / NS_PER_SEC),
                                  .tv_nsec = (long)(left % NS_PER_SEC) };
        int signo = awi_libc()->sigtimedwait(set, arrived, deadline >= 0 ? &limit : NULL);
        if (signo != SIGPROF || !awi_sampler_drop(arrived))
            return signo;
    }
}

/* libc names the parameters otherwise. NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

AWI_INTERPOSED int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
    return concerns_us(set) ? wait_for(set, info, -1) : awi_libc()->sigwaitinfo(set, info);
}

AWI_INTERPOSED int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *limit)
{
    bool is_plain = limit == NULL || limit->tv_sec < 0 || limit->tv_nsec < 0 ||
                    limit->tv_nsec >= NS_PER_SEC || limit->tv_sec > INT64_MAX / NS_PER_SEC / 4;
    if (!concerns_us(set) || (is_plain && limit != NULL))
        return awi_libc()->sigtimedwait(set, info, limit);
    return wait_for(set, info, limit != NULL ? limit->tv_sec * NS_PER_SEC + limit->tv_nsec : -1);
}

AWI_INTERPOSED int sigwait(const sigset_t *set, int *signo)
{
    if (!concerns_us(set))
        return awi_libc()->sigwait(set, signo);
    int saved_errno = errno;
    int result = -1;
    while ((result = wait_for(set, NULL, -1)) < 0 && errno == EINTR)
        continue;
    int error = result < 0 ? errno : 0;
    errno = saved_errno;
    if (result >= 0)
        *signo = result;
    return error;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
