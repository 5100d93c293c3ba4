/* SPDX-License-Identifier: MIT */
/*
 * bars.c: the project's bars: for each the measured ratio, the value it must reach and the one it aims at.
 * All of them are ratios within one run, or counts; a figure that was not measured (filter, sizes, a peer
 * that is not there) is said to be missing.
 */
#include <string.h>

#include "bench.h"

#define TICK_NS 131072.0

enum sense {
    AT_LEAST,
    AT_MOST
};

static const uint32_t decades[] = { 1000, 10000, 100000, 1000000 };
static const char *const wheel_benches[] = { "wheel.rearm", "wheel.rearm_fixed", "wheel.refresh30s",
                                             "wheel.cancel_burst", "wheel.insert_expire" };
static bool all_reached;

static void print_bar(FILE *out, const char *what, bool measured, double value, enum sense sense, double must,
                      double stretch)
{
    if (!measured) {
        fprintf(out, "  %-62s %10s\n", what, "-");
        return;
    }
    const bool reached = sense == AT_LEAST ? value >= must : value <= must;
    const bool stretched = sense == AT_LEAST ? value >= stretch : value <= stretch;
    const char *relation = sense == AT_LEAST ? ">=" : "<=";
    all_reached = all_reached && reached;
    fprintf(out, "  %-62s %10.4g   must %s %-7.4g stretch %s %-7.4g %s\n", what, value, relation, must,
            relation, stretch,
            !reached    ? "MISSED"
            : stretched ? "stretch"
                        : "reached");
}

/* How many times ours the other takes. False if one of them is missing. */
static bool times(const char *bench, const char *impl, uint32_t n, double *value)
{
    const struct bench_result *theirs = bench_find(bench, impl, n);
    const struct bench_result *ours = bench_find(bench, "alarmwheel", n);
    if (theirs == NULL || ours == NULL || ours->median <= 0)
        return false;
    *value = theirs->median / ours->median;
    return true;
}

static void bar_times(FILE *out, const char *bench, const char *impl, uint32_t n, double must, double stretch)
{
    char what[80];
    double value = 0;
    snprintf(what, sizeof what, "%s, times faster than %s at %u", bench, impl, (unsigned)n);
    const bool measured = times(bench, impl, n, &value);
    print_bar(out, what, measured, value, AT_LEAST, must, stretch);
}

/* The least ratio over every wheel bench and every size. */
static void bar_everywhere(FILE *out, const char *impl, double must, double stretch)
{
    double least = 0;
    const char *where = "nowhere";
    uint32_t where_n = 0;
    for (size_t i = 0; i < sizeof wheel_benches / sizeof *wheel_benches; i++) {
        for (size_t j = 0; j < bench_results_count; j++) {
            const struct bench_result *r = &bench_results[j];
            double value;
            if (strcmp(r->bench, wheel_benches[i]) != 0 || strcmp(r->impl, impl) != 0 ||
                !times(r->bench, impl, r->n, &value) || (where_n != 0 && value >= least))
                continue;
            least = value;
            where = r->bench;
            where_n = r->n;
        }
    }
    char what[96];
    snprintf(what, sizeof what, "wheel.*, times faster than %s, least: %s %u", impl, where,
             (unsigned)where_n);
    print_bar(out, what, where_n != 0, least, AT_LEAST, must, stretch);
}

/* One figure, divided by another where that has a name. */
static void bar_most(FILE *out, const char *what, const char *bench, const char *impl, uint32_t n,
                     const char *by_bench, const char *by_impl, double must, double stretch)
{
    const struct bench_result *r = bench_find(bench, impl, n);
    const struct bench_result *by = by_bench != NULL ? bench_find(by_bench, by_impl, n) : NULL;
    const bool measured = r != NULL && (by_bench == NULL || (by != NULL && by->median > 0));
    const double value = !measured ? 0 : by != NULL ? r->median / by->median : r->median;
    print_bar(out, what, measured, value, AT_MOST, must, stretch);
}

static void bars_against_libev(FILE *out)
{
    static const double rearm[][2] = { { 5, 10 }, { 3, 4 }, { 2.5, 4 }, { 1.8, 4 } };
    static const double fixed[][2] = { { 3, 5 }, { 3, 5 }, { 3, 5 }, { 2.5, 6 } };
    static const double expire[][2] = { { 3, 5 }, { 0, 0 }, { 3, 5 }, { 1.5, 3 } };
    for (size_t i = 0; i < 4; i++)
        bar_times(out, "wheel.rearm", "libev", decades[i], rearm[i][0], rearm[i][1]);
    for (size_t i = 0; i < 4; i++)
        bar_times(out, "wheel.rearm_fixed", "libev", decades[i], fixed[i][0], fixed[i][1]);
    for (size_t i = 0; i < 4; i++)
        if (expire[i][0] > 0)
            bar_times(out, "wheel.insert_expire", "libev", decades[i], expire[i][0], expire[i][1]);
    for (size_t i = 0; i < 4; i++)
        bar_times(out, "timer.again", "libev", decades[i], 1, 2);
}

