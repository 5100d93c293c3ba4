/* SPDX-License-Identifier: MIT */
/*
 * shares.c: how samples divide: between two threads with equal work, and between three functions with
 * shares of 50:30:20 below ten frames. Not scaled, so that nothing but the instants of the samples is
 * judged: within two standard deviations of as many independent draws (in the short form five).
 */
#include <math.h>
#include <pthread.h>

#include "accuracy.h"
#include "gperftools.h"
#include "tally.h"
#include "work.h"

/* A call is no jump, and two functions are not made one. */
#define STAYS(name) __asm__ volatile("" ::"r"(#name) : "memory")

#define PARTS 3
#define DEPTH 10
#define HZ 1000

/*
 * Where other programs want the processors, too, ticks find one of these instead of the thread, and its
 * samples are fewer than are due; how many fewer differs by chance. Then there is nothing to judge, in the
 * short form.
 */
static double sigmas_for(bool is_long, uint64_t samples, uint64_t used_ns)
{
    const uint64_t period_ns = work_tick_ns() > 1000000000 / HZ ? work_tick_ns() : 1000000000 / HZ;
    const double due = (double)used_ns / (double)period_ns;
    if (is_long)
        return 2;
    if ((double)samples >= 0.9 * due)
        return 5;
    accuracy_note("%llu samples of %.0f that are due: the machine is busy, this is not judged",
                  (unsigned long long)samples, due);
    return 0;
}

/* --- Two threads ---------------------------------------------------------------------------------------- */

TALLY_DECLARE(first_half);
TALLY_DECLARE(second_half);

static uint64_t half_ns;

TALLIED(first_half) static void first_half(void)
{
    work_burn(half_ns);
    STAYS(first_half);
}

TALLIED(second_half) static void second_half(void)
{
    work_burn(half_ns);
    STAYS(second_half);
}

static void *be_half(void *half)
{
    /* Under gperftools, which finds threads by itself, it means nothing. */
    if (aw_profile_thread_register(NULL) < 0)
        accuracy_note("a thread was not registered");
    if (half == NULL)
        first_half();
    else
        second_half();
    return NULL;
}

static void work_in_halves(void *unused)
{
    static char second;
    pthread_t threads[2];
    (void)unused;
    if (pthread_create(&threads[0], NULL, be_half, NULL) != 0)
        return;
    if (pthread_create(&threads[1], NULL, be_half, &second) == 0)
        pthread_join(threads[1], NULL);
    pthread_join(threads[0], NULL);
}

/* Prints it; 0 sigmas: that is all. */
static bool say_halves(const char *who, uint64_t first, uint64_t second, double sigmas)
{
    const double sum = (double)(first + second);
    const double off = sum > 0 ? ((double)first - sum / 2) / (sqrt(sum) / 2) : 99;
    static const char format[] = "%s: two threads with equal work: %llu : %llu samples, %+.2f sigma (%g)";
    const unsigned long long left = first;
    const unsigned long long right = second;
    if (sigmas > 0)
        return accuracy_say(fabs(off) <= sigmas, format, who, left, right, off, sigmas);
    accuracy_note(format, who, left, right, off, sigmas);
    return true;
}

static bool measure_halves(bool is_long)
{
    const struct tally_range ranges[2] = { TALLY_RANGE(first_half), TALLY_RANGE(second_half) };
    half_ns = is_long ? UINT64_C(6000000000) : 600000000;
    if (!tally_start(AW_PROFILE_CPU, HZ))
        return false;
    work_in_halves(NULL);
    struct aw_profile *profile = tally_stop();
    if (profile == NULL)
        return false;
    const uint64_t first = tally_count_within(profile, 0, &ranges[0]);
    const uint64_t second = tally_count_within(profile, 0, &ranges[1]);
    aw_profile_free(profile);
    const bool is_met =
        say_halves("alarmwheel", first, second, sigmas_for(is_long, first + second, 2 * half_ns));
    struct gperftools_profile peer;
    if (is_long && gperftools_run(HZ, work_in_halves, NULL, ranges, 2, &peer))
        say_halves("gperftools", peer.within[0], peer.within[1], 0);
    return is_met;
}

/* --- Three functions ------------------------------------------------------------------------------------ */

TALLY_DECLARE(part_a);
TALLY_DECLARE(part_b);
TALLY_DECLARE(part_c);

