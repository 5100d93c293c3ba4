/* SPDX-License-Identifier: MIT */
/*
 * bench_calls.c: what single calls cost: a guard, the same with the coarse clock, the classic way to bound a
 * call (sigaction, alarm, sigsetjmp), a reading of the clock, a safe point. In turns. The engine runs only
 * while its own calls are measured, since the classic way takes SIGALRM from it.
 */
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#include "bench.h"

static volatile uint64_t sink;
static sigjmp_buf classic_env;

static void on_classic(int signo)
{
    (void)signo;
    siglongjmp(classic_env, 1);
}

static void enter_leave(uint32_t count, unsigned flags)
{
    struct aw_guard guard;
    for (uint32_t i = 0; i < count; i++) {
        if (aw_guard_enter(&guard, AW_SEC(10), flags) != 0)
            return;
        aw_guard_leave(&guard);
    }
}

static void call_guard(uint32_t count)
{
    enter_leave(count, AW_GUARD_DEFAULT);
}

static void call_coarse(uint32_t count)
{
    enter_leave(count, AW_GUARD_COARSE);
}

static void classic_guard(void)
{
    struct sigaction action;
    struct sigaction old;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_classic;
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, &old);
    if (sigsetjmp(classic_env, 1) == 0) {
        alarm(10);
        sink = 1; /* the guarded work */
    }
    alarm(0);
    sigaction(SIGALRM, &old, NULL);
}

static void call_classic(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        classic_guard();
}

static void call_clock(uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        sum += (uint64_t)now.tv_nsec;
    }
    sink = sum;
}

/* Eight to a turn of the loop, so that the loop's own branch does not count. */
static void call_safepoint(uint32_t count)
{
    for (uint32_t i = 0; i < count; i += 8) {
        int result = aw_safepoint();
        result |= aw_safepoint();
        result |= aw_safepoint();
        result |= aw_safepoint();
        result |= aw_safepoint();
        result |= aw_safepoint();
        result |= aw_safepoint();
        result |= aw_safepoint();
        if (__builtin_expect(result != 0, 0))
            return;
    }
}

struct call {
    const char *bench;
    void (*run)(uint32_t count);
    uint32_t count;
    bool engine;
};

static const struct call calls[] = {
    { "guard.enter_leave", call_guard, 400000, true }, { "guard.coarse", call_coarse, 2000000, true },
    { "guard.classic", call_classic, 20000, false },   { "clock.monotonic", call_clock, 400000, false },
    { "safepoint", call_safepoint, 16000000, true },
};
#define CALLS (sizeof calls / sizeof *calls)

void bench_calls(void)
{
    struct bench_series series[CALLS];
    memset(series, 0, sizeof series);
    for (unsigned run = 0; run < bench_options.runs; run++) {
        for (unsigned i = 0; i < CALLS; i++) {
            if (!bench_wanted(calls[i].bench))
                continue;
            if (calls[i].engine && aw_init(NULL) != 0) {
                fprintf(stderr, "aw-bench: %s: aw_init failed\n", calls[i].bench);
                continue;
            }
            calls[i].run(calls[i].count / 16); /* the alarm is armed for the guard then, and stays so */
            const uint64_t start = bench_cpu_ns();
            calls[i].run(calls[i].count);
            const uint64_t took = bench_cpu_ns() - start;
            if (calls[i].engine)
                aw_shutdown();
            bench_sample(&series[i], (double)took / calls[i].count);
        }
    }
    for (unsigned i = 0; i < CALLS; i++)
        bench_report(calls[i].bench, "alarmwheel", 1, "ns", &series[i]);
}
