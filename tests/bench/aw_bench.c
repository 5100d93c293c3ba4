/* SPDX-License-Identifier: MIT */
/*
 * aw_bench.c: alarmwheel's benchmark: the catalogue of benches, and the order of work. Each bench runs
 * alarmwheel and its peers in turns, in this one process, on the same operations; medians are reported, with
 * least and greatest.
 */
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "catalog.h"

#ifdef BENCH_GPERFTOOLS /* Its profiler says its version nowhere; the allocator of the same package does. */
#include <gperftools/tcmalloc.h>
#define BENCH_PROFILER ", " TC_VERSION_STRING
#else
#define BENCH_PROFILER ""
#endif

#ifdef __clang__
#define BENCH_COMPILER __VERSION__
#else
#define BENCH_COMPILER "gcc " __VERSION__
#endif

const struct bench_entry bench_catalog[] = {
    { "wheel.rearm",
      "re-arm one of n timers at random, 1 ms to 60 s ahead; the clock moves, what is due runs",
      bench_wheel },
    { "wheel.rearm_fixed", "the same while the clock stands still", bench_wheel },
    { "wheel.rearm_fixed.relinks", "the share of these re-arms that were more than one store",
      bench_relinks },
    { "wheel.refresh30s", "refresh one of n timers of 30 s at random; the clock moves, what is due runs",
      bench_wheel },
    { "wheel.cancel_burst",
      "arm n timers, cancel them all in another order; the clock moves; an arm and a cancel", bench_wheel },
    { "wheel.insert_expire", "arm n timers up to 60 s ahead, run them all in steps of 100 ms; each timer",
      bench_wheel },
    { "wheel.next",
      "what asking for the next deadline adds to an operation: the worst of four kinds of deadlines",
      bench_next },
    { "wheel.memory", "memory of one of n armed timers, everything included", bench_memory },
    { "timer.rearm",
      "the public aw_timer_arm, 10 to 20 min ahead, on the real clock, which it reads each time",
      bench_timer },
    { "timer.again", "the public aw_timer_again, a timeout of 10 min, on the real coarse clock",
      bench_timer },
    { "idle.signals",
      "signals received, on a simulated clock: 100,000 timers due in an hour, in the seconds before",
      bench_simulated },
    { "idle.signals.every", "signals for each expiry of a periodic timer, on a simulated clock",
      bench_simulated },
    { "guard.enter_leave", "enter and leave a guard", bench_calls },
    { "guard.coarse", "the same with the coarse clock", bench_calls },
    { "guard.escape", "enter and leave a guard with AW_GUARD_ESCAPE", bench_calls },
    { "guard.escape_nomask", "the same with AW_GUARD_NOMASK", bench_calls },
    { "guard.classic", "the classic guard: sigaction, alarm, sigsetjmp(env, 1), and undo", bench_calls },
    { "guard.cpu",
      "how late by that clock a guard of 100 ms of processor time fires, in work that spins, beside a thread",
      bench_burn },
    { "guard.cpu.sleep", "the same in work that sleeps", bench_burn },
    { "guard.cpu.tick", "the kernel's tick: it looks at processor time once in each", bench_burn },
    { "io.guarded", "aw_read of one byte that a pipe has ready", bench_calls },
    { "io.raw", "read(2) of the same", bench_calls },
    { "clock.monotonic", "one clock_gettime(CLOCK_MONOTONIC)", bench_calls },
    { "safepoint", "one aw_safepoint with nothing to do", bench_calls },
    { "latency", "how late a timer of 1 to 5 ms is noticed by a program that sleeps", bench_latency },
    { "latency.spin", "the same by a program that computes", bench_latency },
    { "syscalls", "setitimer calls for a million refreshes of a 30 s timer, 10,000 a second, simulated clock",
      bench_simulated },
    { "profile.handler.depth_1", "one run of the profiler's signal handler, on a stack of 1 frame below main",
      bench_profile },
    { "profile.handler.depth_10", "the same on a stack of 10 frames", bench_profile },
    { "profile.handler.depth_40", "the same on a stack of 40 frames", bench_profile },
    { "profile.handler_wall.depth_10",
      "the same on the wall's clock, where ours sets its timer to the next random interval", bench_profile },
    { "profile.overhead.wall_4000",
      "throughput lost at 4,000 Hz of wall time, depth 40, above an empty handler on such a timer",
      bench_profile },
    { "profile.overhead.rate", "samples a second in that experiment", bench_profile },
    { "profile.memory.start", "resident memory that the profiler's start adds", bench_profile },
    { "profile.memory.mapped", "address space that it adds", bench_profile },
    { "profile.memory.sampled", "resident memory after half a second of samples", bench_profile },
    { "profile.label_push_pop", "a label pushed and popped", bench_profile },
    { "profile.start_stop", "a start of the profiler and a stop, one thread", bench_profile },
};
const size_t bench_catalog_count = sizeof bench_catalog / sizeof *bench_catalog;