TALLIED(part_a) static void part_a(uint64_t ns)
{
    work_burn(ns);
    STAYS(part_a);
}

TALLIED(part_b) static void part_b(uint64_t ns)
{
    work_burn(ns);
    STAYS(part_b);
}

TALLIED(part_c) static void part_c(uint64_t ns)
{
    work_burn(ns);
    STAYS(part_c);
}

static const struct {
    void (*run)(uint64_t ns);
    double share;
} parts[PARTS] = { { part_a, 0.5 }, { part_b, 0.3 }, { part_c, 0.2 } };

__attribute__((noinline)) static void descend(unsigned depth, unsigned part, uint64_t ns)
{
    if (depth > 1)
        descend(depth - 1, part, ns);
    else
        parts[part].run(ns);
    STAYS(descend);
}

struct split {
    uint64_t wanted_ns;
    uint64_t seed;
    uint64_t used_ns[PARTS];
};

/*
 * Pieces of random length, 1 to 9 ms, of the part that lags most: no piece keeps step with the kernel's
 * tick.
 */
static void work_in_parts(void *arg)
{
    struct split *split = arg;
    for (uint64_t sum = 0; sum < split->wanted_ns;) {
        unsigned next = 0;
        double lag = -1e30;
        for (unsigned i = 0; i < PARTS; i++) {
            const double its = parts[i].share * (double)sum - (double)split->used_ns[i];
            if (its > lag)
                next = i;
            lag = its > lag ? its : lag;
        }
        const uint64_t start = work_cpu_ns();
        descend(DEPTH, next, 1000000 + work_random(&split->seed) % 8000000);
        const uint64_t used = work_cpu_ns() - start;
        split->used_ns[next] += used;
        sum += used;
    }
}

static bool say_parts(const char *who, const uint64_t within[PARTS], const struct split *split, double sigmas)
{
    const double samples = (double)(within[0] + within[1] + within[2]);
    const double used = (double)(split->used_ns[0] + split->used_ns[1] + split->used_ns[2]);
    bool is_met = true;
    for (unsigned i = 0; i < PARTS; i++) {
        static const char format[] =
            "%s: part %c: %.2f %% of the work, %.2f %% of %.0f samples, %+.2f sigma (%g)";
        const char letter = (char)('a' + i);
        const double share = (double)split->used_ns[i] / used;
        const double seen = samples > 0 ? (double)within[i] / samples : 0;
        const double off = samples > 0 ? (seen - share) / sqrt(share * (1 - share) / samples) : 99;
        if (sigmas > 0)
            is_met = accuracy_say(fabs(off) <= sigmas, format, who, letter, 100 * share, 100 * seen, samples,
                                  off, sigmas) &&
                     is_met;
        else
            accuracy_note(format, who, letter, 100 * share, 100 * seen, samples, off, sigmas);
    }
    return is_met;
}

static bool measure_parts(bool is_long)
{
    const struct tally_range ranges[PARTS] = { TALLY_RANGE(part_a), TALLY_RANGE(part_b),
                                               TALLY_RANGE(part_c) };
    struct split split = { .wanted_ns = is_long ? UINT64_C(15000000000) : 1500000000,
                           .seed = work_wall_ns() };
    uint64_t within[PARTS];
    if (!tally_start(AW_PROFILE_CPU, HZ))
        return false;
    work_in_parts(&split);
    struct aw_profile *profile = tally_stop();
    if (profile == NULL)
        return false;
    for (unsigned i = 0; i < PARTS; i++)
        within[i] = tally_count_within(profile, 0, &ranges[i]);
    aw_profile_free(profile);
    const double sigmas = sigmas_for(is_long, within[0] + within[1] + within[2], split.wanted_ns);
    const bool is_met = say_parts("alarmwheel", within, &split, sigmas);
    struct gperftools_profile peer;
    struct split same = { .wanted_ns = split.wanted_ns, .seed = split.seed };
    /* What the child uses is not seen here: it is as much, but for the pieces' last readings of the clock. */
    if (is_long && gperftools_run(HZ, work_in_parts, &same, ranges, PARTS, &peer))
        say_parts("gperftools", peer.within, &split, 0);
    return is_met;
}

int shares_run(bool is_long)
{
    const bool are_halves_met = measure_halves(is_long);
    return measure_parts(is_long) && are_halves_met ? 0 : 1;
}
