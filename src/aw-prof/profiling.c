/* SPDX-License-Identifier: MIT */
/*
 * profiling.c: one run: finds the program, makes the directory, starts it, waits, collects, writes. The
 * directory goes before anything is written, and however this ends.
 */
#include "profiling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect.h"
#include "directory.h"
#include "launch.h"
#include "message.h"
#include "program.h"
#include "result.h"
#include "settings.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define LOOK_NS (NS_PER_SEC / 4)  /* how often progress is shown, and what has ended is collected */
#define LOAD_NS (10 * NS_PER_SEC) /* in which a program loads our library, on a slow machine too */
#define LOAD_LOOK_NS (NS_PER_SEC / 100)
#define RECORDING_BYTES ((size_t)4 << 20)
#define FOLLOWED_BYTES ((size_t)1 << 20) /* there may be many */
#define MAX_DEPTH 256u

struct run {
    const struct awi_options *options;
    struct awi_program program;
    struct awi_settings settings;
    struct awi_launch launch;
    struct awi_result result; /* the one file, unless each process has its own */
    struct awi_collection collection;
    char **environment; /* the program's */
    char *preload;      /* of it, the two that are ours */
    char variable[AWI_SETTINGS_BYTES];
    bool has_directory;
    bool has_failed;
    bool is_cap_told;
};

/* --- Before ------------------------------------------------------------------------------------------- */

/* This process's, with our two variables last; the library stands before what the user has in LD_PRELOAD. */
static bool make_environment(struct run *run, const char *library)
{
    const char *theirs = getenv("LD_PRELOAD");
    size_t length = theirs != NULL ? strlen(theirs) : 0;
    size_t count = 0;
    while (environ[count] != NULL)
        ++count;
    run->environment = calloc(count + 3, sizeof *run->environment);
    run->preload = malloc(sizeof "LD_PRELOAD=:" + strlen(library) + length);
    if (run->environment == NULL || run->preload == NULL ||
        !awi_settings_format(&run->settings, run->variable)) {
        awi_say("%s", strerror(ENOMEM));
        return false;
    }
    sprintf(run->preload, "LD_PRELOAD=%s%s%s", library, length > 0 ? ":" : "", length > 0 ? theirs : "");
    size_t used = 0;
    bool is_placed = false;
    for (size_t i = 0; i < count; ++i) {
        if (strncmp(environ[i], AWI_SETTINGS_VARIABLE "=", strlen(AWI_SETTINGS_VARIABLE "=")) == 0)
            continue;
        bool is_preload = strncmp(environ[i], "LD_PRELOAD=", strlen("LD_PRELOAD=")) == 0;
        if (is_preload && is_placed)
            continue;
        is_placed = is_placed || is_preload;
        run->environment[used++] = is_preload ? run->preload : environ[i];
    }
    if (!is_placed)
        run->environment[used++] = run->preload;
    run->environment[used] = run->variable;
    return true;
}

static bool prepare(struct run *run)
{
    const struct awi_options *options = run->options;
    char library[PATH_MAX];
    run->settings = (struct awi_settings){
        .clock = options->clock,
        .hz = options->hz,
        .max_depth = MAX_DEPTH,
        .bytes = options->is_follow ? FOLLOWED_BYTES : RECORDING_BYTES,
        .is_follow = options->is_follow,
    };
    run->has_directory = awi_directory_make(run->settings.directory);
    run->collection.directory = run->settings.directory;
    return run->has_directory && awi_library_find(library) && make_environment(run, library);
}

static bool open_result(struct run *run)
{
    if (run->options->is_follow)
        return awi_result_check_folder(run->options->output);
    return awi_result_open(run->options->output, &run->result);
}

static void drop_result(struct run *run)
{
    if (!run->options->is_follow)
        awi_result_drop(&run->result);
}

/* --- While it runs ------------------------------------------------------------------------------------ */

static void show_progress(const struct run *run)
{
    uint64_t tenths = (awi_now_ns() - run->launch.started_ns) / (NS_PER_SEC / 10);
    awi_say_progress("%llu.%llu s, %llu samples", (unsigned long long)(tenths / 10),
                     (unsigned long long)(tenths % 10),
                     (unsigned long long)awi_collect_count(run->settings.directory));
}

