/* SPDX-License-Identifier: MIT */
/*
 * profiled.c: aw-bench-profiled, the program whose profiling is measured: one profiler and one experiment a
 * process, started by bench_profile.c. Standard output has one line a figure: its name, and its value.
 *
 *   aw-bench-profiled PEER handler DEPTH        ns that one run of its signal handler takes, processor clock
 *   aw-bench-profiled PEER handler_wall DEPTH   the same with the wall's clock
 *   aw-bench-profiled PEER overhead             percent of throughput, at 4,000 Hz of wall time, depth 40
 *   aw-bench-profiled PEER memory               bytes that its start adds
 *   aw-bench-profiled PEER calls                ns of a label, of a start and a stop
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "profile_peer.h"

#define RUNS 101u
#define WALL_HZ 10000u
#define BATCH 64u
#define OVERHEAD_HZ 4000
#define OVERHEAD_DEPTH 40
#define PAIRS 11
#define SLICE_NS 100000000.0

static const struct profile_peer *peer;

/* No inlining, no cloning, no tail call: a stack is as deep as it is said to be. */
#if defined(__GNUC__) && !defined(__clang__)
#define ALONE __attribute__((noipa))
#else
#define ALONE __attribute__((noinline))
#endif
#define STAYS() __asm__ volatile("" ::: "memory")

static void print(const char *name, double value)
{
    printf("%s %.9g\n", name, value);
}

static bool fail(const char *why)
{
    fprintf(stderr, "aw-bench-profiled: %s\n", why);
    return false;
}

static bool install(int signo, void (*handler)(int, siginfo_t *, void *), struct sigaction *old)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    return sigaction(signo, &action, old) == 0;
}

/* --- The handler ---------------------------------------------------------------------------------------- */

/*
 * The profiler's handler is called from another signal's handler, with that one's context and the siginfo of
 * one of the profiler's own signals: what is timed is the handler, and not the kernel's way to it.
 */
static struct sigaction found;
static int its_signo;
static siginfo_t its_info;
static volatile sig_atomic_t is_caught;
static volatile sig_atomic_t is_measured;
static struct bench_series runs;
static bool is_wall;

static void catch_info(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    its_info = *info;
    is_caught = 1;
}

static void run_its_handler(void *context)
{
    found.sa_sigaction(its_signo, &its_info, context);
}

static double time_batch(void *context)
{
    const uint64_t start = bench_wall_ns();
    for (unsigned i = 0; i < BATCH; i++)
        run_its_handler(context);
    return (double)(bench_wall_ns() - start) / BATCH;
}

/*
 * On the wall's clock a signal that comes before its time is not a sample: one run each 1.5 periods and
 * more.
 */
static double time_one(void *context)
{
    for (const uint64_t due = bench_wall_ns() + 2000000000 / WALL_HZ; bench_wall_ns() < due;)
        continue;
    const uint64_t before = bench_wall_ns();
    const uint64_t start = bench_wall_ns();
    run_its_handler(context);
    const uint64_t stop = bench_wall_ns();
    return (double)(stop - start) - (double)(start - before); /* less one reading of the clock */
}

static void measure(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    for (unsigned i = 0; i < RUNS + 1; i++) {
        const double took = is_wall ? time_one(context) : time_batch(context);
        if (i > 0)
            bench_sample(&runs, took);
    }
    is_measured = 1;
}

static inline __attribute__((always_inline)) void spin(void)
{
    while (!is_measured)
        STAYS();
}

ALONE static void dive(unsigned depth)
{
    if (depth > 1)
        dive(depth - 1);
    else
        spin();
    STAYS();
}

/* Its handler, and the siginfo of one of its signals, which stays blocked from then on. */
static bool catch_one(void)
{
    sigset_t its_signal;
    sigemptyset(&its_signal);
    sigaddset(&its_signal, its_signo);
    if (sigaction(its_signo, NULL, &found) != 0 || (found.sa_flags & SA_SIGINFO) == 0)
        return fail("the profiler has installed no handler");
    if (!install(its_signo, catch_info, NULL))
        return fail("sigaction");
    while (!is_caught)
        STAYS();
    return sigprocmask(SIG_BLOCK, &its_signal, NULL) == 0 && sigaction(its_signo, &found, NULL) == 0;
}

