/* SPDX-License-Identifier: MIT */
/* burn.h: uses processor time, for the programs that the tests of aw-prof profile. */
#ifndef BURN_H
#define BURN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t thread_time_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
        abort();
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static inline void spin(void)
{
    for (volatile int i = 0; i < 20000; ++i)
        continue;
}

/* Until the calling thread has used so much more. */
static inline void burn(unsigned ms)
{
    uint64_t end = thread_time_ns() + ms * UINT64_C(1000000);
    while (thread_time_ns() < end)
        spin();
}

/*
 * A function whose name shows in the profile: spin is inlined in it, or called by it, and it is not
 * inlined.
 */
#define BURNER(name)                                  \
    __attribute__((noinline)) void name(unsigned ms); \
    void name(unsigned ms)                            \
    {                                                 \
        burn(ms);                                     \
        __asm__ volatile("");                         \
    }

/* What a test expects. */
static inline void require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "failed: %s\n", what);
    exit(99);
}

static inline uint64_t now_ms(clockid_t clock)
{
    struct timespec now = { 0 };
    require(clock_gettime(clock, &now) == 0, "clock_gettime");
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
