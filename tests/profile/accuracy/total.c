/* SPDX-License-Identifier: MIT */
/*
 * total.c: the processor time that a profile reports of each thread, against that thread's own clock as it
 * reads it itself: within 1 %, whatever rate is asked for.
 */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "accuracy.h"
#include "gperftools.h"
#include "tally.h"
#include "work.h"

#define SNAPSHOT_NS 50000000
#define BAR 1.0

struct scenario {
    const char *name;
    unsigned threads; /* 1: the main thread works itself */
    unsigned hz;
    bool is_late;    /* the threads are made after the start, and register */
    bool has_pauses; /* half of the work is done in pauses, and not to be counted */
    bool has_snapshots;
};

static const struct scenario scenarios[] = {
    { "1 thread", 1, 1000, false, false, false },
    { "2 threads", 2, 1000, false, false, false },
    { "1 thread", 1, 100, false, false, false },
    { "1 thread", 1, 997, false, false, false },
    { "2 threads", 2, 250, false, false, false },
    { "4 threads", 4, 997, false, false, false },
    { "2 threads that register later", 2, 1000, true, false, false },
    { "1 thread with pauses", 1, 1000, false, true, false },
    { "2 threads with pauses", 2, 1000, false, true, false },
    { "2 threads, snapshots every 50 ms", 2, 1000, false, false, true },
};

/* What one thread used by its own clock, and by the profile. */
struct account {
    int32_t tid;
    uint64_t used_ns;
    uint64_t told_ns;
};

struct run {
    const struct scenario *scenario;
    struct crew crew;
    struct account accounts[CREW_MAX];
    unsigned count;
};

static void add_told(struct run *run, const struct aw_profile *profile)
{
    for (unsigned i = 0; i < run->count; i++)
        run->accounts[i].told_ns += tally_time_ns(profile, run->accounts[i].tid);
}

static bool take_snapshot(struct run *run)
{
    struct aw_profile *profile = NULL;
    const int error = aw_profile_snapshot(&profile);
    if (error != 0)
        return accuracy_say(false, "aw_profile_snapshot: %d", error);
    add_told(run, profile);
    aw_profile_free(profile);
    return true;
}

static bool work(struct run *run, uint64_t burn_ns, bool is_counted)
{
    bool is_good = true;
    if (run->scenario->threads == 1) {
        const uint64_t start = work_cpu_ns();
        work_burn(burn_ns);
        run->accounts[0].used_ns += is_counted ? work_cpu_ns() - start : 0;
        return true;
    }
    for (unsigned i = 0; i < run->count; i++)
        run->crew.members[i].used_ns = 0;
    crew_begin(&run->crew, burn_ns);
    for (uint64_t at = SNAPSHOT_NS; run->scenario->has_snapshots && at < burn_ns; at += SNAPSHOT_NS) {
        work_sleep(SNAPSHOT_NS);
        is_good = take_snapshot(run) && is_good;
    }
    crew_end(&run->crew);
    for (unsigned i = 0; i < run->count; i++)
        run->accounts[i].used_ns += is_counted ? run->crew.members[i].used_ns : 0;
    return is_good;
}

static bool work_in_parts(struct run *run, uint64_t burn_ns)
{
    if (!run->scenario->has_pauses)
        return work(run, burn_ns, true);
    bool is_good = true;
    for (unsigned part = 0; part < 4; part++) {
        is_good = work(run, burn_ns / 4, true) && aw_profile_pause() == 0;
        is_good = is_good && work(run, burn_ns / 4, false) && aw_profile_resume() == 0;
    }
    return is_good;
}

static bool gather(struct run *run)
{
    const bool has_crew = run->scenario->threads > 1;
    run->count = run->scenario->threads;
    if (has_crew && !crew_start(&run->crew, run->count, run->scenario->is_late))
        return accuracy_say(false, "no threads to be had");
    for (unsigned i = 0; i < run->count; i++)
        run->accounts[i].tid = has_crew ? run->crew.members[i].tid : (int32_t)gettid();
    return true;
}

static bool compare(const struct run *run)
{
    double worst = 0;
    uint64_t used = 0;
    uint64_t told = 0;
    for (unsigned i = 0; i < run->count; i++) {
        const struct account *account = &run->accounts[i];
        const double off =
            100 * ((double)account->told_ns - (double)account->used_ns) / (double)account->used_ns;
        worst = fabs(off) > fabs(worst) ? off : worst;
        used += account->used_ns;
        told += account->told_ns;
    }
    return accuracy_say(
        fabs(worst) <= BAR, "%s, %u Hz: used %.4f s, reported %.4f s; worst thread %+.3f %% (%g)",
        run->scenario->name, run->scenario->hz, (double)used / 1e9, (double)told / 1e9, worst, BAR);
}

static bool measure(const struct scenario *scenario, uint64_t burn_ns)
{
    struct run run = { .scenario = scenario };
    if (!scenario->is_late && !gather(&run))
        return false;
    if (!tally_start(AW_PROFILE_CPU, scenario->hz) || (scenario->is_late && !gather(&run)))
        return false;
    bool is_good = work_in_parts(&run, burn_ns);
    struct aw_profile *profile = tally_stop();
    if (profile != NULL)
        add_told(&run, profile);
    aw_profile_free(profile);
    is_good = is_good && profile != NULL && compare(&run);
    if (scenario->threads > 1)
        crew_stop(&run.crew);
    return is_good;
}

/* --- The peer ------------------------------------------------------------------------------------------- */

static void burn_alone(void *arg)
{
    work_burn(*(uint64_t *)arg);
}

static void burn_in_two(void *arg)
{
    struct crew crew;
    if (!crew_start(&crew, 2, false))
        return;
    crew_work(&crew, *(uint64_t *)arg);
    crew_stop(&crew);
}

static void measure_peer(uint64_t burn_ns)
{
    struct gperftools_profile profile;
    if (gperftools_run(1000, burn_alone, &burn_ns, NULL, 0, &profile))
        accuracy_note("gperftools, 1 thread, 1000 Hz: used %.4f s, reported %.4f s; %+.1f %%",
                      (double)burn_ns / 1e9, (double)profile.time_ns / 1e9,
                      100 * ((double)profile.time_ns / (double)burn_ns - 1));
    if (gperftools_run(1000, burn_in_two, &burn_ns, NULL, 0, &profile))
        accuracy_note("gperftools, 2 threads, 1000 Hz: used %.4f s, reported %.4f s; %+.1f %%",
                      (double)burn_ns / 5e8, (double)profile.time_ns / 1e9,
                      100 * ((double)profile.time_ns / (2 * (double)burn_ns) - 1));
}

int total_run(bool is_long)
{
    const uint64_t burn_ns = is_long ? UINT64_C(3000000000) : 250000000;
    bool is_met = true;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        is_met = measure(&scenarios[i], burn_ns) && is_met;
    if (is_long)
        measure_peer(burn_ns);
    return is_met ? 0 : 1;
}