/* A timer whose signal goes to this process. */
static bool begin_timer(int signo, long value_ns, long interval_ns, timer_t *timer)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signo;
    const struct itimerspec spec = { .it_value.tv_nsec = value_ns, .it_interval.tv_nsec = interval_ns };
    return timer_create(CLOCK_MONOTONIC, &event, timer) == 0 && timer_settime(*timer, 0, &spec, NULL) == 0;
}

/* This function is the first frame below main. */
ALONE static bool run_handler(unsigned depth)
{
    timer_t timer;
    if (!peer->start() || !catch_one())
        return fail("the profiler does not start");
    const uint64_t before = peer->samples();
    if (!install(SIGUSR1, measure, NULL) || !begin_timer(SIGUSR1, 1000000, 0, &timer))
        return fail("no timer");
    if (depth > 1)
        dive(depth - 1);
    else
        spin();
    if (peer->samples() - before < (is_wall ? 1u : BATCH) * (RUNS + 1u))
        return fail("not all samples were counted");
    peer->stop();
    print("ns", bench_median(&runs));
    return true;
}

/* --- The overhead --------------------------------------------------------------------------------------- */

static uint32_t table[4096];
static volatile uint32_t sink;

ALONE static void work(uint32_t rounds)
{
    uint32_t x = 2463534242u;
    for (uint32_t i = 0; i < rounds; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        table[x % 4096] += x;
    }
    sink = x;
}

ALONE static void work_below(unsigned depth, uint32_t rounds)
{
    if (depth > 1)
        work_below(depth - 1, rounds);
    else
        work(rounds);
    STAYS();
}

/* Processor time of so much work. This function is a frame, and so are its two callers and `work`. */
ALONE static double work_ns(uint32_t rounds)
{
    const uint64_t start = bench_cpu_ns();
    work_below(OVERHEAD_DEPTH - 4, rounds);
    return (double)(bench_cpu_ns() - start);
}

static volatile sig_atomic_t empty_runs;

static void do_nothing(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    (void)context;
    empty_runs++;
}

ALONE static bool work_beside_empty(uint32_t rounds, double *took)
{
    timer_t timer;
    struct sigaction old;
    const long period_ns = 1000000000 / OVERHEAD_HZ;
    if (!install(its_signo, do_nothing, &old) || !begin_timer(its_signo, period_ns, period_ns, &timer))
        return fail("no timer");
    *took = work_ns(rounds);
    timer_delete(timer);
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigaction(its_signo, &ignore, NULL);
    return sigaction(its_signo, &old, NULL) == 0;
}

ALONE static bool work_beside_profiler(uint32_t rounds, double *took, double *hz)
{
    if (!peer->start())
        return fail("the profiler does not start");
    const uint64_t start = bench_wall_ns();
    *took = work_ns(rounds);
    const uint64_t passed = bench_wall_ns() - start;
    *hz = (double)peer->samples() * 1e9 / (double)passed;
    peer->stop();
    return true;
}

ALONE static bool run_overhead(unsigned unused)
{
    (void)unused;
    const uint32_t trial = 10000000;
    const uint32_t rounds = (uint32_t)(SLICE_NS / (work_ns(trial) / trial));
    struct bench_series lost = { .count = 0 };
    struct bench_series rate = { .count = 0 };
    for (unsigned i = 0; i < PAIRS + 1; i++) {
        double empty = 0;
        double profiled = 0;
        double hz = 0;
        if (!work_beside_empty(rounds, &empty) || !work_beside_profiler(rounds, &profiled, &hz))
            return false;
        if (i == 0)
            continue;
        bench_sample(&lost, 100 * (1 - empty / profiled));
        bench_sample(&rate, hz);
    }
    print("percent", bench_median(&lost));
    print("rate", bench_median(&rate));
    return true;
}

