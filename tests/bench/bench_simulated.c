/* SPDX-License-Identifier: MIT */
/* bench_simulated.c: the counts that need a simulated clock (simulated.h): system calls and signals. They are
 * exact: one run is enough. */
#include "bench.h"
#include "simulated.h"

#define MS UINT64_C(1000000)
#define SEC UINT64_C(1000000000)

static void report(const char *bench, uint32_t n, const char *unit, bool good, double value)
{
    struct bench_series series = { .count = 0 };
    bench_sample(&series, value);
    if (good)
        bench_report(bench, "alarmwheel", n, unit, &series);
    else
        fprintf(stderr, "aw-bench: %s: the engine failed on the simulated clock\n", bench);
}

/* A million refreshes of one 30 s timer, ten thousand a second. */
static void measure_syscalls(const struct simulated *module, const char *bench, bool again)
{
    struct simulated_counts counts;
    if (!bench_wanted(bench))
        return;
    const bool good = module->refresh(1000000, SEC / 10000, 30 * SEC, again, &counts);
    report(bench, 1, "count", good, (double)counts.calls);
}

static void measure_periodic(const struct simulated *module, const char *bench, uint64_t period_ns)
{
    const uint32_t expiries = 1000;
    struct simulated_counts counts;
    if (!bench_wanted(bench))
        return;
    const bool good = module->periodic(period_ns, expiries, &counts);
    report(bench, 1, "ratio", good, (double)counts.signals / expiries);
}

void bench_simulated(void)
{
    const struct simulated *module = bench_module("simulated", SIMULATED_SYMBOL);
    if (module == NULL)
        return;
    measure_syscalls(module, "syscalls", false);
    measure_syscalls(module, "syscalls.again", true);
    if (bench_wanted("idle.signals")) {
        struct simulated_counts counts;
        const bool good = module->idle(100000, &counts);
        report("idle.signals", 100000, "count", good, (double)counts.signals);
    }
    measure_periodic(module, "idle.signals.every_10ms", 10 * MS);
    measure_periodic(module, "idle.signals.every_100ms", 100 * MS);
    measure_periodic(module, "idle.signals.every_1s", 1 * SEC);
    measure_periodic(module, "idle.signals.every_10s", 10 * SEC);
    measure_periodic(module, "idle.signals.every_1min", 60 * SEC);
    measure_periodic(module, "idle.signals.every_1h", 3600 * SEC);
}