/* The worst of some figures of one bench. */
static void bar_worst(FILE *out, const char *what, const char *prefix, double must, double stretch)
{
    bool measured = false;
    double worst = 0;
    for (size_t i = 0; i < bench_results_count; i++) {
        const struct bench_result *r = &bench_results[i];
        if (strncmp(r->bench, prefix, strlen(prefix)) != 0 || strcmp(r->impl, "alarmwheel") != 0)
            continue;
        worst = !measured || r->median > worst ? r->median : worst;
        measured = true;
    }
    print_bar(out, what, measured, worst, AT_MOST, must, stretch);
}

/* What one figure is beyond another, in so many of its unit. */
static void bar_beyond(FILE *out, const char *what, const char *bench, const char *than, double unit,
                       double must, double stretch)
{
    const struct bench_result *r = bench_find(bench, "alarmwheel", 1);
    const struct bench_result *base = bench_find(than, "alarmwheel", 1);
    const bool measured = r != NULL && base != NULL;
    print_bar(out, what, measured, measured ? (r->median - base->median) / unit : 0, AT_MOST, must, stretch);
}

static void bar_latency(FILE *out, const char *what, const char *bench)
{
    const struct bench_result *ours = bench_find(bench, "alarmwheel", 1);
    const struct bench_result *bare = bench_find(bench, "setitimer", 1);
    const bool measured = ours != NULL && bare != NULL;
    print_bar(out, what, measured, measured ? (ours->median - bare->median) / TICK_NS : 0, AT_MOST, 1, 0.6);
}

bool bench_print_bars(FILE *out)
{
    all_reached = true;
    fputs("\nThe bars\n", out);
    bars_against_libev(out);
    bar_everywhere(out, "libuv", 5, 10);
    bar_everywhere(out, "libevent", 5, 10);
    bar_everywhere(out, "sd-event", 5, 10);
    bar_most(out, "wheel.refresh30s, of the floor, at 1000000", "wheel.refresh30s", "alarmwheel", 1000000,
             "wheel.refresh30s", "floor", 0.5, 0.25);
    bar_worst(out, "wheel.next adds, whatever the deadlines, ns", "wheel.next", 4, 2);
    bar_most(out, "wheel.memory, bytes a timer, at 1000000", "wheel.memory", "alarmwheel", 1000000, NULL,
             NULL, 48, 40);
    bar_most(out, "guard.enter_leave, of clock.monotonic", "guard.enter_leave", "alarmwheel", 1,
             "clock.monotonic", "alarmwheel", 1.3, 1.1);
    bar_most(out, "guard.coarse, of guard.classic", "guard.coarse", "alarmwheel", 1, "guard.classic",
             "alarmwheel", 1. / 100, 1. / 150);
    bar_most(out, "guard.escape, of guard.classic", "guard.escape", "alarmwheel", 1, "guard.classic",
             "alarmwheel", 1. / 4, 1. / 6);
    bar_most(out, "guard.escape_nomask, of guard.classic", "guard.escape_nomask", "alarmwheel", 1,
             "guard.classic", "alarmwheel", 1. / 30, 1. / 45);
    bar_beyond(out, "io.guarded beyond io.raw, ns", "io.guarded", "io.raw", 1, 25, 15);
    bar_beyond(out, "guard.cpu.worst beyond a tick of the kernel, ms", "guard.cpu.worst", "guard.cpu.tick",
               1e6, 4, 4);
    bar_beyond(out, "guard.cpu.sleep.worst beyond a tick of the kernel, ms", "guard.cpu.sleep.worst",
               "guard.cpu.tick", 1e6, 4, 4);
    bar_most(out, "safepoint, ns", "safepoint", "alarmwheel", 1, NULL, NULL, 0.6, 0.3);
    /* 2, and one for each 30 s of the 100 s that a million refreshes at 10,000 a second take. */
    bar_worst(out, "syscalls, of a million refreshes", "syscalls", 5, 5);
    bar_worst(out, "idle.signals.every_*, for each expiry", "idle.signals.every", 1, 1);
    bar_most(out, "idle.signals, of 100,000 timers", "idle.signals", "alarmwheel", 100000, NULL, NULL, 0, 0);
    bar_most(out, "profile.handler.depth_1, of gperftools'", "profile.handler.depth_1", "alarmwheel", 1,
             "profile.handler.depth_1", "gperftools", 1. / 3, 150. / 5400);
    bar_most(out, "profile.handler.depth_10, of gperftools'", "profile.handler.depth_10", "alarmwheel", 1,
             "profile.handler.depth_10", "gperftools", 1. / 3, 300. / 9200);
    bar_most(out, "profile.handler.depth_40, of gperftools'", "profile.handler.depth_40", "alarmwheel", 1,
             "profile.handler.depth_40", "gperftools", 1. / 3, 500. / 20000);
    bar_most(out, "profile.overhead.wall_4000, points above an empty handler", "profile.overhead.wall_4000",
             "alarmwheel", 1, NULL, NULL, 3, 1);
    bar_most(out, "profile.memory.start, bytes", "profile.memory.start", "alarmwheel", 1, NULL, NULL, 2e6,
             1e6);
    bar_most(out, "profile.memory.mapped, bytes", "profile.memory.mapped", "alarmwheel", 1, NULL, NULL, 2e6,
             1e6);
    bar_latency(out, "latency.p50 beyond setitimer's, ticks", "latency.p50");
    bar_latency(out, "latency.spin.p50 beyond setitimer's, ticks", "latency.spin.p50");
    fputs(all_reached ? "  no `must` was missed\n" : "  a `must` was MISSED\n", out);
    return all_reached;
}
