/* SPDX-License-Identifier: MIT */
/*
 * tick.c: work that keeps step with the kernel's tick, and sleeps over it: most of the time in between.
 * Clocks that look at the tick only never see it; the wall's clock at random intervals sees its true share,
 * which the program measures itself.
 */
#include <errno.h>
#include <math.h>
#include <time.h>

#include "accuracy.h"
#include "gperftools.h"
#include "tally.h"
#include "work.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define SHARE 0.84
#define BAR 2.0

TALLY_DECLARE(between_ticks);

struct truth {
    uint64_t wanted_ns; /* of the wall's time */
    uint64_t working_ns;
    uint64_t passed_ns;
    uint64_t preempted_ns; /* of the work, when another process ran */
};

static void sleep_until(uint64_t ns)
{
    const struct timespec until = { .tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = (long)(ns % NS_PER_SEC) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

static uint64_t coarse_ns(void)
{
    struct timespec set = { 0 };
    clock_gettime(CLOCK_MONOTONIC_COARSE, &set);
    return (uint64_t)set.tv_sec * NS_PER_SEC + (uint64_t)set.tv_nsec;
}

/*
 * A time at which there was a tick: the coarse clock steps then. Who does not run at that moment sees it
 * late: only a step counts that was seen between two readings close to each other.
 */
static uint64_t some_tick_ns;

static bool find_tick(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        const uint64_t coarse = coarse_ns();
        uint64_t before;
        uint64_t now = work_wall_ns();
        do {
            before = now;
            now = work_wall_ns();
        } while (coarse_ns() == coarse);
        some_tick_ns = now;
        if (work_wall_ns() - before < 20000)
            return true;
    }
    return false;
}

static uint64_t last_tick_ns(void)
{
    const uint64_t now = work_wall_ns();
    return now - (now - some_tick_ns) % work_tick_ns();
}

/* Its first and its last instructions read the clock: what happens to the thread in between is within. */
TALLIED(between_ticks) static void between_ticks(struct truth *truth, uint64_t margin)
{
    const uint64_t start = work_wall_ns();
    const uint64_t until = last_tick_ns() + work_tick_ns() - margin;
    const uint64_t used = work_cpu_ns();
    while (work_wall_ns() < until)
        continue;
    truth->preempted_ns -= work_cpu_ns() - used;
    const uint64_t took = work_wall_ns() - start;
    truth->working_ns += took;
    truth->preempted_ns += took;
}

/* Turns that begin as far behind a tick as they end before the next one. */
static void work_between(void *arg)
{
    struct truth *truth = arg;
    const uint64_t tick = work_tick_ns();
    const uint64_t margin = (uint64_t)((1 - SHARE) / 2 * (double)tick);
    const uint64_t begin = work_wall_ns();
    while (work_wall_ns() < begin + truth->wanted_ns) {
        sleep_until(last_tick_ns() + tick + margin);
        between_ticks(truth, margin);
    }
    truth->passed_ns = work_wall_ns() - begin;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100 * (double)part / (double)whole : 0;
}

/*
 * What is judged are the weights: while others have the processor a signal stands for more than one interval.
 * In the short form five standard deviations are granted.
 */
static bool measure_wall(bool is_long, unsigned hz)
{
    const struct tally_range range = TALLY_RANGE(between_ticks);
    struct truth truth = { .wanted_ns = (is_long ? 15 : 2) * NS_PER_SEC };
    if (!tally_start(AW_PROFILE_WALL, hz))
        return false;
    work_between(&truth);
    struct aw_profile *profile = tally_stop();
    if (profile == NULL)
        return false;
    const uint64_t count = tally_count(profile, 0);
    const double seen = percent(tally_time_ns_within(profile, 0, &range), tally_time_ns(profile, 0));
    const double real = percent(truth.working_ns, truth.passed_ns);
    const double preempted = percent(truth.preempted_ns, truth.passed_ns);
    const double sigma = count > 0 ? 100 * sqrt(SHARE * (1 - SHARE) / (double)count) : 100;
    const double bar = is_long ? BAR : 5 * sigma;
    aw_profile_free(profile);
    return accuracy_say(
        fabs(seen - real) <= bar,
        "wall, %u Hz: the work has %.2f %% of the time (%.2f %% preempted), %.2f %% of the weight of %llu "
        "samples; %+.2f points (%.2f)",
        hz, real, preempted, seen, (unsigned long long)count, seen - real, bar);
}

static void tell_others(void)
{
    const struct tally_range range = TALLY_RANGE(between_ticks);
    struct truth truth = { .wanted_ns = 10 * NS_PER_SEC };
    struct gperftools_profile peer;
    if (tally_start(AW_PROFILE_CPU, 1000)) {
        work_between(&truth);
        struct aw_profile *profile = tally_stop();
        if (profile != NULL)
            accuracy_note("cpu, 1000 Hz: the work uses %.2f s; it is seen in %llu samples (%.0f are due)",
                          (double)truth.working_ns / 1e9,
                          (unsigned long long)tally_count_within(profile, 0, &range),
                          (double)truth.working_ns / (double)work_tick_ns());
        aw_profile_free(profile);
    }
    if (gperftools_run(1000, work_between, &truth, &range, 1, &peer))
        accuracy_note("gperftools, 1000 Hz: the same work is seen in %llu samples",
                      (unsigned long long)peer.within[0]);
}

int tick_run(bool is_long)
{
    if (!find_tick())
        accuracy_note("the tick was not found: the work does not keep step with it");
    bool is_met = measure_wall(is_long, 1000);
    /* One signal that is 200 ms late is a tenth of all weight, wherever it falls: that is not so twice. */
    if (!is_met && !is_long) {
        accuracy_note("once more");
        is_met = measure_wall(is_long, 1000);
    }
    if (is_long) {
        is_met = measure_wall(true, 250) && is_met;
        tell_others();
    }
    return is_met ? 0 : 1;
}
