/* SPDX-License-Identifier: MIT */
/*
 * bias.c: the experiment of docs/sampling-bias.md. A thread works all the time: in between the kernel's ticks
 * in one function, around them in another. What share of its time does each clock say that the first takes?
 * The truth is read at every change, from the thread's own CPU clock for cpu, else from CLOCK_MONOTONIC.
 * Prints a line an experiment:
 *     CLOCK TRUE-PERCENT REPORTED-PERCENT SAMPLES
 * where CLOCK is cpu or wall, by aw_profile_start, or steady, a POSIX timer of 4 ms on CLOCK_MONOTONIC
 * without a profiler. Not a test: it is run by hand (bias SECONDS), and bias_plot.awk draws what it prints.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/profile.h>

#define NS_PER_SEC UINT64_C(1000000000)

static uint64_t tick_ns;
static volatile sig_atomic_t is_between;
static volatile unsigned long steady[2]; /* signals that met the program around the ticks, and between them */

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        abort();
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* The work. The two count for themselves, so that no compiler makes one function of them. */
static volatile unsigned long rounds_between, rounds_around;

static __attribute__((noinline)) void between_ticks(uint64_t until_ns)
{
    while (now_ns(CLOCK_MONOTONIC) < until_ns)
        ++rounds_between;
}

static __attribute__((noinline)) void around_ticks(uint64_t until_ns)
{
    while (now_ns(CLOCK_MONOTONIC) < until_ns)
        ++rounds_around;
}

static __attribute__((noinline)) uint64_t around_until_tick(void)
{
    uint64_t before = now_ns(CLOCK_MONOTONIC_COARSE);
    while (now_ns(CLOCK_MONOTONIC_COARSE) == before)
        continue;
    return now_ns(CLOCK_MONOTONIC);
}

/* The true share of the time between the ticks, on a clock. */
static double work(double share, uint64_t duration_ns, clockid_t clock)
{
    uint64_t end = now_ns(CLOCK_MONOTONIC) + duration_ns;
    uint64_t margin = (uint64_t)((1 - share) / 2 * (double)tick_ns);
    uint64_t begin = now_ns(clock);
    uint64_t between = 0;
    for (uint64_t tick; (tick = around_until_tick()) < end;) {
        around_ticks(tick + margin);
        uint64_t enter = now_ns(clock);
        is_between = 1;
        between_ticks(tick + tick_ns - margin);
        is_between = 0;
        between += now_ns(clock) - enter;
    }
    return (double)between / (double)(now_ns(clock) - begin);
}

static __attribute__((noreturn)) void fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(EXIT_FAILURE);
}

/* The share of stacks that contain `function`. */
static double reported(const char *function)
{
    int fd = memfd_create("folded", MFD_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r+") : NULL;
    if (file == NULL)
        fail("memfd_create", errno);
    int error = aw_profile_write(NULL, fd, AW_PROFILE_FOLDED);
    if (error != 0)
        fail("aw_profile_write", -error);
    rewind(file);
    double sums[2] = { 0 };
    char line[8192];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *value = strrchr(line, ' ');
        if (value != NULL)
            sums[strstr(line, function) != NULL] += strtod(value, NULL);
    }
    fclose(file);
    return sums[1] / (sums[0] + sums[1]);
}

static void measure(enum aw_profile_clock clock, double share, uint64_t duration_ns)
{
    const struct aw_profile_options options = { .size = sizeof options, .clock = clock, .hz = 1000 };
    struct aw_profile_stats stats = { .size = sizeof stats };
    int error = aw_profile_start(&options);
    if (error != 0)
        fail("aw_profile_start", -error);
    double truth =
        work(share, duration_ns, clock == AW_PROFILE_CPU ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
    error = aw_profile_stop();
    if (error == 0)
        error = aw_profile_stats_read(&stats);
    if (error != 0)
        fail("aw_profile_stop", -error);
    printf("%s %.2f %.2f %llu\n", clock == AW_PROFILE_CPU ? "cpu" : "wall", 100 * truth,
           100 * reported("between_ticks"), (unsigned long long)stats.samples);
}

static void count(int signo)
{
    (void)signo;
    ++steady[is_between];
}

/* The phase is the moment at which it starts, somewhere in a tick. */
static void measure_steady(double share, uint64_t duration_ns)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct sigaction action = { .sa_handler = count };
    struct itimerspec spec = { .it_interval = { 0, 4000000 }, .it_value = { 0, 4000000 } };
    timer_t timer;
    steady[0] = steady[1] = 0;
    between_ticks(now_ns(CLOCK_MONOTONIC) + (uint64_t)rand() % tick_ns);
    if (sigaction(SIGUSR1, &action, NULL) != 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &spec, NULL) != 0)
        fail("timer_create", errno);
    double truth = work(share, duration_ns, CLOCK_MONOTONIC);
    timer_delete(timer);
    double samples = (double)(steady[0] + steady[1]);
    printf("steady %.2f %.2f %.0f\n", 100 * truth, 100 * (double)steady[1] / samples, samples);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 4;
    uint64_t duration_ns = (uint64_t)(seconds * (double)NS_PER_SEC);
    struct timespec resolution;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0 || clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0)
        fail("sched_setaffinity", errno);
    tick_ns = (uint64_t)resolution.tv_nsec;
    srand((unsigned)time(NULL));
    printf("# ticks of %.1f ms, %.1f s each\n", (double)tick_ns / 1e6, seconds);
    for (unsigned percent = 10; percent < 95; percent += percent == 80 ? 4 : percent == 84 ? 6 : 10) {
        measure(AW_PROFILE_CPU, percent / 100.0, duration_ns);
        measure(AW_PROFILE_WALL, percent / 100.0, duration_ns);
        measure_steady(percent / 100.0, duration_ns / 2);
        if (fflush(stdout) != 0)
            fail("stdout", errno);
    }
    return EXIT_SUCCESS;
}
