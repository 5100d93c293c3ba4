/* SPDX-License-Identifier: MIT */
/*
 * clock.c: the clock, with the inline half in clock.h. Everything above takes time from here, the wheel
 * below not at all.
 */
#include "clock.h"

uint64_t awi_clock_lag_ns;

uint64_t awi_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return awi_clock_ns(&now);
}

/* Asked once: the kernel's tick does not change. A race writes the same value twice. */
uint64_t awi_clock_coarse_first(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    struct timespec tick;
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0 && awi_clock_ns(&tick) != 0) {
        uint64_t lag = 2 * awi_clock_ns(&tick);
        __atomic_store_n(&awi_clock_lag_ns, lag, __ATOMIC_RELAXED);
        return awi_clock_coarse_plus(lag);
    }
#endif
    return awi_clock_now();
}