/* When sampling is to stop: so long after it began, or after the launch where it did not within LOAD_NS. */
static uint64_t find_end(struct run *run)
{
    struct awi_launch *launch = &run->launch;
    uint64_t started_ns = 0;
    if (run->options->duration_ns == 0)
        return UINT64_MAX;
    while ((started_ns = awi_collect_started_ns(run->settings.directory)) == 0 && !launch->has_ended &&
           awi_now_ns() < launch->started_ns + LOAD_NS)
        awi_launch_wait(launch, awi_now_ns() + LOAD_LOOK_NS);
    return (started_ns != 0 ? started_ns : launch->started_ns) + run->options->duration_ns;
}

static void watch(struct run *run, uint64_t until_ns)
{
    bool has_progress = !run->options->is_quiet && awi_can_show_progress();
    while (!run->launch.has_ended && awi_now_ns() < until_ns) {
        uint64_t next = has_progress || run->options->is_follow ? awi_now_ns() + LOOK_NS : UINT64_MAX;
        awi_launch_wait(&run->launch, next < until_ns ? next : until_ns);
        if (run->launch.has_ended)
            return;
        if (has_progress)
            show_progress(run);
        if (run->options->is_follow) {
            run->collection.now_ns = awi_now_ns();
            awi_collect(&run->collection, false);
        }
    }
}

/* --- After -------------------------------------------------------------------------------------------- */

static const char *clock_name(enum aw_profile_clock clock)
{
    return clock == AW_PROFILE_WALL ? "time" : clock == AW_PROFILE_USER ? "user time" : "CPU time";
}

static void tell_cap(struct run *run, const struct aw_profile_stats *stats)
{
    if (stats->capped_hz == 0 || !run->options->has_hz || run->options->is_quiet || run->is_cap_told)
        return;
    run->is_cap_told = true;
    awi_say("asked %u Hz, this kernel delivers at most %u (CPU timers run at its tick); weights are scaled, "
            "totals are true",
            stats->requested_hz, stats->capped_hz);
}

static void tell_result(const struct run *run, const struct aw_profile *profile, const char *name)
{
    const struct aw_profile_stats *stats = &profile->stats;
    bool is_file = strcmp(name, "-") != 0;
    awi_say("%llu samples, %.3f s of %s in %u thread%s%s%s", (unsigned long long)stats->samples,
            (double)stats->time_ns * 1e-9, clock_name(run->options->clock), stats->threads,
            stats->threads == 1 ? "" : "s", is_file ? ": " : "", is_file ? name : "");
    if (stats->lost > 0)
        awi_say("%llu more samples found no room: shown as [lost]", (unsigned long long)stats->lost);
    if (stats->threads_missed > 0)
        awi_say("%u threads were not sampled: no room, or no timer", stats->threads_missed);
}

/*
 * What the kernel knows of the program's time, and that of the children it has waited for, is mostly not in
 * the profile: it was another program that took it.
 */
static void tell_elsewhere(const struct run *run, const struct aw_profile *profile)
{
    uint64_t used_ns = awi_launch_used_ns(&run->launch);
    uint64_t sampled_ns = profile->stats.time_ns;
    if (run->options->clock != AW_PROFILE_CPU || run->options->duration_ns > 0 || sampled_ns > used_ns / 2 ||
        used_ns - sampled_ns < 10 * profile->period_ns)
        return;
    awi_say("%.3f s of %.3f s of CPU time are in this profile: %s executed another program, started "
            "processes, or blocks SIGPROF; see --follow",
            (double)sampled_ns * 1e-9, (double)used_ns * 1e-9, run->options->arguments[0]);
}

static void tell_missing(struct run *run)
{
    char reason[256];
    const char *program = run->options->arguments[0];
    run->has_failed = true;
    if (awi_collect_reason(run->settings.directory, run->launch.pid, reason, sizeof reason))
        awi_say("%s: not profiled: %s", program, reason);
    else
        awi_say("%s: not profiled: it did not load aw-prof's library", program);
}

