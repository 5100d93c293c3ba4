/* SPDX-License-Identifier: MIT */
/* fake_clock.c: see fake_clock.h. What a test does not fake goes to libc: Check itself calls these functions,
 * too. */
#include "fake_clock.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __real_clock_getres(clockid_t id, struct timespec *resolution);
int __real_setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *old);
int __real_timer_create(clockid_t id, struct sigevent *event, timer_t *timer);
int __real_timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old);
int __real_timer_delete(timer_t timer);
int __real_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);

int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_getres(clockid_t id, struct timespec *resolution);
int __wrap_setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *old);
int __wrap_timer_create(clockid_t id, struct sigevent *event, timer_t *timer);
int __wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old);
int __wrap_timer_delete(timer_t timer);
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);

struct fake_clock fake;

/* Check allocates when it looks at an assertion, and tests count allocations. */
static void require(bool holds, const char *what)
{
    if (!holds) {
        fputs(what, stderr);
        abort();
    }
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / AW_SEC(1)), .tv_nsec = (long)(ns % AW_SEC(1)) };
}

static uint64_t timespec_ns(const struct timespec *ts)
{
    return (uint64_t)ts->tv_sec * AW_SEC(1) + (uint64_t)ts->tv_nsec;
}

static uint64_t timeval_ns(const struct timeval *tv)
{
    return (uint64_t)tv->tv_sec * AW_SEC(1) + (uint64_t)tv->tv_usec * AW_US(1);
}

static struct timeval timeval_of(uint64_t ns)
{
    return (struct timeval){ .tv_sec = (time_t)(ns / AW_SEC(1)),
                             .tv_usec = (suseconds_t)(ns % AW_SEC(1) / AW_US(1)) };
}

bool fake_is_posix(void)
{
    const char *alarm = getenv("AW_TEST_ALARM");
    require(alarm == NULL || strcmp(alarm, "posix") == 0, "AW_TEST_ALARM can be posix, or not set\n");
    return alarm != NULL;
}

struct aw_options fake_options(void)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    options.alarm = fake_is_posix() ? AW_ALARM_POSIX : AW_ALARM_ITIMER;
    return options;
}

int fake_start(void)
{
    const struct aw_options options = fake_options();
    return aw_init(fake_is_posix() ? &options : NULL);
}

int fake_signo(void)
{
    return fake_is_posix() ? SIGRTMIN + 6 : SIGALRM;
}

enum fault fake_programming(void)
{
    return fake_is_posix() ? FAULT_TIMER_SETTIME : FAULT_SETITIMER;
}

static void deliver(int signo, int code, union sigval value)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = signo;
    info.si_code = code;
    if (code == SI_USER)
        info.si_pid = getpid();
    else
        info.si_value = value;
    require(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signo, &info) == 0,
            "the signal is not sent\n");
    /* By now it is delivered; but ThreadSanitizer and valgrind hold it back until a call that may block. */
    int errno_of_handler = errno;
    poll(NULL, 0, 0);
    errno = errno_of_handler;
}

void fake_ring(void)
{
    ++fake.rings;
    deliver(fake.signo, fake.code, fake.value);
}

void fake_forge(void)
{
    deliver(fake.signo, SI_USER, fake.value);
}

/* The alarm's one shot is spent, or it starts the next interval. */
static void spend(void)
{
    fake.alarm_ns = fake.interval_ns != 0 ? fake.alarm_ns + fake.interval_ns : AW_FOREVER;
}

void fake_advance(uint64_t ns)
{
    uint64_t until = fake.now_ns + ns;
    while (fake.alarm_ns <= until) {
        if (fake.alarm_ns > fake.now_ns)
            fake.now_ns = fake.alarm_ns;
        spend();
        fake_ring();
    }
    fake.now_ns = until;
}

void fake_lose(uint64_t ns)
{
    fake.now_ns += ns;
    if (fake.alarm_ns <= fake.now_ns)
        fake.alarm_ns = AW_FOREVER;
}

