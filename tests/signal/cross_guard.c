/* SPDX-License-Identifier: MIT */
/*
 * cross_guard.c: guards around plain system calls, and escapes, on another machine or another libc: built
 * statically by the cross compilers that are there, and run under an emulator. No Check, no thread; prints
 * what went wrong and exits with 1.
 */
#include <alarmwheel/alarmwheel.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guard/escape.h"
#include "guard/object.h"

static int failures;

#define EXPECT(condition)                                                            \
    do {                                                                             \
        if (!(condition)) {                                                          \
            printf("%s:%d: %s (errno %d)\n", __func__, __LINE__, #condition, errno); \
            ++failures;                                                              \
        }                                                                            \
    } while (0)

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int count(struct aw_timer timer, void *arg)
{
    (void)timer;
    ++*(unsigned *)arg;
    return 0;
}

static void guarded_reads(unsigned tries)
{
    struct aw_guard guard;
    int ends[2];
    char byte;
    EXPECT(pipe(ends) == 0);
    for (unsigned i = 0; i < tries; ++i) {
        uint64_t limit = AW_US(200 + i % 50 * 20);
        uint64_t start = clock_ns();
        EXPECT(aw_guard_enter(&guard, limit, AW_GUARD_DEFAULT) == 0);
        EXPECT(read(ends[0], &byte, 1) == -1 && errno == EINTR);
        EXPECT(clock_ns() - start >= limit);
        EXPECT(read(ends[0], &byte, 1) == -1 && errno == EINTR);
        EXPECT(aw_safepoint() == -ETIMEDOUT);
        EXPECT(aw_guard_leave(&guard) == -ETIMEDOUT);
    }
    close(ends[0]);
    close(ends[1]);
}

static void guarded_open(void)
{
    char dir[] = "/tmp/aw-cross-XXXXXX", path[64];
    struct aw_guard guard;
    int fd;
    EXPECT(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/fifo", dir);
    EXPECT(mkfifo(path, 0600) == 0);
    for (unsigned i = 0; i < 20; ++i) {
        fd = 0;
        AW_GUARD(&guard, AW_MS(2), AW_GUARD_DEFAULT) {
            fd = open(path, O_RDONLY);
        }
        AW_EXPIRED
        {
            EXPECT(fd == -1);
        }
        EXPECT(aw_guard_expired(&guard));
    }
    unlink(path);
    rmdir(dir);
}

static void guarded_wait(void)
{
    struct aw_guard guard;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    EXPECT(aw_guard_enter(&guard, AW_MS(5), AW_GUARD_DEFAULT) == 0);
    EXPECT(waitpid(pid, &status, 0) == -1 && errno == EINTR);
    EXPECT(aw_guard_leave(&guard) == -ETIMEDOUT);
    kill(pid, SIGKILL);
    EXPECT(waitpid(pid, &status, 0) == pid);
}

/* A result that comes in time, with the alarm ringing meanwhile; or later, and then it returns false. */
static bool rings_in_a_read(struct aw_timer timer, const unsigned *runs, const int ends[2])
{
    struct aw_guard guard;
    unsigned before = *runs;
    char byte;
    EXPECT(aw_timer_arm(timer, AW_MS(5)) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        poll(NULL, 0, 40);
        _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
    }
    EXPECT(aw_guard_enter(&guard, AW_SEC(60), AW_GUARD_DEFAULT) == 0);
    EXPECT(read(ends[0], &byte, 1) == 1);
    EXPECT(aw_guard_leave(&guard) == 0);
    EXPECT(aw_safepoint() == 0);
    bool has_rung = *runs == before + 1;
    EXPECT(waitpid(pid, NULL, 0) == pid);
    EXPECT(has_rung || aw_dispatch(0) == 1);
    return has_rung;
}

static void undisturbed_read(void)
{
    struct aw_timer timer;
    unsigned runs = 0, tries = 0;
    int ends[2];
    EXPECT(pipe(ends) == 0);
    EXPECT(aw_timer_create(&timer, count, &runs) == 0);
    while (!rings_in_a_read(timer, &runs, ends) && ++tries < 50)
        continue;
    EXPECT(tries < 50);
    runs = 0;
    EXPECT(aw_timer_arm_every(timer, AW_MS(2), AW_MS(2), AW_MISSED_SKIP) == 0);
    while (runs < 20)
        EXPECT(aw_wait(AW_SEC(60)) >= 1);
    EXPECT(aw_timer_delete(timer) == 0);
    close(ends[0]);
    close(ends[1]);
}

/* ---- escapes ---- */

#define SPIN_LIMIT AW_SEC(60)

static volatile uint64_t spun;

static void spin_a_while(void)
{
    for (unsigned i = 0; i < 1000; ++i)
        spun = spun + 1;
}

static int ask(void *arg)
{
    uint64_t limit = clock_ns() + SPIN_LIMIT;
    (void)arg;
    while (clock_ns() < limit) {
        spin_a_while();
        aw_safepoint();
    }
    return 0;
}

static int ask_nobody(void *arg)
{
    uint64_t limit = clock_ns() + SPIN_LIMIT;
    (void)arg;
    while (clock_ns() < limit)
        spin_a_while();
    return 0;
}

__attribute__((noinline)) static int deep_down(unsigned depth, int (*fn)(void *arg))
{
    volatile unsigned char bytes[256];
    bytes[0] = 0;
    return (depth != 0 ? deep_down(depth - 1, fn) : fn(NULL)) + bytes[0];
}

/* From the function with the guard itself, or from below; and by the function that the library calls. */
static void escape_from(int (*fn)(void *arg), volatile unsigned depth)
{
    struct aw_guard guard;
    volatile bool landed = false;
    volatile uint64_t start = clock_ns();
    AW_GUARD(&guard, AW_MS(1), AW_GUARD_ESCAPE) {
        if (depth == 0 && fn == ask) {
            while (clock_ns() < start + SPIN_LIMIT)
                aw_safepoint();
        } else {
            deep_down(depth, fn);
        }
    }
    AW_EXPIRED
    {
        EXPECT(clock_ns() >= start + AW_MS(1));
        landed = clock_ns() < start + SPIN_LIMIT;
    }
    EXPECT(landed);
    EXPECT(aw_guard_fired(&guard) == &guard);
    start = clock_ns();
    EXPECT(aw_guard_call(&guard, AW_MS(1), AW_GUARD_ESCAPE, fn, NULL) == -ETIMEDOUT);
    EXPECT(clock_ns() < start + SPIN_LIMIT);
    EXPECT(aw_guard_mark() == 0 && aw_safepoint() == 0);
}

/* A static program holds malloc, for which its handlers would not escape; here no loop comes near it. */
static void escapes(void)
{
    awi_escape_assume_dynamic = 0;
    for (unsigned i = 0; failures == 0 && i < 10; ++i)
        escape_from(ask, i % 4);
    awi_escape_assume_dynamic = 1;
    for (unsigned i = 0; failures == 0 && AWI_UNWINDS_IN_HANDLERS && i < 10; ++i)
        escape_from(ask_nobody, i % 4);
}

int main(void)
{
    for (unsigned variant = 0; variant < 4; ++variant) {
        struct aw_options options = AW_OPTIONS_DEFAULT;
        options.alarm = (variant & 1) != 0 ? AW_ALARM_POSIX : AW_ALARM_ITIMER;
        options.interrupt = (variant & 2) != 0 ? AW_INTERRUPT_RESTART : AW_INTERRUPT_STEP;
        int result = aw_init(&options);
        if (result < 0) {
            printf("variant %u: aw_init: %s\n", variant, strerror(-result));
            return EXIT_FAILURE;
        }
        guarded_reads(200);
        guarded_open();
        guarded_wait();
        undisturbed_read();
        escapes();
        struct aw_stats stats = { .size = sizeof stats };
        EXPECT(aw_stats_read(&stats) == 0);
        EXPECT(aw_shutdown() == 0);
        printf("variant %u: %llu guards expired, %llu signals\n", variant, (unsigned long long)stats.guards,
               (unsigned long long)stats.signals);
        fflush(stdout);
    }
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
