/* SPDX-License-Identifier: MIT */
/*
 * peer_clock.h: the clock that a peer sees. A module is loaded with RTLD_DEEPBIND, so the calls of the peer's
 * library find these definitions before libc's. With the loops' clock on, they answer with it, at the cost of
 * a call and a few instructions, which is cheaper than the real clock: in the peer's favour. Everything else
 * goes on to libc.
 */
#ifndef BENCH_PEER_CLOCK_H
#define BENCH_PEER_CLOCK_H

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "peer_begin.h"

#define PEER_API __attribute__((visibility("default")))

/* CLOCK_REALTIME runs this far ahead, always: no library may see the two clocks jump apart. */
#define PEER_CLOCK_WALL UINT64_C(1700000000000000000)

typedef int peer_gettime_fn(clockid_t id, struct timespec *now);
typedef long peer_syscall_fn(long number, ...);
static peer_gettime_fn *peer_real_gettime;
static peer_syscall_fn *peer_real_syscall;

__attribute__((constructor)) static void peer_clock_find(void)
{
    peer_real_gettime = (peer_gettime_fn *)(uintptr_t)dlsym(RTLD_NEXT, "clock_gettime");
    peer_real_syscall = (peer_syscall_fn *)(uintptr_t)dlsym(RTLD_NEXT, "syscall");
}

static int peer_gettime(clockid_t id, struct timespec *now)
{
    if (peer_setup.picks == NULL || peer_setup.real_clock)
        return peer_real_gettime(id, now);
    const uint64_t ns =
        peer_now_ns + (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ? PEER_CLOCK_WALL : 0);
    now->tv_sec = (time_t)(ns / 1000000000);
    now->tv_nsec = (long)(ns % 1000000000);
    return 0;
}

PEER_API int clock_gettime(clockid_t id, struct timespec *now);
PEER_API int clock_gettime(clockid_t id, struct timespec *now)
{
    return peer_gettime(id, now);
}

/* libev reads the clock by a bare system call. */
PEER_API long syscall(long number, ...);
PEER_API long syscall(long number, ...)
{
    va_list args;
    va_start(args, number);
    long a[6];
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_clock_gettime)
        return peer_gettime((clockid_t)a[0], (struct timespec *)a[1]);
    return peer_real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

PEER_API int gettimeofday(struct timeval *restrict now, void *restrict zone);
PEER_API int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    if (peer_gettime(CLOCK_REALTIME, &t) != 0)
        return -1;
    now->tv_sec = t.tv_sec;
    now->tv_usec = (suseconds_t)(t.tv_nsec / 1000);
    return 0;
}

#endif
