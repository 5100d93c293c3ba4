/* SPDX-License-Identifier: MIT */
/*
 * bench_calls.c: what single calls cost: a guard, the same with the coarse clock, one that may escape, the
 * classic way to bound a call (sigaction, alarm, sigsetjmp), a guarded read and the raw one, a reading of the
 * clock, a safe point. In turns. The engine runs only while its own calls are measured, since the classic way
 * takes SIGALRM from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>
#include <alarmwheel/io.h>

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

/* The same work inside as in the classic guard, and in a function of its own too, as sigsetjmp wants it. */
static void escape_guard(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_SEC(10), AW_GUARD_ESCAPE) {
        sink = 1;
    }
}

static void escape_nomask_guard(void)
{
    struct aw_guard guard;
    AW_GUARD(&guard, AW_SEC(10), AW_GUARD_ESCAPE | AW_GUARD_NOMASK) {
        sink = 1;
    }
}

static void call_escape(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        escape_guard();
}

static void call_escape_nomask(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        escape_nomask_guard();
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

/*
 * A pipe, filled outside the timed part with as many bytes as are then read one by one: a call that could
 * block, and finds what it wants.
 */
static int pipe_ends[2] = { -1, -1 };

static bool fill_pipe(uint32_t count)
{
    static char bytes[4096];
    if (pipe_ends[0] < 0 && pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    while (read(pipe_ends[0], bytes, sizeof bytes) > 0)
        continue;
    for (uint32_t left = count; left != 0;) {
        const ssize_t put = write(pipe_ends[1], bytes, left < sizeof bytes ? left : sizeof bytes);
        if (put <= 0)
            return false;
        left -= (uint32_t)put;
    }
    return true;
}

static void call_raw_read(uint32_t count)
{
    char byte;
    for (uint32_t i = 0; i < count; i++)
        if (read(pipe_ends[0], &byte, 1) != 1)
            return;
}

static void call_guarded_read(uint32_t count)
{
    char byte;
    for (uint32_t i = 0; i < count; i++)
        if (aw_read(pipe_ends[0], &byte, 1, AW_FOREVER) != 1)
            return;
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
    bool (*prepare)(uint32_t count); /* not timed; NULL: nothing */
};

static const struct call calls[] = {
    { "guard.enter_leave", call_guard, 400000, true, NULL },
    { "guard.coarse", call_coarse, 2000000, true, NULL },
    { "guard.escape", call_escape, 100000, true, NULL },
    { "guard.escape_nomask", call_escape_nomask, 400000, true, NULL },
    { "guard.classic", call_classic, 20000, false, NULL },
    { "io.guarded", call_guarded_read, 60000, true, fill_pipe },
    { "io.raw", call_raw_read, 60000, true, fill_pipe },
    { "clock.monotonic", call_clock, 400000, false, NULL },
    { "safepoint", call_safepoint, 16000000, true, NULL },
};
#define CALLS (sizeof calls / sizeof *calls)

/* The first sixteenth is not timed: the alarm is armed for the guard then, and stays so. */
static void measure_call(const struct call *call, struct bench_series *series)
{
    const uint32_t warm_up = call->count / 16;
    if (call->engine && aw_init(NULL) != 0) {
        fprintf(stderr, "aw-bench: %s: aw_init failed\n", call->bench);
        return;
    }
    if (call->prepare == NULL || call->prepare(warm_up + call->count)) {
        call->run(warm_up);
        const uint64_t start = bench_cpu_ns();
        call->run(call->count);
        const uint64_t took = bench_cpu_ns() - start;
        bench_sample(series, (double)took / call->count);
    } else {
        fprintf(stderr, "aw-bench: %s: %s\n", call->bench, strerror(errno));
    }
    if (call->engine)
        aw_shutdown();
}

void bench_calls(void)
{
    struct bench_series series[CALLS];
    memset(series, 0, sizeof series);
    for (unsigned run = 0; run < bench_options.runs; run++)
        for (unsigned i = 0; i < CALLS; i++)
            if (bench_wanted(calls[i].bench))
                measure_call(&calls[i], &series[i]);
    for (unsigned i = 0; i < CALLS; i++)
        bench_report(calls[i].bench, "alarmwheel", 1, "ns", &series[i]);
}