const struct bench_entry *bench_entry_of(const char *result)
{
    const struct bench_entry *found = NULL;
    for (size_t i = 0; i < bench_catalog_count; i++) {
        const size_t length = strlen(bench_catalog[i].name);
        if (strncmp(result, bench_catalog[i].name, length) == 0 &&
            (found == NULL || length > strlen(found->name)))
            found = &bench_catalog[i];
    }
    return found;
}

static void list(void)
{
    for (size_t i = 0; i < bench_catalog_count; i++)
        printf("%-26s %s\n", bench_catalog[i].name, bench_catalog[i].about);
}

/* Of 6.1.0-18-amd64 the 6.1: what follows names the build. */
static int version_length(const char *release)
{
    const size_t major = strspn(release, "0123456789");
    const size_t minor = release[major] == '.' ? strspn(release + major + 1, "0123456789") : 0;
    return (int)(minor != 0 ? major + 1 + minor : major);
}

/* Where the figures come from: the machine, and who took part. */
static void print_heading(FILE *out)
{
    char line[256] = "";
    char *model = line;
    struct utsname system;
    FILE *cpuinfo = fopen("/proc/cpuinfo", "r");
    while (cpuinfo != NULL && fgets(line, sizeof line, cpuinfo) != NULL)
        if (strncmp(line, "model name", 10) == 0)
            break;
    if (cpuinfo != NULL)
        fclose(cpuinfo);
    if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL) {
        model = strchr(line, ':') + 2;
        model[strcspn(model, "\n")] = '\0';
    } else {
        line[0] = '\0';
    }
    if (uname(&system) == 0)
        fprintf(out, "%s%s%ld processors, %s %.*s; %s\n", model, *model != '\0' ? ", " : "",
                sysconf(_SC_NPROCESSORS_ONLN), system.sysname, version_length(system.release), system.release,
                BENCH_COMPILER);
    const struct peer *peers[BENCH_PEERS_MAX];
    const unsigned count = bench_peers(&bench_ours_wheel, false, peers);
    for (unsigned i = 0; i < count; i++)
        fprintf(out, "%s%s%s%s", i == 0 ? "" : ", ", peers[i]->name, *peers[i]->version() != '\0' ? " " : "",
                peers[i]->version());
    fprintf(out, BENCH_PROFILER "; medians of up to %u runs; in brackets: times alarmwheel's\n",
            bench_options.runs);
}

static void measure(void)
{
    for (size_t i = 0; i < bench_catalog_count; i++) {
        bool ran = false;
        for (size_t j = 0; j < i && !ran; j++)
            ran = bench_catalog[j].run == bench_catalog[i].run && bench_needed(bench_catalog[j].name);
        if (!ran && bench_needed(bench_catalog[i].name))
            bench_catalog[i].run();
    }
}

int main(int argc, char **argv)
{
    if (!bench_parse(argc, argv))
        return 2;
    if (bench_options.list) {
        list();
        return 0;
    }
    if (bench_options.from == NULL)
        measure();
    else if (!bench_read_json(bench_options.from))
        return 2;
    if (bench_results_count == 0) {
        fputs("aw-bench: no result: see --list for what --filter can select\n", stderr);
        return 2;
    }
    if (bench_options.form != BENCH_JSON && bench_options.from == NULL)
        print_heading(stdout);
    if (bench_options.form != BENCH_JSON)
        bench_print_table(stdout, bench_options.form == BENCH_MARKDOWN);
    if (bench_options.plot != NULL && !bench_write_plot(bench_options.plot))
        return 2;
    /* With --json standard output has the lines and nothing else. */
    if (bench_options.bars && !bench_print_bars(bench_options.form == BENCH_JSON ? stderr : stdout))
        return 1;
    return 0;
}
