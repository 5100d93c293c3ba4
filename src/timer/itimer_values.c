/* SPDX-License-Identifier: MIT */
/*
 * itimer_values.c: aw_setitimer, aw_getitimer and aw_alarm: the structures, rounding and errors of the
 * originals around the virtual interval timers of itimer.c.
 *
 * The order is Linux's, so that a call which fails leaves what the original would leave: first the new value
 * is read and judged, then the timer is looked for, then it is set, and only then is the old value stored: a
 * bad pointer there fails with the timer set.
 */
#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../busy.h"
#include "../engine/frame.h"
#include "itimer.h"

#define NS_PER_US 1000u
#define US_PER_SEC 1000000
#define NS_PER_SEC UINT64_C(1000000000)

/* What the kernel takes for a struct itimerval; a libc with a wider time_t of its own has a larger one. */
#if defined(__x86_64__) || __SIZEOF_LONG__ == 8
#define KERNEL_BYTES 32u
#else
#define KERNEL_BYTES 16u
#endif

/*
 * Asks the kernel whether it can get at the structure, as the original would: with a timer that does not
 * exist it copies the new value in, and does nothing more; the current one is copied out anywhere.
 */
static bool is_there(const void *address, bool to_write)
{
    int saved_errno = errno;
    bool is_bad = false;
    for (size_t at = 0; at < sizeof(struct itimerval) && !is_bad; at += KERNEL_BYTES) {
        char *part = (char *)((uintptr_t)address + at); /* it may be NULL */
        long failed = to_write ? syscall(SYS_getitimer, ITIMER_REAL, part)
                               : syscall(SYS_setitimer, INT_MAX, part, NULL);
        is_bad = failed != 0 && errno == EFAULT;
    }
    errno = saved_errno;
    return !is_bad;
}

static bool is_valid(const struct timeval *tv)
{
    return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < US_PER_SEC;
}

/* Saturates where the kernel does. */
static uint64_t ns_of(const struct timeval *tv)
{
    uint64_t sec = (uint64_t)tv->tv_sec;
    return sec < AWI_ITIMER_LONGEST / NS_PER_SEC ? sec * NS_PER_SEC + (uint64_t)tv->tv_usec * NS_PER_US
                                                 : AWI_ITIMER_LONGEST;
}

static struct timeval timeval_of(uint64_t ns)
{
    return (struct timeval){ .tv_sec = (time_t)(ns / NS_PER_SEC),
                             .tv_usec = (suseconds_t)(ns % NS_PER_SEC / NS_PER_US) };
}

/* Less than a microsecond that is left is one. */
static struct itimerval itimerval_of(struct awi_itimer_value value)
{
    uint64_t left = value.left_ns < AWI_ITIMER_LONGEST ? value.left_ns : AWI_ITIMER_LONGEST;
    if (left != 0 && left < NS_PER_US)
        left = NS_PER_US;
    return (struct itimerval){ .it_value = timeval_of(left), .it_interval = timeval_of(value.interval_ns) };
}

static int store(struct itimerval *address, struct awi_itimer_value value)
{
    if (!is_there(address, true))
        return -EFAULT;
    *address = itimerval_of(value);
    return 0;
}

static int fetch(struct awi_itimer_value *value, const struct itimerval *address)
{
    if (!is_there(address, false))
        return -EFAULT;
    if (!is_valid(&address->it_value) || !is_valid(&address->it_interval))
        return -EINVAL;
    value->left_ns = ns_of(&address->it_value);
    value->interval_ns = ns_of(&address->it_interval);
    return 0;
}

AWI_OUTLINE int aw_setitimer(int id, const struct itimerval *new_value, struct itimerval *old_value)
{
    AWI_BUSY;
    struct awi_itimer_value value = { 0, 0 };
    int result = awi_itimer_open();
    if (result == 0 && new_value != NULL)
        result = fetch(&value, new_value);
    if (result < 0)
        return result;
    if (!awi_itimer_exists(id))
        return -EINVAL;
    struct awi_itimer_value old;
    result = awi_itimer_set(id, &value, &old);
    return result == 0 && old_value != NULL ? store(old_value, old) : result;
}

AWI_OUTLINE int aw_getitimer(int id, struct itimerval *value)
{
    AWI_BUSY;
    int result = awi_itimer_open();
    if (result < 0)
        return result;
    return awi_itimer_exists(id) ? store(value, awi_itimer_value(id)) : -EINVAL;
}

/* To the nearest second, and where that is 0, 1 for a timer that runs: better too much than too little. */
static int64_t seconds_of(uint64_t ns)
{
    uint64_t sec = ns / NS_PER_SEC, rest = ns % NS_PER_SEC;
    if (rest >= NS_PER_SEC / 2 || (sec == 0 && rest != 0))
        ++sec;
    return (int64_t)sec;
}

AWI_OUTLINE int64_t aw_alarm(unsigned seconds)
{
    AWI_BUSY;
    const struct awi_itimer_value value = { .left_ns = seconds * NS_PER_SEC };
    int result = awi_itimer_open();
    if (result < 0)
        return result;
    struct awi_itimer_value old;
    result = awi_itimer_set(ITIMER_REAL, &value, &old);
    return result < 0 ? result : seconds_of(old.left_ns);
}
