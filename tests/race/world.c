/* SPDX-License-Identifier: MIT */
/*
 * world.c: the child's fake kernel: a clock that stands still until it is moved, and a recording ITIMER_REAL.
 * The linker puts these functions in the place of libc's (--wrap), for alarmwheel and the pieces alike. What
 * sleeps in ppoll passes fake time only. The state is in the shared page, so that the tracer moves the same
 * clock.
 */
#include "race.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The coarse clock's resolution: CONFIG_HZ=250. */
#define COARSE_NS 4000000u
#define SEC_NS 1000000000u

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_getres(clockid_t id, struct timespec *ts);
int __wrap_setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *old);
int __wrap_getitimer(__itimer_which_t which, struct itimerval *value);
int __wrap_timer_create(clockid_t id, struct sigevent *event, timer_t *timer);
int __wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old);
int __wrap_timer_delete(timer_t timer);
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
int __wrap_close(int fd);
int __real_close(int fd);

struct race_page *race_page;
const struct race_piece *race_running;
char *race_frame;

/*
 * The fake kernel's own system calls stand in a section of their own, where no boundaries are: what it does
 * counts as one step, as in the real one.
 */
__attribute__((section("worldtext"), noinline)) static long world_call(long number, long a, long b, long c,
                                                                       long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

/* ppoll(2), with errno as libc's. */
static int world_ppoll(struct pollfd *fds, nfds_t n, struct timespec timeout, const uint64_t *mask)
{
    long result = world_call(SYS_ppoll, (long)fds, (long)n, (long)&timeout, (long)mask, _NSIG / 8);

    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / SEC_NS), .tv_nsec = (long)(ns % SEC_NS) };
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
    if (id == CLOCK_MONOTONIC) {
        *ts = timespec_of(race_page->now_ns);
        return 0;
    }
    if (id == CLOCK_MONOTONIC_COARSE) {
        *ts = timespec_of(race_page->now_ns - race_page->now_ns % COARSE_NS);
        return 0;
    }
    return world_call(SYS_clock_gettime, id, (long)ts, 0, 0, 0) == 0 ? 0 : -1;
}

int __wrap_clock_getres(clockid_t id, struct timespec *ts)
{
    *ts = timespec_of(id == CLOCK_MONOTONIC_COARSE ? COARSE_NS : 1);
    return 0;
}

static struct timeval remaining(void)
{
    uint64_t at = race_page->alarm_at_ns;
    uint64_t us = 0;

    /* As the kernel: a timer that is due but not delivered yet has a microsecond left, never zero. */
    if (at != 0)
        us = at > race_page->now_ns ? (at - race_page->now_ns + 999) / 1000 : 1;
    return (struct timeval){ .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };
}

int __wrap_getitimer(__itimer_which_t which, struct itimerval *value)
{
    if (which != ITIMER_REAL) {
        race_fail("getitimer of timer %d", (int)which);
        return 0;
    }
    *value = (struct itimerval){ .it_value = remaining() };
    return 0;
}

int __wrap_setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *old)
{
    uint64_t ns;

    if (which != ITIMER_REAL || value == NULL || value->it_value.tv_sec < 0 || value->it_value.tv_usec < 0 ||
        value->it_value.tv_usec > 999999) {
        race_fail("setitimer with bad arguments");
        errno = EINVAL;
        return -1;
    }
    race_check(value->it_interval.tv_sec == 0 && value->it_interval.tv_usec == 0,
               "setitimer with an interval");
    if (old != NULL)
        *old = (struct itimerval){ .it_value = remaining() };
    ns = (uint64_t)value->it_value.tv_sec * SEC_NS + (uint64_t)value->it_value.tv_usec * 1000;
    race_page->alarm_at_ns = ns == 0 ? 0 : race_page->now_ns + ns;
    if (ns == 0)
        race_page->disarmed++;
    else
        race_page->programmed++;
    return 0;
}

/* One POSIX timer, on the same fake alarm: a program uses the one or the other. */
int __wrap_timer_create(clockid_t id, struct sigevent *event, timer_t *timer)
{
    race_check(id == CLOCK_MONOTONIC && event->sigev_notify == SIGEV_THREAD_ID,
               "timer_create with bad arguments");
    race_page->alarm_signo = event->sigev_signo;
    race_page->alarm_code = SI_TIMER;
    race_page->alarm_value = (uintptr_t)event->sigev_value.sival_ptr;
    *timer = NULL;
    return 0;
}

int __wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    uint64_t ns = (uint64_t)value->it_value.tv_sec * SEC_NS + (uint64_t)value->it_value.tv_nsec;

    (void)timer;
    race_check(flags == TIMER_ABSTIME && old == NULL && value->it_value.tv_nsec < (long)SEC_NS &&
                   value->it_interval.tv_sec == 0 && value->it_interval.tv_nsec == 0,
               "timer_settime with bad arguments");
    race_page->alarm_at_ns = ns;
    if (ns == 0)
        race_page->disarmed++;
    else
        race_page->programmed++;
    return 0;
}

int __wrap_timer_delete(timer_t timer)
{
    (void)timer;
    race_page->alarm_at_ns = 0;
    race_page->disarmed++;
    return 0;
}

static int closing = -1;
static struct pollfd written = { .events = POLLIN };

void race_close_waits(int fd, int until)
{
    closing = fd;
    written.fd = until;
}

