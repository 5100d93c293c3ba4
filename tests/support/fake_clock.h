/* SPDX-License-Identifier: MIT */
/*
 * fake_clock.h: a clock that stands still until a test moves it, and the alarm on it. The linker puts these
 * functions in the place of libc's (ld --wrap, see cmake/AlarmwheelTest.cmake). A signal is real: it is
 * queued to the own thread, so that the real handler runs, on the spot. Nothing here sleeps.
 */
#ifndef AWI_FAKE_CLOCK_H
#define AWI_FAKE_CLOCK_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <alarmwheel/alarmwheel.h>

#include "fake_fault.h"

/* Not on a tick, not on a microsecond. */
#define FAKE_START_NS (AW_SEC(1000) + 12345)
#define FAKE_TICK_NS (UINT64_C(1) << 17)
#define FAKE_COARSE_NS AW_MS(4)

struct fake_clock {
    bool on;
    uint64_t now_ns;
    uint64_t alarm_ns;    /* when it rings; AW_FOREVER: it is not set */
    uint64_t interval_ns; /* and how often from then on */
    int signo;            /* with this signal, */
    int code;             /* this si_code */
    union sigval value;   /* and this value */
    uint64_t programmed;  /* calls of setitimer and timer_settime */
    uint64_t set_ns;      /* the span that the last one asked for; 0: to disarm */
    uint64_t rings;
    uint64_t sleeps;       /* calls of ppoll that found nothing and let time pass */
    uint64_t sleep_ns;     /* the timeout that the last ppoll was given */
    void (*asleep)(void);  /* what the rest of the world does during the next sleep; once */
    unsigned posix_timers; /* that exist */
};

extern struct fake_clock fake;

/*
 * The alarm of this run of the tests: a POSIX timer with AW_TEST_ALARM=posix in the environment, else
 * ITIMER_REAL. Options for it, aw_init with it, its signal, and the call that fails when it cannot be
 * programmed. In a run with a POSIX timer an engine that takes ITIMER_REAL ends the test.
 */
bool fake_is_posix(void);
struct aw_options fake_options(void);
int fake_start(void);
int fake_signo(void);
enum fault fake_programming(void);

/* Fixtures. Check leaves a SIGALRM handler of its own to its children: begin puts SIG_DFL there. */
void fake_begin(void);
void fake_end(void);

/* Time passes; what rings on the way is delivered at its instant. */
void fake_advance(uint64_t ns);

/* Time passes, and an alarm that would ring on the way is lost. */
void fake_lose(uint64_t ns);

/* Somebody sends the alarm's signal, now: by the clock's si_code, or by kill(2). */
void fake_ring(void);
void fake_forge(void);

/* Checks a call's result, and that it left errno alone. */
#define EXPECT(call, expected)              \
    do {                                    \
        errno = 4711;                       \
        intmax_t got_ = (call);             \
        int errno_ = errno;                 \
        ck_assert_int_eq(got_, (expected)); \
        ck_assert_int_eq(errno_, 4711);     \
    } while (0)

/* Runs fn on another thread and waits for it. */
void fake_elsewhere(void (*fn)(void));

/* Runs fn in a forked child: the status that it exits with, or minus the signal that it died of. */
int fake_forked(void (*fn)(void));

#endif
