/* SPDX-License-Identifier: MIT */
/*
 * many_timeouts.c: a server's 100,000 connections, each with a timeout that starts anew whenever its peer is
 * heard. For two seconds peers talk at random, as fast as the program can go; 1,000 of them fall silent and
 * expire.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <alarmwheel/alarmwheel.h>

#define CONNECTIONS 100000u
#define SILENT 1000u /* the first so many connections are never heard again */
#define BATCH 64u    /* refreshes between two safe points */

static struct aw_timer timers[CONNECTIONS];

static double now_s(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        perror("clock_gettime");
        exit(EXIT_FAILURE);
    }
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* xorshift64: G. Marsaglia, 2003 */
static uint32_t random_below(uint32_t n)
{
    static uint64_t state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(((state >> 32) * n) >> 32);
}

/* A connection ends: its timer is deleted from its own callback. */
static int expire(struct aw_timer timer, void *arg)
{
    unsigned *expired = arg;

    ++*expired;
    return aw_timer_delete(timer);
}

static int open_connections(unsigned *expired)
{
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        /* A silent one has from half a second to one and a half left of its 30. */
        uint64_t left_ns = i < SILENT ? AW_MS(500) + random_below(1000000) * AW_US(1) : AW_SEC(30);
        int error = aw_timer_create(&timers[i], expire, expired);

        if (error == 0)
            error = aw_timer_arm(timers[i], left_ns);
        if (error != 0)
            return error;
    }
    return 0;
}

/* Peers talk until the guard expires. The count of refreshes, or a negative errno. */
static int64_t talk(void)
{
    struct aw_guard guard;
    int64_t refreshes = 0;
    int error = 0;

    AW_GUARD(&guard, AW_SEC(2), AW_GUARD_DEFAULT) {
        while ((error = aw_safepoint()) == 0) {
            for (unsigned i = 0; i < BATCH; i++) {
                error = aw_timer_again(timers[SILENT + random_below(CONNECTIONS - SILENT)]);
                if (error != 0)
                    return error;
            }
            refreshes += BATCH;
        }
    }
    if (aw_guard_error(&guard) != 0)
        return aw_guard_error(&guard);
    return error == -ETIMEDOUT ? refreshes : error;
}

int main(void)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    struct aw_stats stats = { .size = sizeof(stats) };
    unsigned expired = 0;
    int64_t refreshes = 0;
    double begin_s;
    double opened_s;
    double end_s;
    int error;

    options.capacity = CONNECTIONS;
    begin_s = now_s();
    error = aw_init(&options);
    if (error == 0)
        error = open_connections(&expired);
    opened_s = now_s();
    if (error == 0) {
        refreshes = talk();
        error = refreshes < 0 ? (int)refreshes : 0;
    }
    end_s = now_s();
    if (error == 0)
        error = aw_stats_read(&stats);
    if (error != 0) {
        fprintf(stderr, "many_timeouts: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }

    printf("%u connection timeouts, refreshed at random for 2 seconds:\n", CONNECTIONS);
    printf("  %.1f ms to create and arm them\n", (opened_s - begin_s) * 1e3);
    printf(
        "  %.1f million refreshes a second (%.0f ns each, the random choice and the safe points included)\n",
        (double)refreshes / (end_s - opened_s) / 1e6, (end_s - opened_s) / (double)refreshes * 1e9);
    printf("  %u expired of the %u that fell silent; the latest ran %.0f us after its deadline\n", expired,
           SILENT, (double)stats.worst_lateness_ns / 1e3);
    printf("  %" PRIu64 " signals received, %" PRIu64 " setitimer calls for %" PRId64 " refreshes\n",
           stats.signals, stats.programmed, refreshes);
    if (aw_shutdown() != 0 || fflush(stdout) != 0 || expired != SILENT)
        return EXIT_FAILURE;
    return EXIT_SUCCESS;
}