/* --- Memory --------------------------------------------------------------------------------------------- */

struct memory {
    double resident;
    double mapped;
};

static size_t read_file(const char *path, char *text, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

static bool read_memory(struct memory *memory)
{
    char text[4096];
    read_file("/proc/self/smaps_rollup", text, sizeof text);
    const char *resident = strstr(text, "\nRss:");
    if (resident == NULL)
        return fail("/proc/self/smaps_rollup says nothing");
    memory->resident = strtod(resident + 5, NULL) * 1024;
    read_file("/proc/self/statm", text, sizeof text);
    memory->mapped = strtod(text, NULL) * (double)sysconf(_SC_PAGESIZE);
    return true;
}

ALONE static bool run_memory(unsigned unused)
{
    (void)unused;
    struct memory before;
    struct memory started;
    struct memory sampled;
    /* The first reading may map something itself. */
    if (!read_memory(&started) || !read_memory(&before))
        return false;
    if (!peer->start())
        return fail("the profiler does not start");
    if (!read_memory(&started))
        return false;
    for (const uint64_t end = bench_cpu_ns() + 500000000; bench_cpu_ns() < end;)
        work_below(OVERHEAD_DEPTH, 100000);
    if (!read_memory(&sampled))
        return false;
    peer->stop();
    print("resident", started.resident - before.resident);
    print("mapped", started.mapped - before.mapped);
    print("sampled", sampled.resident - before.resident);
    return true;
}

/* --- Calls ---------------------------------------------------------------------------------------------- */

ALONE static bool run_calls(unsigned unused)
{
    (void)unused;
    const uint32_t labels = 1000000;
    const uint32_t cycles = 200;
    if (!peer->start())
        return fail("the profiler does not start");
    peer->stop();
    if (peer->push_pop != NULL) {
        peer->push_pop(labels / 16);
        const uint64_t start = bench_cpu_ns();
        peer->push_pop(labels);
        print("push_pop", (double)(bench_cpu_ns() - start) / labels);
    }
    const uint64_t start = bench_cpu_ns();
    for (uint32_t i = 0; i < cycles; i++) {
        if (!peer->start())
            return fail("the profiler does not start again");
        peer->stop();
    }
    print("start_stop", (double)(bench_cpu_ns() - start) / cycles);
    return true;
}

static const struct {
    const char *name;
    bool (*run)(unsigned depth);
    bool is_wall;
    unsigned hz;
} experiments[] = {
    { "handler", run_handler, false, 100 },
    { "handler_wall", run_handler, true, WALL_HZ },
    { "overhead", run_overhead, true, OVERHEAD_HZ },
    { "memory", run_memory, false, 1000 },
    { "calls", run_calls, false, 100 },
};

static bool load_peer(const char *name, unsigned hz)
{
    char text[16];
    snprintf(text, sizeof text, "%u", hz);
    setenv(PROFILE_HZ_VARIABLE, text, 1);
    if (is_wall)
        setenv(PROFILE_WALL_VARIABLE, "1", 1);
    peer = bench_module(name, PROFILE_PEER_SYMBOL);
    if (peer == NULL)
        return false;
    peer->choose(is_wall, hz);
    its_signo = is_wall ? peer->signo_wall : peer->signo;
    return true;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc >= 3 && i < sizeof experiments / sizeof *experiments; i++) {
        if (strcmp(argv[2], experiments[i].name) != 0)
            continue;
        is_wall = experiments[i].is_wall;
        if (!load_peer(argv[1], experiments[i].hz))
            return 3;
        return experiments[i].run(argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1) ? 0 : 1;
    }
    fputs("usage: aw-bench-profiled PEER handler DEPTH | handler_wall DEPTH | overhead | memory | calls\n",
          stderr);
    return 2;
}
