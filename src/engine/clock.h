/* SPDX-License-Identifier: MIT */
/*
 * clock.h: the one source where the library learns the time. Tests put a fake clock in its place by
 * wrapping clock_gettime at link time. AS-Safe, MT-Safe.
 */
#ifndef AWI_CLOCK_H
#define AWI_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t awi_clock_now(void);

extern uint64_t awi_clock_lag_ns
    __attribute__((visibility("hidden"))); /* twice its resolution; 0: not asked yet */
uint64_t awi_clock_coarse_first(void);

static inline uint64_t awi_clock_ns(const struct timespec *ts)
{
    return (uint64_t)ts->tv_sec * UINT64_C(1000000000) + (uint64_t)ts->tv_nsec;
}

#ifdef CLOCK_MONOTONIC_COARSE
static inline uint64_t awi_clock_coarse_plus(uint64_t lag)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return awi_clock_ns(&now) + lag;
}
#endif

/*
 * The coarse clock plus twice its resolution, a time that is not before awi_clock_now() and at most two
 * kernel ticks after it: a deadline counted from it is never early. Twice, because a tick adds whole ticks
 * only, and its phase against them is arbitrary: the coarse clock was seen to lag by 1.3 ticks.
 * Inline, because a call would be a tenth of what a guard costs with it.
 */
static inline uint64_t awi_clock_coarse(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    uint64_t lag = __atomic_load_n(&awi_clock_lag_ns, __ATOMIC_RELAXED);
    if (__builtin_expect(lag != 0, 1))
        return awi_clock_coarse_plus(lag);
#endif
    return awi_clock_coarse_first();
}

/* a + b, or AW_FOREVER where that would wrap. */
static inline uint64_t awi_sum(uint64_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum < a ? UINT64_MAX : sum;
}

#endif
