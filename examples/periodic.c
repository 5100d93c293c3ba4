/* SPDX-License-Identifier: MIT */
/*
 * periodic.c: three periodic jobs in a program that computes all the time. It counts primes for three
 * seconds; one aw_safepoint per candidate is all that the jobs need to run on time, and none of them drifts.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <alarmwheel/alarmwheel.h>

#define JOBS 3
#define RUN_NS AW_SEC(3)

/* A job measures itself against its schedule: run number n is due at begin + n * period. */
struct job {
    struct aw_timer timer;
    uint64_t period_ns;
    uint64_t begin_ns;
    uint64_t periods; /* runs and missed ones: where in its schedule it is */
    uint64_t runs;
    uint64_t overruns;
    uint64_t worst_late_ns;
    uint64_t least_late_ns[2]; /* in the first and in the second half of the time */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        perror("clock_gettime");
        exit(EXIT_FAILURE);
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A negative value from a callback comes out of the aw_safepoint that ran it. */
static int run_job(struct aw_timer timer, void *arg)
{
    struct job *job = arg;
    uint64_t scheduled_ns;
    uint64_t late_ns;
    uint64_t missed;
    int half;
    int error = aw_timer_overrun(timer, &missed);

    if (error != 0)
        return error;
    /* With AW_MISSED_SKIP this run is that of the first period missed; the others are skipped after it. */
    scheduled_ns = job->begin_ns + (job->periods + 1) * job->period_ns;
    late_ns = now_ns() - scheduled_ns;
    half = scheduled_ns - job->begin_ns > RUN_NS / 2;
    job->runs++;
    job->periods += 1 + missed;
    job->overruns += missed;
    if (late_ns > job->worst_late_ns)
        job->worst_late_ns = late_ns;
    if (late_ns < job->least_late_ns[half])
        job->least_late_ns[half] = late_ns;
    return 0;
}

static int stop(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    return -ECANCELED;
}

static int start_job(struct job *job)
{
    int error = aw_timer_create(&job->timer, run_job, job);

    if (error != 0)
        return error;
    job->least_late_ns[0] = job->least_late_ns[1] = UINT64_MAX;
    job->begin_ns = now_ns();
    return aw_timer_arm_every(job->timer, job->period_ns, job->period_ns, AW_MISSED_SKIP);
}

static bool is_prime(uint64_t n)
{
    if (n < 4 || n % 2 == 0)
        return n == 2 || n == 3;
    for (uint64_t d = 3; d * d <= n; d += 2)
        if (n % d == 0)
            return false;
    return true;
}

/* How late a run is varies; a schedule that drifts makes even the least late run later and later. */
static void report(const struct job *job)
{
    double drift_us = ((double)job->least_late_ns[1] - (double)job->least_late_ns[0]) / 1e3;

    printf("  %3.0f ms %6" PRIu64 " %+6.0f us %9.0f us %9" PRIu64 "\n", (double)job->period_ns / 1e6,
           job->runs, drift_us, (double)job->worst_late_ns / 1e3, job->overruns);
}

int main(void)
{
    struct job jobs[JOBS] = { { .period_ns = AW_MS(10) },
                              { .period_ns = AW_MS(25) },
                              { .period_ns = AW_MS(100) } };
    struct aw_stats stats = { .size = sizeof(stats) };
    struct aw_timer end;
    uint64_t primes = 0;
    uint64_t n = 0;
    int error = aw_init(NULL);

    for (int i = 0; error == 0 && i < JOBS; i++)
        error = start_job(&jobs[i]);
    if (error == 0)
        error = aw_timer_create(&end, stop, NULL);
    if (error == 0)
        error = aw_timer_arm(end, RUN_NS + AW_MS(5)); /* the runs that are due at 3 s included */
    if (error != 0) {
        fprintf(stderr, "periodic: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }

    puts("Three periodic jobs, while the program counts primes for 3 seconds:");
    while ((error = aw_safepoint()) == 0)
        primes += is_prime(n++);
    if (error != -ECANCELED || (error = aw_stats_read(&stats)) != 0) {
        fprintf(stderr, "periodic: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }

    puts("     job   runs     drift   worst late  overruns");
    for (int i = 0; i < JOBS; i++)
        report(&jobs[i]);
    printf("  %" PRIu64 " primes below %" PRIu64 "; %" PRIu64 " safe points, %" PRIu64 " signals, %" PRIu64
           " setitimer calls\n",
           primes, n, n + 1, stats.signals, stats.programmed);
    return aw_shutdown() == 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
