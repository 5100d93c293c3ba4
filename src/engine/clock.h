/* SPDX-License-Identifier: MIT */
/*
 * clock.h: the one place where the library learns the time. Tests put a fake clock in its place by wrapping
 * clock_gettime at link time. AS-Safe, MT-Safe.
 */
#ifndef AWI_CLOCK_H
#define AWI_CLOCK_H

#include <stdint.h>

uint64_t awi_clock_now(void);

/*
 * The coarse clock plus twice its resolution, a time that is not before awi_clock_now() and at most two
 * kernel ticks after it: a deadline counted from it is never early. Twice, because a tick adds whole ticks
 * only, and its phase against them is arbitrary: the coarse clock was seen to lag by 1.3 ticks.
 */
uint64_t awi_clock_coarse(void);

/* a + b, or AW_FOREVER where that would wrap. */
static inline uint64_t awi_sum(uint64_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum < a ? UINT64_MAX : sum;
}

#endif