/* As a file system that writes out what is left: no signal restarts a close. One step, as in the kernel. */
int __wrap_close(int fd)
{
    if (fd != closing)
        return __real_close(fd);
    closing = -1;
    world_call(SYS_close, fd, 0, 0, 0, 0);
    return world_ppoll(&written, 1, (struct timespec){ .tv_sec = 1000 }, NULL) < 0 ? -1 : 0;
}

siginfo_t race_siginfo(int signo, int code)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    info.si_signo = signo;
    info.si_code = code;
    if (code == SI_USER)
        info.si_pid = 1;
    if (code == SI_TIMER)
        info.si_value.sival_ptr = (void *)(uintptr_t)race_page->alarm_value;
    return info;
}

void race_raise(int signo, int code)
{
    siginfo_t info = race_siginfo(signo, code);

    if (world_call(SYS_rt_tgsigqueueinfo, world_call(SYS_getpid, 0, 0, 0, 0, 0),
                   world_call(SYS_gettid, 0, 0, 0, 0, 0), signo, (long)&info, 0) != 0)
        race_fail("rt_tgsigqueueinfo failed");
}

int race_alarm_signo(void)
{
    return race_page->alarm_signo != 0 ? race_page->alarm_signo : SIGALRM;
}

int race_alarm_code(void)
{
    return race_page->alarm_code != 0 ? race_page->alarm_code : SI_KERNEL;
}

void race_deliver(void)
{
    uint64_t at = race_page->alarm_at_ns;

    if (at == 0 || at > race_page->now_ns)
        return;
    race_page->alarm_at_ns = 0;
    race_raise(race_alarm_signo(), race_alarm_code());
}

void race_advance_to(uint64_t ns)
{
    for (int alarms = 0; race_page->alarm_at_ns != 0 && race_page->alarm_at_ns <= ns; alarms++) {
        if (alarms == 100000) {
            race_fail("the alarm goes off for ever");
            return;
        }
        if (race_page->alarm_at_ns > race_page->now_ns)
            race_page->now_ns = race_page->alarm_at_ns;
        race_deliver();
    }
    if (ns > race_page->now_ns)
        race_page->now_ns = ns;
}

/* The signal mask, whole, as the kernel has it. */
static uint64_t set_mask(uint64_t mask)
{
    uint64_t old = 0;

    world_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, (long)&old, _NSIG / 8, 0);
    return old;
}

/*
 * Sleeps until `end` in fake time: a poll with no time-out finds the descriptors and signals that are
 * pending; if there are none, the clock moves to what comes first: the alarm, which then is a pending signal,
 * or the end.
 */
static int fake_sleep(struct pollfd *fds, nfds_t n, uint64_t end, const uint64_t *mask)
{
    for (;;) {
        int result = world_ppoll(fds, n, (struct timespec){ 0 }, mask);

        if (result != 0)
            return result;
        if (race_page->alarm_at_ns == 0 || race_page->alarm_at_ns > end)
            break;
        if (race_page->alarm_at_ns > race_page->now_ns)
            race_page->now_ns = race_page->alarm_at_ns;
        race_deliver();
    }
    if (end == UINT64_MAX) {
        race_fail("asleep for ever: no alarm is armed and there is no time-out");
        _exit(0);
    }
    race_page->now_ns = end;
    return 0;
}

/*
 * All signals are blocked but in the sleep itself, so that one which comes in it ends it. That the mask is
 * swapped in one step with falling asleep is the real kernel's doing.
 */
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
    uint64_t begin = race_page->now_ns;
    uint64_t end = UINT64_MAX;
    uint64_t caller, within;
    int result;

    race_page->sleeps++;
    if (race_page->real_sleep) {
        race_page->in_sleep = 1;
        result =
            world_ppoll(fds, n, (struct timespec){ .tv_sec = 1000 }, (const uint64_t *)(const void *)mask);
        race_page->in_sleep = 0;
        return result;
    }
    if (timeout != NULL)
        end = begin + (uint64_t)timeout->tv_sec * SEC_NS + (uint64_t)timeout->tv_nsec;
    within = caller = set_mask(UINT64_MAX);
    if (mask != NULL)
        memcpy(&within, mask, sizeof within);
    race_page->in_sleep = 1;
    result = fake_sleep(fds, n, end, &within);
    race_page->in_sleep = 0;
    race_page->slept_ns += race_page->now_ns - begin;
    set_mask(caller);
    return result;
}

void race_fail(const char *format, ...)
{
    va_list args;

    if (race_page->failure[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(race_page->failure, sizeof race_page->failure, format, args);
    va_end(args);
}

void race_outcome(const char *word)
{
    snprintf(race_page->outcome, sizeof race_page->outcome, "%s", word);
}

void race_mark(enum race_phase phase)
{
    race_page->phase = phase;
    __asm__ volatile("int3" ::: "memory");
}

void race_sleep_begins(void)
{
    race_page->in_sleep = 1;
    race_page->notice = 1;
    __asm__ volatile("int3" ::: "memory");
}

void race_sleep_ends(void)
{
    race_page->in_sleep = 0;
}

void race_await_go(void)
{
    while (race_page->go == 0)
        syscall(SYS_futex, &race_page->go, FUTEX_WAIT, 0, NULL, NULL, 0);
}

void race_done(void)
{
    race_page->done = 1;
}
