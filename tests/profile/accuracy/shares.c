/* SPDX-License-Identifier: MIT */
/*
 * shares.c: how samples divide: between two threads with equal work, and between three functions with
 * shares of 50:30:20 below ten frames. Not scaled, so that nothing but the instants of the samples is
 * judged: within two standard deviations of as many independent draws.
 *
 * That holds on a quiet machine, and in the long form. Beside other programs one thread has the processor
 * when there is a tick, and another in between, and of equal work one is seen five times as often: the short
 * form judges only that what the ticks find is sampled, all of it and at its place.
 */
#include <math.h>
#include <pthread.h>

#include "accuracy.h"
#include "gperftools.h"
#include "tally.h"
#include "witness.h"
#include "work.h"

/* A call is no jump, and two functions are not made one. */
#define STAYS(name) __asm__ volatile("" ::"r"(#name) : "memory")

#define PARTS 3
#define DEPTH 10
#define HZ 10000 /* both timers, the witness's too, are due in any tick */
#define PEER_HZ 1000
#define SIGMAS 2

/* --- A thread with a witness ---------------------------------------------------------------------------- */

struct worker {
    void (*work)(struct worker *self);
    struct witness witness;
    bool is_peers; /* gperftools is not measured with one */
};

static void *be_worker(void *arg)
{
    struct worker *worker = arg;
    /* Under gperftools, which finds threads by itself, it means nothing. */
    if (aw_profile_thread_register(NULL) < 0)
        accuracy_note("a thread was not registered");
    const bool has_witness = !worker->is_peers && witness_start(&worker->witness, HZ);
    worker->work(worker);
    if (has_witness)
        witness_stop(&worker->witness);
    return NULL;
}

static void run_workers(struct worker *workers, unsigned count)
{
    pthread_t threads[2];
    unsigned made = 0;
    while (made < count && pthread_create(&threads[made], NULL, be_worker, &workers[made]) == 0)
        made++;
    while (made > 0)
        pthread_join(threads[--made], NULL);
}

/* --- Two threads ---------------------------------------------------------------------------------------- */

TALLY_DECLARE(first_half);
TALLY_DECLARE(second_half);

static uint64_t half_ns;

TALLIED(first_half) static void first_half(struct worker *self)
{
    (void)self;
    work_burn(half_ns);
    STAYS(first_half);
}

TALLIED(second_half) static void second_half(struct worker *self)
{
    (void)self;
    work_burn(half_ns);
    STAYS(second_half);
}

static struct worker halves[2] = { { .work = first_half }, { .work = second_half } };

static void work_in_halves(void *unused)
{
    (void)unused;
    run_workers(halves, 2);
}

/* Prints it; whether it is within the bar is judged only of who must be. */
static bool say_halves(const char *who, bool is_judged, uint64_t first, uint64_t second)
{
    const double sum = (double)(first + second);
    const double off = sum > 0 ? ((double)first - sum / 2) / (sqrt(sum) / 2) : 99;
    static const char format[] = "%s: two threads with equal work: %llu : %llu samples, %+.2f sigma (%d)";
    const unsigned long long left = first;
    const unsigned long long right = second;
    if (is_judged)
        return accuracy_say(fabs(off) <= SIGMAS, format, who, left, right, off, SIGMAS);
    accuracy_note(format, who, left, right, off, SIGMAS);
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
    bool is_met = witness_confirms(&halves[0].witness, 0, "the first of two threads", first);
    is_met = witness_confirms(&halves[1].witness, 0, "the second", second) && is_met;
    is_met = say_halves("alarmwheel", is_long, first, second) && is_met;
    struct gperftools_profile peer;
    halves[0].is_peers = halves[1].is_peers = true;
    if (is_long && gperftools_run(PEER_HZ, work_in_halves, NULL, ranges, 2, &peer))
        say_halves("gperftools", false, peer.within[0], peer.within[1]);
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
    struct worker worker; /* its witness's places: the parts from 1 on */
    uint64_t wanted_ns;
    uint64_t seed;
    uint64_t used_ns[PARTS];
};

/*
 * Pieces of random length, 1 to 9 ms, of the part that lags most: no piece keeps step with the kernel's
 * tick.
 */
static void divide_work(struct worker *self)
{
    struct split *split = (struct split *)self;
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
        self->witness.place = (int)next + 1;
        descend(DEPTH, next, 1000000 + work_random(&split->seed) % 8000000);
        self->witness.place = 0;
        const uint64_t used = work_cpu_ns() - start;
        split->used_ns[next] += used;
        sum += used;
    }
}

static void work_in_parts(void *split)
{
    run_workers(&((struct split *)split)->worker, 1);
}

static bool say_parts(const char *who, const uint64_t within[PARTS], const struct split *split,
                      bool is_judged)
{
    const double samples = (double)(within[0] + within[1] + within[2]);
    const double used = (double)(split->used_ns[0] + split->used_ns[1] + split->used_ns[2]);
    bool is_met = true;
    for (unsigned i = 0; i < PARTS; i++) {
        static const char format[] =
            "%s: part %c: %.2f %% of the work, %.2f %% of %.0f samples, %+.2f sigma (%d)";
        const char letter = (char)('a' + i);
        const double share = (double)split->used_ns[i] / used;
        const double seen = samples > 0 ? (double)within[i] / samples : 0;
        const double off = samples > 0 ? (seen - share) / sqrt(share * (1 - share) / samples) : 99;
        if (is_judged)
            is_met = accuracy_say(fabs(off) <= SIGMAS, format, who, letter, 100 * share, 100 * seen, samples,
                                  off, SIGMAS) &&
                     is_met;
        else
            accuracy_note(format, who, letter, 100 * share, 100 * seen, samples, off, SIGMAS);
    }
    return is_met;
}

static bool measure_parts(bool is_long)
{
    const struct tally_range ranges[PARTS] = { TALLY_RANGE(part_a), TALLY_RANGE(part_b),
                                               TALLY_RANGE(part_c) };
    struct split split = { .worker = { .work = divide_work },
                           .wanted_ns = is_long ? UINT64_C(15000000000) : 1500000000,
                           .seed = work_wall_ns() };
    uint64_t within[PARTS];
    if (!tally_start(AW_PROFILE_CPU, HZ))
        return false;
    work_in_parts(&split);
    struct aw_profile *profile = tally_stop();
    if (profile == NULL)
        return false;
    bool is_met = true;
    for (unsigned i = 0; i < PARTS; i++) {
        static const char *const names[PARTS] = { "part a", "part b", "part c" };
        within[i] = tally_count_within(profile, 0, &ranges[i]);
        is_met = witness_confirms(&split.worker.witness, i + 1, names[i], within[i]) && is_met;
    }
    aw_profile_free(profile);
    is_met = say_parts("alarmwheel", within, &split, is_long) && is_met;
    struct gperftools_profile peer;
    struct split same = { .worker = { .work = divide_work, .is_peers = true },
                          .wanted_ns = split.wanted_ns,
                          .seed = split.seed };
    /* What the child uses is not seen here: it is as much, but for the pieces' last readings of the clock. */
    if (is_long && gperftools_run(PEER_HZ, work_in_parts, &same, ranges, PARTS, &peer))
        say_parts("gperftools", peer.within, &split, false);
    return is_met;
}

int shares_run(bool is_long)
{
    const bool are_halves_met = measure_halves(is_long);
    return measure_parts(is_long) && are_halves_met ? 0 : 1;
}
