/* SPDX-License-Identifier: MIT */
/*
 * bench_profile.c: what profiling costs, ours and gperftools' in turns. Each figure comes from a process of
 * its own, aw-bench-profiled (profiled.c), that is started here and read.
 */
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static const struct profiler {
    const char *impl;
    const char *module;
} profilers[] = { { "alarmwheel", "profile" }, { "gperftools", "gperftools" } };
#define PROFILERS (sizeof profilers / sizeof *profilers)

static const struct experiment {
    const char *bench;
    const char *name; /* of the experiment, and of its figure */
    const char *depth;
    const char *figure;
    const char *unit;
} experiments[] = {
    { "profile.handler.depth_1", "handler", "1", "ns", "ns" },
    { "profile.handler.depth_10", "handler", "10", "ns", "ns" },
    { "profile.handler.depth_40", "handler", "40", "ns", "ns" },
    { "profile.handler_wall.depth_10", "handler_wall", "10", "ns", "ns" },
    { "profile.overhead.wall_4000", "overhead", "", "percent", "percent" },
    { "profile.overhead.rate", "overhead", "", "rate", "count" },
    { "profile.memory.start", "memory", "", "resident", "bytes" },
    { "profile.memory.mapped", "memory", "", "mapped", "bytes" },
    { "profile.memory.sampled", "memory", "", "sampled", "bytes" },
    { "profile.label_push_pop", "calls", "", "push_pop", "ns" },
    { "profile.start_stop", "calls", "", "start_stop", "ns" },
};
#define EXPERIMENTS (sizeof experiments / sizeof *experiments)

static struct bench_series results[PROFILERS][EXPERIMENTS];
static bool is_absent[PROFILERS];

/* aw-bench-profiled lies beside aw-bench. */
static const char *program(void)
{
    static char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return NULL;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    const size_t room = sizeof path - (size_t)(slash + 1 - path);
    return (size_t)snprintf(slash + 1, room, "aw-bench-profiled") < room ? path : NULL;
}

static bool start_program(const char *const *arguments, int *output, pid_t *pid)
{
    int ends[2];
    const char *path = program();
    posix_spawn_file_actions_t actions;
    if (path == NULL || pipe(ends) != 0)
        return false;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    const int error = posix_spawn(pid, path, &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *output = ends[0];
    if (error != 0)
        close(ends[0]);
    return error == 0;
}

/* The figures of one experiment go to the series that they belong to. */
static void read_figures(const struct experiment *asked, struct bench_series *series, FILE *lines)
{
    char name[32];
    double value;
    while (fscanf(lines, "%31s %lf", name, &value) == 2)
        for (size_t i = 0; i < EXPERIMENTS; i++)
            if (strcmp(experiments[i].name, asked->name) == 0 &&
                strcmp(experiments[i].depth, asked->depth) == 0 && strcmp(experiments[i].figure, name) == 0)
                bench_sample(&series[i], value);
}

static void measure(size_t profiler, const struct experiment *experiment)
{
    const char *arguments[] = { "aw-bench-profiled", profilers[profiler].module, experiment->name,
                                *experiment->depth != '\0' ? experiment->depth : NULL, NULL };
    int output;
    int status = 0;
    pid_t pid;
    if (!start_program(arguments, &output, &pid)) {
        fprintf(stderr, "aw-bench: aw-bench-profiled: %s\n", strerror(errno));
        return;
    }
    FILE *lines = fdopen(output, "r");
    if (lines != NULL) {
        read_figures(experiment, results[profiler], lines);
        fclose(lines);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    is_absent[profiler] = WIFEXITED(status) && WEXITSTATUS(status) == 3;
    if (status != 0 && !is_absent[profiler])
        fprintf(stderr, "aw-bench: %s of %s failed, status %d\n", experiment->bench, profilers[profiler].impl,
                status);
}

/* Is an earlier entry of the table the same experiment? Then it has run. */
static bool has_run(size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(experiments[i].name, experiments[index].name) == 0 &&
            strcmp(experiments[i].depth, experiments[index].depth) == 0 && bench_wanted(experiments[i].bench))
            return true;
    return false;
}

void bench_profile(void)
{
    for (unsigned run = 0; run < bench_options.runs; run++)
        for (size_t i = 0; i < EXPERIMENTS; i++)
            for (size_t j = 0; j < PROFILERS; j++)
                if (bench_wanted(experiments[i].bench) && !has_run(i) && !is_absent[j])
                    measure(j, &experiments[i]);
    for (size_t i = 0; i < EXPERIMENTS; i++)
        for (size_t j = 0; j < PROFILERS; j++)
            bench_report(experiments[i].bench, profilers[j].impl, 1, experiments[i].unit, &results[j][i]);
}
