/* SPDX-License-Identifier: MIT */
/*
 * io_wait.c: the guarded calls that only wait, for a child or for a time, and any other call by its number.
 * As io_files.c has those on files.
 */
#include <alarmwheel/io.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../engine/clock.h"
#include "call.h"

#define NS_PER_SEC UINT64_C(1000000000)

/* The latest time that any time_t can hold. */
#define LATEST_NS (INT32_MAX * NS_PER_SEC)

static long plain_waitid(const long argument[6])
{
    return waitid((idtype_t)argument[0], (id_t)argument[1], (siginfo_t *)argument[2], (int)argument[3]);
}

/* This one returns its error. */
static long plain_sleep(const long argument[6])
{
    int error =
        clock_nanosleep((clockid_t)argument[0], (int)argument[1], (const struct timespec *)argument[2], NULL);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

/* The kernel's has a fifth argument, for the resources that the child used. */
int aw_waitid(idtype_t type, id_t id, siginfo_t *info, int options, uint64_t timeout_ns)
{
    static const struct awi_syscall call = { SYS_waitid, plain_waitid };
    return (int)awi_call((long)type, (long)id, (long)info, options, timeout_ns, &call);
}

/* Absolute, so that a sleep that was interrupted goes on where it was. */
int aw_sleep_until(uint64_t deadline_ns)
{
    uint64_t until_ns = deadline_ns < LATEST_NS ? deadline_ns : LATEST_NS;
    const struct timespec until = { (time_t)(until_ns / NS_PER_SEC), (long)(until_ns % NS_PER_SEC) };
    static const struct awi_syscall call = { SYS_clock_nanosleep, plain_sleep };
    long result;
    do
        result = awi_call(CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&until, 0, AW_FOREVER, &call);
    while (result == 0 && awi_clock_now() < deadline_ns);
    return (int)result;
}

long aw_syscall(uint64_t timeout_ns, long number, const long arguments[6])
{
    static const long none[6];
    const struct awi_syscall call = { number, NULL };
    return awi_call_six(arguments != NULL ? arguments : none, timeout_ns, &call);
}
