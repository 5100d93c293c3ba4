/* SPDX-License-Identifier: MIT */
/*
 * bench_latency.c: how late a timer of 1 to 5 ms is noticed: ours asleep in aw_wait and spinning on
 * aw_safepoint, beside a bare setitimer (asleep in sigsuspend, and spinning on a flag) and timerfd with poll.
 * In turns, in one run. It measures real time, so it says something about the machine too: compare the rows,
 * not the figures.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#include "bench.h"

#define SAMPLES 100u

static volatile uint64_t fired_ns;

static int on_timer(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    fired_ns = bench_wall_ns();
    return 0;
}

static void on_alarm(int signo)
{
    (void)signo;
    fired_ns = bench_wall_ns();
}

/* Each waits for one timer and returns when its own code first knew of it; 0 on an error. */

static struct aw_timer our_timer;

static uint64_t wait_ours(uint64_t start_ns, uint64_t delay_ns)
{
    fired_ns = 0;
    if (aw_timer_arm_at(our_timer, start_ns + delay_ns) != 0)
        return 0;
    while (fired_ns == 0)
        if (aw_wait(AW_SEC(10)) < 0)
            return 0;
    return fired_ns;
}

static uint64_t spin_ours(uint64_t start_ns, uint64_t delay_ns)
{
    fired_ns = 0;
    if (aw_timer_arm_at(our_timer, start_ns + delay_ns) != 0)
        return 0;
    while (fired_ns == 0)
        if (aw_safepoint() < 0)
            return 0;
    return fired_ns;
}

static bool open_ours(void)
{
    return aw_init(NULL) == 0 && aw_timer_create(&our_timer, on_timer, NULL) == 0;
}

static void close_ours(void)
{
    aw_shutdown();
}

static struct sigaction old_action;
static sigset_t old_mask;

static bool open_alarm(void)
{
    struct sigaction action;
    sigset_t mask;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    sigemptyset(&action.sa_mask);
    sigemptyset(&mask);
    sigaddset(&mask, SIGALRM);
    return sigaction(SIGALRM, &action, &old_action) == 0 && sigprocmask(SIG_BLOCK, &mask, &old_mask) == 0;
}

static bool open_alarm_spin(void)
{
    return open_alarm() && sigprocmask(SIG_SETMASK, &old_mask, NULL) == 0;
}

static void close_alarm(void)
{
    sigaction(SIGALRM, &old_action, NULL);
    sigprocmask(SIG_SETMASK, &old_mask, NULL);
}

static bool set_alarm(uint64_t delay_ns)
{
    struct itimerval value;
    memset(&value, 0, sizeof value);
    value.it_value.tv_usec = (suseconds_t)((delay_ns + 999) / 1000);
    fired_ns = 0;
    return setitimer(ITIMER_REAL, &value, NULL) == 0;
}

static uint64_t wait_alarm(uint64_t start_ns, uint64_t delay_ns)
{
    (void)start_ns;
    if (!set_alarm(delay_ns))
        return 0;
    while (fired_ns == 0)
        sigsuspend(&old_mask);
    return fired_ns;
}

static uint64_t spin_alarm(uint64_t start_ns, uint64_t delay_ns)
{
    (void)start_ns;
    if (!set_alarm(delay_ns))
        return 0;
    while (fired_ns == 0)
        continue;
    return fired_ns;
}

static int timer_fd;

static bool open_timerfd(void)
{
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    return timer_fd >= 0;
}

static void close_timerfd(void)
{
    close(timer_fd);
}

static uint64_t wait_timerfd(uint64_t start_ns, uint64_t delay_ns)
{
    const uint64_t deadline_ns = start_ns + delay_ns;
    struct itimerspec value;
    uint64_t ticks;
    memset(&value, 0, sizeof value);
    value.it_value.tv_sec = (time_t)(deadline_ns / 1000000000);
    value.it_value.tv_nsec = (long)(deadline_ns % 1000000000);
    struct pollfd poller = { .fd = timer_fd, .events = POLLIN };
    if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &value, NULL) != 0 || poll(&poller, 1, 10000) != 1)
        return 0;
    const uint64_t known_ns = bench_wall_ns();
    return read(timer_fd, &ticks, sizeof ticks) == sizeof ticks ? known_ns : 0;
}

struct waiter {
    const char *bench;
    const char *impl;
    bool (*open)(void);
    uint64_t (*wait)(uint64_t start_ns, uint64_t delay_ns);
    void (*close)(void);
};

static const struct waiter waiters[] = {
    { "latency", "alarmwheel", open_ours, wait_ours, close_ours },
    { "latency", "setitimer", open_alarm, wait_alarm, close_alarm },
    { "latency", "timerfd", open_timerfd, wait_timerfd, close_timerfd },
    { "latency.spin", "alarmwheel", open_ours, spin_ours, close_ours },
    { "latency.spin", "setitimer", open_alarm_spin, spin_alarm, close_alarm },
};
#define WAITERS (sizeof waiters / sizeof *waiters)

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const struct waiter *waiter, uint64_t seed, struct bench_series *p50,
                    struct bench_series *p99)
{
    double late[SAMPLES];
    unsigned count = 0;
    if (!waiter->open()) {
        fprintf(stderr, "aw-bench: %s: %s could not start\n", waiter->bench, waiter->impl);
        return;
    }
    while (count < SAMPLES) {
        const uint64_t delay_ns = 1000000 + bench_random(&seed) % 4000000;
        const uint64_t start_ns = bench_wall_ns();
        const uint64_t known_ns = waiter->wait(start_ns, delay_ns);
        if (known_ns < start_ns + delay_ns) {
            fprintf(stderr, "aw-bench: %s: %s failed, or was early\n", waiter->bench, waiter->impl);
            break;
        }
        late[count++] = (double)(known_ns - start_ns - delay_ns);
    }
    waiter->close();
    if (count == SAMPLES) {
        qsort(late, SAMPLES, sizeof *late, compare);
        bench_sample(p50, late[SAMPLES / 2]);
        bench_sample(p99, late[SAMPLES * 99 / 100]);
    }
}

void bench_latency(void)
{
    struct bench_series p50[WAITERS];
    struct bench_series p99[WAITERS];
    memset(p50, 0, sizeof p50);
    memset(p99, 0, sizeof p99);
    for (unsigned run = 0; run < bench_options.runs; run++)
        for (unsigned i = 0; i < WAITERS; i++)
            if (bench_needed(waiters[i].bench))
                measure(&waiters[i], run + 1, &p50[i], &p99[i]);
    for (unsigned i = 0; i < WAITERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.p50", waiters[i].bench);
        bench_report(name, waiters[i].impl, 1, "ns", &p50[i]);
        snprintf(name, sizeof name, "%s.p99", waiters[i].bench);
        bench_report(name, waiters[i].impl, 1, "ns", &p99[i]);
    }
}
