/* SPDX-License-Identifier: MIT */
/*
 * continuous_profile.c: a program that is profiled for as long as it runs. Every second a timer's callback
 * takes what was counted since the last time, and writes it to a file of its own; the counting goes on
 * meanwhile, and no sample is lost. It ends after three seconds.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>
#include <alarmwheel/profile.h>

#define SNAPSHOTS 3

struct series {
    unsigned taken;
    struct aw_profile_stats before; /* as of the last snapshot */
};

static int write_profile(const struct aw_profile *profile, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int error;

    if (fd < 0)
        return -errno;
    error = aw_profile_write(profile, fd, AW_PROFILE_PPROF);
    if (close(fd) != 0 && error == 0)
        error = -errno;
    return error;
}

/* Runs at a safe point, so it may allocate, write, and take its time. */
static int take_snapshot(struct aw_timer timer, void *arg)
{
    struct series *series = arg;
    struct aw_profile_stats now = { .size = sizeof(now) };
    struct aw_profile *profile;
    char path[64];
    int error = aw_profile_snapshot(&profile);

    (void)timer;
    if (error != 0)
        return error;
    (void)snprintf(path, sizeof(path), "continuous_profile.%u.pb.gz", series->taken + 1);
    error = write_profile(profile, path);
    aw_profile_free(profile);
    if (error == 0)
        error = aw_profile_stats_read(&now);
    if (error != 0)
        return error;
    printf("  %.2f s of processor time, %" PRIu64 " samples, %" PRIu64 " lost: %s\n",
           (double)(now.time_ns - series->before.time_ns) / 1e9, now.samples - series->before.samples,
           now.lost - series->before.lost, path);
    series->before = now;
    return ++series->taken < SNAPSHOTS ? 0 : -ECANCELED;
}

static bool is_prime(uint64_t n)
{
    for (uint64_t d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

static int start(struct series *series)
{
    const struct aw_profile_options options = { .size = sizeof(options), .clock = AW_PROFILE_CPU, .hz = 100 };
    struct aw_timer timer;
    int error = aw_init(NULL);

    if (error == 0)
        error = aw_timer_create(&timer, take_snapshot, series);
    if (error == 0)
        error = aw_timer_arm_every(timer, AW_SEC(1), AW_SEC(1), AW_MISSED_SKIP);
    if (error == 0)
        error = aw_profile_start(&options);
    return error;
}

int main(void)
{
    struct series series = { 0 };
    uint64_t primes = 0;
    uint64_t n = 0;
    int error = start(&series);

    if (error == 0)
        puts("A snapshot a second, while the program counts primes:");
    while (error == 0) {
        primes += is_prime(n++);
        error = aw_safepoint();
    }
    if (error == -ECANCELED)
        error = aw_profile_stop();
    if (error == 0)
        error = aw_shutdown();
    if (error != 0) {
        fprintf(stderr, "continuous_profile: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    printf("  %" PRIu64 " primes below %" PRIu64 "; look at one with: go tool pprof -top FILE\n", primes, n);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
