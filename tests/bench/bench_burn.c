/* SPDX-License-Identifier: MIT */
/*
 * bench_burn.c: how late a guard on processor time fires, by the thread's own clock, in work that spins and
 * in work that sleeps, beside a second thread that is busy; and in turns with it a bare POSIX timer. The
 * kernel looks at either once a tick, which is told too.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <alarmwheel/alarmwheel.h>

#include "bench.h"

#define LIMIT_NS AW_MS(100)
#define FIRINGS 5u /* a run */

static void burn_once(void)
{
    for (volatile unsigned i = 0; i < 2000; i++)
        continue;
}

static atomic_uint busy;

static void *be_busy(void *unused)
{
    while (busy != 0)
        burn_once();
    return unused;
}

/* Two ways to bound the work by processor time: ours, and the kernel's timer that is under it. */
struct bound {
    const char *impl;
    bool (*begin)(void);
    bool (*is_over)(void);
    bool (*end)(void); /* Has it fired? */
};

static struct aw_guard guard;

static bool enter_guard(void)
{
    return aw_guard_enter(&guard, LIMIT_NS, AW_GUARD_CPU) == 0;
}

static bool is_guard_over(void)
{
    return aw_safepoint() != 0;
}

static bool leave_guard(void)
{
    return aw_guard_leave(&guard) == -ETIMEDOUT;
}

static timer_t timer;
static volatile sig_atomic_t has_rung;

static void ring(int signo)
{
    (void)signo;
    has_rung = 1;
}

static bool set_timer(void)
{
    const struct itimerspec spec = { .it_value.tv_nsec = (long)LIMIT_NS };
    has_rung = 0;
    return timer_settime(timer, 0, &spec, NULL) == 0;
}

static bool is_timer_over(void)
{
    return has_rung != 0;
}

static const struct bound bounds[] = {
    { "alarmwheel", enter_guard, is_guard_over, leave_guard },
    { "posix-timer", set_timer, is_timer_over, is_timer_over },
};
#define BOUNDS (sizeof bounds / sizeof *bounds)

static void spin(bool (*is_over)(void))
{
    while (!is_over())
        burn_once();
}

static void sleep_and_spin(bool (*is_over)(void))
{
    const struct timespec doze = { .tv_nsec = 2000000 };
    while (!is_over()) {
        nanosleep(&doze, NULL);
        for (const uint64_t until = bench_cpu_ns() + AW_MS(3); bench_cpu_ns() < until && !is_over();)
            burn_once();
    }
}

static const struct work {
    const char *bench;
    void (*run)(bool (*is_over)(void));
} works[] = { { "guard.cpu", spin }, { "guard.cpu.sleep", sleep_and_spin } };
#define WORKS (sizeof works / sizeof *works)

/* From before it begins, so that it is never early. False with the reason printed. */
static bool fire(const struct work *work, const struct bound *bound, double *late_ns)
{
    const uint64_t start_ns = bench_cpu_ns();
    bool is_good = bound->begin();
    if (is_good)
        work->run(bound->is_over);
    const uint64_t burnt_ns = bench_cpu_ns() - start_ns;
    is_good = is_good && bound->end() && burnt_ns >= LIMIT_NS;
    if (!is_good)
        fprintf(stderr, "aw-bench: %s: %s failed, or was early\n", work->bench, bound->impl);
    *late_ns = is_good ? (double)(burnt_ns - LIMIT_NS) : 0;
    return is_good;
}

struct lateness {
    struct bench_series p50;
    double worst;
};

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const struct work *work, const struct bound *bound, struct lateness *lateness)
{
    double late[FIRINGS];
    for (unsigned i = 0; i < FIRINGS; i++)
        if (!fire(work, bound, &late[i]))
            return;
    qsort(late, FIRINGS, sizeof *late, compare);
    bench_sample(&lateness->p50, late[FIRINGS / 2]);
    if (late[FIRINGS - 1] > lateness->worst)
        lateness->worst = late[FIRINGS - 1];
}

static struct lateness results[WORKS][BOUNDS];

static void measure_all(void)
{
    pthread_t thread;
    busy = 1;
    const int error = pthread_create(&thread, NULL, be_busy, NULL);
    if (error != 0) {
        fprintf(stderr, "aw-bench: guard.cpu: %s\n", strerror(error));
        return;
    }
    for (unsigned run = 0; run < bench_options.runs; run++)
        for (unsigned i = 0; i < WORKS; i++)
            for (unsigned j = 0; j < BOUNDS; j++)
                if (bench_needed(works[i].bench))
                    measure(&works[i], &bounds[j], &results[i][j]);
    busy = 0;
    pthread_join(thread, NULL);
}

static bool open_both(struct sigaction *old)
{
    struct sigaction action;
    struct sigevent event;
    memset(&action, 0, sizeof action);
    memset(&event, 0, sizeof event);
    action.sa_handler = ring;
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    if (sigaction(SIGUSR1, &action, old) != 0 || timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0)
        return false;
    if (aw_init(NULL) == 0)
        return true;
    timer_delete(timer);
    return false;
}

static void report(const char *bench, const char *what, const char *impl, const struct bench_series *series)
{
    char name[32];
    snprintf(name, sizeof name, "%s.%s", bench, what);
    bench_report(name, impl, 1, "ns", series);
}

static void report_tick(void)
{
    struct bench_series tick = { .count = 0 };
    struct timespec resolution; /* of the clock that moves once a tick */
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) == 0)
        bench_sample(&tick, (double)resolution.tv_sec * 1e9 + (double)resolution.tv_nsec);
    report("guard.cpu", "tick", "alarmwheel", &tick);
}

void bench_burn(void)
{
    struct sigaction old;
    if (!open_both(&old)) {
        fputs("aw-bench: guard.cpu: could not start\n", stderr);
        return;
    }
    measure_all();
    aw_shutdown();
    timer_delete(timer);
    sigaction(SIGUSR1, &old, NULL);
    for (size_t i = 0; i < WORKS; i++)
        for (size_t j = 0; j < BOUNDS; j++) {
            struct bench_series worst = { .count = 0 };
            if (results[i][j].p50.count != 0)
                bench_sample(&worst, results[i][j].worst);
            report(works[i].bench, "p50", bounds[j].impl, &results[i][j].p50);
            report(works[i].bench, "worst", bounds[j].impl, &worst);
        }
    report_tick();
}
