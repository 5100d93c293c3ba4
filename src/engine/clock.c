/* SPDX-License-Identifier: MIT */
/*
 * clock.c: the only clock_gettime of the library. Everything above takes time from here, the wheel below
 * not at all.
 */
#include "clock.h"

#include <time.h>

#define NS_PER_SEC UINT64_C(1000000000)

static uint64_t to_ns(const struct timespec *ts)
{
    return (uint64_t)ts->tv_sec * NS_PER_SEC + (uint64_t)ts->tv_nsec;
}

uint64_t awi_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return to_ns(&now);
}

uint64_t awi_clock_coarse(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    /* Asked once: the kernel's tick does not change. A race writes the same value twice. */
    static uint64_t most_lag_ns;
    uint64_t lag = __atomic_load_n(&most_lag_ns, __ATOMIC_RELAXED);
    struct timespec now;
    if (lag == 0) {
        struct timespec tick;
        if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) != 0)
            return awi_clock_now();
        lag = 2 * to_ns(&tick);
        __atomic_store_n(&most_lag_ns, lag, __ATOMIC_RELAXED);
    }
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return to_ns(&now) + lag;
#else
    return awi_clock_now();
#endif
}
