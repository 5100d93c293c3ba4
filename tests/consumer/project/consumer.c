/* SPDX-License-Identifier: MIT */
/*
 * consumer.c: a C program that uses alarmwheel as an installed library: a periodic timer, and a read that a
 * guard ends. It returns 0 if all went as promised, else the number of the step that did not.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

static int ticks;

static int tick(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(int *)arg;
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return AW_SEC(now.tv_sec) + (uint64_t)now.tv_nsec;
}

static int fail(int step, const char *what)
{
    fprintf(stderr, "step %d: %s\n", step, what);
    return step;
}

int main(void)
{
    if (strcmp(aw_version(), AW_VERSION_STRING) != 0)
        return fail(1, "header and library are of different versions");
    if (aw_init(NULL) != 0)
        return fail(2, "aw_init");

    struct aw_timer timer;
    if (aw_timer_create(&timer, tick, &ticks) != 0)
        return fail(3, "aw_timer_create");
    const uint64_t start = now_ns();
    if (aw_timer_arm_every(timer, AW_MS(5), AW_MS(5), AW_MISSED_SKIP) != 0)
        return fail(4, "aw_timer_arm_every");
    while (ticks < 4)
        if (aw_wait(AW_SEC(20)) <= 0)
            return fail(5, "aw_wait");
    if (now_ns() - start < AW_MS(20))
        return fail(6, "four periods of 5 ms passed in less than 20 ms");
    if (aw_timer_delete(timer) != 0 || aw_timer_disarm(timer) != -ENOENT)
        return fail(7, "aw_timer_delete");
    if (aw_safepoint() != 0)
        return fail(8, "aw_safepoint");

    int ends[2];
    if (pipe(ends) != 0)
        return fail(9, "pipe");
    struct aw_guard guard;
    volatile int expired = 0;
    volatile ssize_t got = 0;
    volatile int error = 0;
    const uint64_t entered = now_ns();
    AW_GUARD(&guard, AW_MS(20), AW_GUARD_DEFAULT) {
        char byte;
        got = read(ends[0], &byte, 1);
        error = errno;
    }
    AW_EXPIRED
    {
        expired = 1;
    }
    if (!expired || got != -1 || error != EINTR)
        return fail(10, "the guard did not end the read");
    if (now_ns() - entered < AW_MS(20))
        return fail(11, "the guard expired early");
    if (aw_guard_error(&guard) != 0)
        return fail(12, "aw_guard_error");
    close(ends[0]);
    close(ends[1]);

    if (aw_shutdown() != 0)
        return fail(13, "aw_shutdown");
    return 0;
}
