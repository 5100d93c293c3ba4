/* SPDX-License-Identifier: MIT */
/*
 * io_fixture.h: how the tests of guarded calls look at results, and the pipe that they call on. For test
 * programs only.
 */
#ifndef AWI_IO_FIXTURE_H
#define AWI_IO_FIXTURE_H

#include <alarmwheel/io.h>

#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "fake_clock.h"

/* The call fails with this error, which is not for want of time. */
#define FAILS(call, expected)                 \
    do {                                      \
        errno = 4711;                         \
        intmax_t got_ = (call);               \
        int errno_ = errno;                   \
        ck_assert_int_eq(got_, -1);           \
        ck_assert_int_eq(errno_, (expected)); \
        ck_assert(!aw_timed_out());           \
    } while (0)

#define TIMES_OUT(call)                      \
    do {                                     \
        errno = 4711;                        \
        intmax_t got_ = (call);              \
        int errno_ = errno;                  \
        ck_assert_int_eq(got_, -1);          \
        ck_assert_int_eq(errno_, ETIMEDOUT); \
        ck_assert(aw_timed_out());           \
    } while (0)

/* Both ways to make a call: 0 is the stub, 1 the portable one. */
#define WAYS 2

static int pipe_ends[2] = { -1, -1 };
static int runs;

static inline void start(int way)
{
    struct aw_options options = fake_options();
    options.interrupt = way != 0 ? AW_INTERRUPT_RESTART : AW_INTERRUPT_STEP;
    EXPECT(aw_init(&options), 0);
    ck_assert_int_eq(pipe(pipe_ends), 0);
    runs = 0;
}

static inline bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* A timer's callback: its argument is what it returns. */
static inline int answer(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++runs;
    return *(const int *)arg;
}

#endif