void fake_begin(void)
{
    const struct itimerval stop = { { 0, 0 }, { 0, 0 } };
    sigset_t none;
    __real_setitimer(ITIMER_REAL, &stop, NULL);
    signal(SIGALRM, SIG_DFL);
    signal(fake_signo(), SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    fake = (struct fake_clock){
        .on = true, .now_ns = FAKE_START_NS, .alarm_ns = AW_FOREVER, .signo = SIGALRM, .code = SI_KERNEL
    };
    fault_clear();
}

void fake_end(void)
{
    aw_shutdown();
    fault_clear();
    fake.on = false;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    if (!fake.on || (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE))
        return __real_clock_gettime(id, now);
    *now = timespec_of(id == CLOCK_MONOTONIC ? fake.now_ns : fake.now_ns - fake.now_ns % FAKE_COARSE_NS);
    return 0;
}

int __wrap_clock_getres(clockid_t id, struct timespec *resolution)
{
    if (!fake.on || id != CLOCK_MONOTONIC_COARSE)
        return __real_clock_getres(id, resolution);
    if (fault_strikes(FAULT_CLOCK_GETRES))
        return -1;
    *resolution = timespec_of(FAKE_COARSE_NS);
    return 0;
}

static void set_alarm(uint64_t at_ns, uint64_t span_ns, uint64_t interval_ns)
{
    ++fake.programmed;
    fake.alarm_ns = at_ns;
    fake.set_ns = span_ns;
    fake.interval_ns = interval_ns;
}

static bool is_valid(const struct timeval *tv)
{
    return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

int __wrap_setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *old)
{
    if (!fake.on || which != ITIMER_REAL)
        return __real_setitimer(which, value, old);
    require(!fake_is_posix(), "an engine takes ITIMER_REAL in a run with a POSIX timer\n");
    if (fault_strikes(FAULT_SETITIMER))
        return -1;
    require(is_valid(&value->it_value) && is_valid(&value->it_interval), "setitimer would say EINVAL\n");
    if (old != NULL) {
        uint64_t left = fake.alarm_ns == AW_FOREVER   ? 0
                        : fake.alarm_ns > fake.now_ns ? fake.alarm_ns - fake.now_ns
                                                      : 1000;
        old->it_value = timeval_of(left);
        old->it_interval = timeval_of(fake.interval_ns);
    }
    uint64_t span = timeval_ns(&value->it_value);
    set_alarm(span == 0 ? AW_FOREVER : fake.now_ns + span, span, timeval_ns(&value->it_interval));
    return 0;
}

int __wrap_timer_create(clockid_t id, struct sigevent *event, timer_t *timer)
{
    if (event == NULL && id == CLOCK_MONOTONIC) {
        errno = ENOTSUP; /* Check asks so which clock to take; it shall not take the fake one */
        return -1;
    }
    if (!fake.on || event == NULL)
        return __real_timer_create(id, event, timer);
    if (fault_strikes(FAULT_TIMER_CREATE))
        return -1;
    if (id != CLOCK_MONOTONIC || event->sigev_notify != SIGEV_THREAD_ID)
        return __real_timer_create(id, event, timer); /* processor time, and hard limits, are real */
    *timer = (timer_t)&fake;
    fake.signo = event->sigev_signo;
    fake.code = SI_TIMER;
    fake.value = event->sigev_value;
    ++fake.posix_timers;
    return 0;
}

int __wrap_timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    if (!fake.on || (void *)timer != &fake)
        return __real_timer_settime(timer, flags, value, old);
    if (fault_strikes(FAULT_TIMER_SETTIME))
        return -1;
    require(flags == TIMER_ABSTIME && value->it_value.tv_nsec >= 0 && value->it_value.tv_nsec < 1000000000,
            "timer_settime would say EINVAL\n");
    uint64_t at = timespec_ns(&value->it_value);
    set_alarm(at == 0 ? AW_FOREVER : at, at > fake.now_ns ? at - fake.now_ns : 0,
              timespec_ns(&value->it_interval));
    return 0;
}

int __wrap_timer_delete(timer_t timer)
{
    if (!fake.on || (void *)timer != &fake)
        return __real_timer_delete(timer);
    --fake.posix_timers;
    fake.alarm_ns = AW_FOREVER;
    return 0;
}

/* A look with the caller's mask: delivers what is pending, and sees descriptors that are ready. */
static int look(struct pollfd *fds, nfds_t n, const sigset_t *mask)
{
    const struct timespec at_once = { 0, 0 };
    return __real_ppoll(fds, n, &at_once, mask);
}

int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
    if (!fake.on || timeout == NULL)
        return __real_ppoll(fds, n, timeout, mask);
    if (fault_strikes(FAULT_PPOLL))
        return -1;
    fake.sleep_ns = timespec_ns(timeout);
    int result = look(fds, n, mask);
    if (result != 0 || fake.sleep_ns == 0)
        return result;
    ++fake.sleeps;
    if (fake.asleep != NULL) {
        void (*asleep)(void) = fake.asleep;
        fake.asleep = NULL;
        asleep();
        result = look(fds, n, mask);
        if (result != 0)
            return result;
    }
    uint64_t until = fake.now_ns + fake.sleep_ns;
    if (fake.alarm_ns > until) {
        require(fake.sleep_ns < AW_SEC(1000000000), "it sleeps for ever\n");
        fake.now_ns = until;
        return 0;
    }
    if (fake.alarm_ns > fake.now_ns)
        fake.now_ns = fake.alarm_ns;
    spend();
    fake_ring();
    return look(fds, n, mask);
}

static void *run_there(void *fn)
{
    ((void (*const *)(void))fn)[0]();
    return NULL;
}

void fake_elsewhere(void (*fn)(void))
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_there, &fn), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

int fake_forked(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        fn();
        exit(EXIT_SUCCESS);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