/* The last recording of env(1) is not what was wanted. */
static bool is_only_env(const struct run *run, const struct awi_take *take)
{
    return awi_collect_is_marked(run->settings.directory, run->launch.pid) && take != NULL &&
           strcmp(strrchr(take->program, '/') != NULL ? strrchr(take->program, '/') : "", "/env") == 0;
}

static void write_one(struct run *run, const struct awi_take *take, struct awi_result *result,
                      const char *name)
{
    tell_cap(run, &take->profile->stats);
    if (!awi_result_write(result, take->profile, run->options->format))
        run->has_failed = true;
    else if (!run->options->is_quiet)
        tell_result(run, take->profile, name);
    if (!run->options->is_follow && !run->options->is_quiet)
        tell_elsewhere(run, take->profile);
}

static void write_followed(struct run *run)
{
    for (size_t i = 0; i < run->collection.count; ++i) {
        char name[PATH_MAX];
        struct awi_result result;
        const struct awi_take *take = &run->collection.takes[i];
        if (awi_result_name(run->options, take, name) && awi_result_open(name, &result))
            write_one(run, take, &result, name);
        else
            run->has_failed = true;
    }
    if (run->collection.count == 0 && !run->options->is_quiet && !run->has_failed)
        awi_say("no samples: nothing is written");
}

/* Everything is read, and the directory gone, before the slow part begins. */
static void finish(struct run *run)
{
    run->collection.now_ns = run->launch.has_ended ? run->launch.ended_ns : awi_now_ns();
    awi_collect_stop(run->settings.directory);
    awi_collect(&run->collection, true);
    awi_collection_sort(&run->collection);
    const struct awi_take *take = awi_collection_find(&run->collection, run->launch.pid);
    bool is_env = is_only_env(run, take);
    if (take == NULL && !(run->options->is_follow && run->collection.count > 0))
        tell_missing(run);
    if (is_env)
        awi_say("%s: the program that env executed is static or setuid, or did not load aw-prof's library",
                run->options->arguments[0]);
    if (run->collection.is_incomplete) {
        awi_say("%s: a recording is left out", strerror(ENOMEM));
        run->has_failed = true;
    }
    awi_directory_remove(run->settings.directory);
    run->has_directory = false;
    if (run->launch.has_ended)
        awi_launch_give_back(&run->launch);
    unsetenv("DEBUGINFOD_URLS"); /* names are looked up on this machine only */

    if (run->options->is_follow)
        write_followed(run);
    else if (take != NULL)
        write_one(run, take, &run->result, run->result.name);
    else
        awi_result_drop(&run->result);
    awi_collection_free(&run->collection);
}

static void wait_and_finish(struct run *run)
{
    run->collection.kept_pid = run->launch.pid;
    watch(run, find_end(run));
    finish(run);
    if (!run->launch.has_ended) {
        awi_launch_wait(&run->launch, UINT64_MAX);
        awi_launch_give_back(&run->launch);
    }
}

static int launch(struct run *run)
{
    int status = AWI_STATUS_FAILED;
    if (prepare(run))
        status = awi_launch_start(&run->launch, &run->program, run->options->arguments, run->environment);
    if (status == 0) {
        wait_and_finish(run);
        status = awi_launch_status(&run->launch);
        return status == 0 && run->has_failed ? AWI_STATUS_FAILED : status;
    }
    if (run->has_directory)
        awi_directory_remove(run->settings.directory);
    awi_launch_give_back(&run->launch);
    drop_result(run);
    return status;
}

int awi_profiling_run(const struct awi_options *options)
{
    /* Too large for a stack. */
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        awi_say("%s", strerror(ENOMEM));
        return AWI_STATUS_FAILED;
    }
    run->options = options;
    int status = awi_program_find(options->arguments[0], &run->program);
    if (status == 0 && !open_result(run))
        status = AWI_STATUS_FAILED;
    if (status == 0) {
        awi_launch_take_signals(&run->launch);
        status = launch(run);
    }
    free(run->environment);
    free(run->preload);
    free(run);
    return status;
}
