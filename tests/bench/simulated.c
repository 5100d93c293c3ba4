/* SPDX-License-Identifier: MIT */
/*
 * simulated.c: the module of simulated.h. It is linked with a copy of alarmwheel of its own whose
 * clock_gettime, setitimer and getitimer are these (ld --wrap). When the simulated clock reaches the time
 * that was programmed, the module queues itself a SIGALRM that looks like the kernel's: the handler runs for
 * real, and all else about it is real.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#include "simulated.h"

#define SEC UINT64_C(1000000000)

static uint64_t now_ns;
static uint64_t alarm_ns; /* 0: disarmed */
static struct simulated_counts counted;

int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_setitimer(int which, const struct itimerval *value, struct itimerval *old);
int __wrap_getitimer(int which, struct itimerval *value);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    uint64_t ns = now_ns;
    if (id == CLOCK_MONOTONIC_COARSE) {
        struct timespec tick;
        clock_getres(id, &tick);
        ns -= ns % (uint64_t)tick.tv_nsec;
    }
    now->tv_sec = (time_t)(ns / SEC);
    now->tv_nsec = (long)(ns % SEC);
    return 0;
}

int __wrap_getitimer(int which, struct itimerval *value)
{
    (void)which;
    const uint64_t left_ns = alarm_ns > now_ns ? alarm_ns - now_ns : 0;
    memset(value, 0, sizeof *value);
    value->it_value.tv_sec = (time_t)(left_ns / SEC);
    value->it_value.tv_usec = (suseconds_t)(left_ns % SEC / 1000);
    return 0;
}

int __wrap_setitimer(int which, const struct itimerval *value, struct itimerval *old)
{
    if (old != NULL)
        __wrap_getitimer(which, old);
    const uint64_t delay_ns =
        (uint64_t)value->it_value.tv_sec * SEC + (uint64_t)value->it_value.tv_usec * 1000;
    alarm_ns = delay_ns == 0 ? 0 : now_ns + delay_ns;
    counted.calls++;
    return 0;
}

/* A process may queue itself a signal with any si_code. */
static bool deliver(void)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGALRM;
    info.si_code = SI_KERNEL;
    alarm_ns = 0;
    counted.signals++;
    return syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), SIGALRM, &info) == 0;
}

/* Moves the clock to `to_ns`, alarm by alarm; the program passes a safe point after each. */
static bool advance(uint64_t to_ns)
{
    while (alarm_ns != 0 && alarm_ns <= to_ns) {
        now_ns = alarm_ns;
        if (!deliver() || aw_safepoint() < 0)
            return false;
    }
    now_ns = to_ns;
    return aw_safepoint() >= 0;
}

static uint64_t expected_ns;
static bool early;

static int on_timer(struct aw_timer timer, void *arg)
{
    const uint64_t period_ns = *(const uint64_t *)arg;
    (void)timer;
    counted.expired++;
    early = early || now_ns < expected_ns;
    expected_ns += period_ns;
    return 0;
}

static bool start(uint32_t timers)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    options.capacity = timers;
    now_ns = UINT64_C(98765432109876);
    alarm_ns = 0;
    early = false;
    memset(&counted, 0, sizeof counted);
    if (aw_init(&options) != 0)
        return false;
    counted.calls = 0;
    return true;
}

static bool finish(uint64_t start_ns, struct simulated_counts *counts)
{
    *counts = counted;
    counts->elapsed_ns = now_ns - start_ns;
    return aw_shutdown() == 0 && !early;
}

static bool refresh(uint32_t refreshes, uint64_t interval_ns, uint64_t delay_ns, bool again,
                    struct simulated_counts *counts)
{
    uint64_t period_ns = delay_ns;
    struct aw_timer timer;
    if (!start(1))
        return false;
    const uint64_t start_ns = now_ns;
    bool good = aw_timer_create(&timer, on_timer, &period_ns) == 0 && aw_timer_arm(timer, delay_ns) == 0;
    for (uint32_t i = 0; i < refreshes && good; i++)
        good = advance(now_ns + interval_ns) &&
               (again ? aw_timer_again(timer) : aw_timer_arm(timer, delay_ns)) == 0;
    return finish(start_ns, counts) && good && counts->expired == 0;
}

static bool periodic(uint64_t period_ns, uint32_t expiries, struct simulated_counts *counts)
{
    struct aw_timer timer;
    if (!start(1))
        return false;
    const uint64_t start_ns = now_ns;
    expected_ns = start_ns + period_ns;
    bool good = aw_timer_create(&timer, on_timer, &period_ns) == 0 &&
                aw_timer_arm_every(timer, period_ns, period_ns, AW_MISSED_SKIP) == 0;
    /* An expiry comes by up to a tick late: half a period on, each of them has come. */
    good = good && advance(start_ns + period_ns * expiries + period_ns / 2);
    return finish(start_ns, counts) && good && counts->expired == expiries;
}

static bool idle(uint32_t timers, struct simulated_counts *counts)
{
    static uint64_t period_ns;
    bool good = start(timers);
    if (!good)
        return false;
    const uint64_t start_ns = now_ns;
    uint64_t state = timers;
    for (uint32_t i = 0; i < timers && good; i++) {
        struct aw_timer timer;
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        good = aw_timer_create(&timer, on_timer, &period_ns) == 0 &&
               aw_timer_arm(timer, 3600 * SEC + (state >> 11) % (60 * SEC)) == 0;
    }
    for (uint64_t second = 1; second < 3600 && good; second++)
        good = advance(start_ns + second * SEC);
    return finish(start_ns, counts) && good && counts->expired == 0;
}

extern const struct simulated bench_simulated_module;
__attribute__((visibility("default")))
const struct simulated bench_simulated_module = { refresh, periodic, idle };
