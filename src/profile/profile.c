/* SPDX-License-Identifier: MIT */
/*
 * profile.c: the public functions: they check what they are given, and connect the sampler with what freezes
 * and writes.
 */
#include <alarmwheel/profile.h>

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/output.h"
#include "freeze.h"
#include "labels.h"
#include "sampler/sampler.h"

#define HZ_DEFAULT 100u
#define DEPTH_DEFAULT 128u
#define BYTES_DEFAULT ((size_t)1 << 20)
#define BYTES_MIN ((size_t)64 << 10)
#define BYTES_MAX ((size_t)1 << 30)

/* Of the profile whose recording has been discarded; size 0: there was none. */
static struct aw_profile_stats last_stats;
static pid_t last_process; /* whose they are: a forked child has none */

int aw_profile_start(const struct aw_profile_options *options)
{
    static const struct aw_profile_options defaults = { .size = sizeof defaults, .hz = HZ_DEFAULT };
    if (options == NULL)
        options = &defaults;
    if (options->size != sizeof *options)
        return -EINVAL;
    struct awi_sampler_options sampler = {
        .clock = options->clock,
        .hz = options->hz,
        .max_depth = options->max_depth != 0 ? options->max_depth : DEPTH_DEFAULT,
        .bytes = options->max_bytes != 0 ? options->max_bytes : BYTES_DEFAULT,
    };
    if (sampler.bytes < BYTES_MIN || sampler.bytes > BYTES_MAX)
        return -EINVAL;
    int error = awi_sampler_start(&sampler);
    if (error == -EINVAL || error == -EBUSY || error == -ENOTSUP)
        return error;
    awi_sampler_lock();
    last_stats.size = 0; /* discarded, with the profile that was stopped before */
    awi_sampler_unlock();
    return error;
}

int aw_profile_pause(void)
{
    return awi_sampler_pause();
}

int aw_profile_resume(void)
{
    return awi_sampler_resume();
}

int aw_profile_stop(void)
{
    return awi_sampler_stop();
}

int aw_profile_thread_register(const char *name)
{
    return awi_sampler_thread_add(name);
}

int aw_profile_thread_unregister(void)
{
    return awi_sampler_thread_end();
}

/* --- Statistics ------------------------------------------------------------------------ */

static void add_counts(struct aw_profile_stats *stats, const struct awi_counts *counts)
{
    stats->samples += atomic_load(&counts->samples);
    stats->lost += atomic_load(&counts->lost);
    stats->truncated += atomic_load(&counts->truncated);
    stats->unknown += atomic_load(&counts->unknown);
}

static void read_stats(struct awi_recording *recording, unsigned half, void *arg)
{
    (void)half;
    struct aw_profile_stats *stats = arg;
    const struct awi_recording_head *head = recording->head;
    *stats = (struct aw_profile_stats){
        .size = sizeof *stats,
        .foreign = atomic_load(&head->foreign),
        .time_ns = head->ended_ns,
        .elapsed_ns = awi_sampler_elapsed(recording),
        .bytes = awi_sampler_bytes(),
        .threads = atomic_load(&head->threads_sampled),
        .threads_missed = atomic_load(&head->threads_missed),
        .requested_hz = head->hz,
        .capped_hz = awi_sampler_capped_hz((enum aw_profile_clock)head->clock, head->hz),
    };
    add_counts(stats, &head->taken);
    for (uint32_t i = 0; i < awi_recording_threads(recording); ++i) {
        const struct awi_thread_record *record = &recording->threads[i];
        for (unsigned each = 0; each < AWI_HALVES; ++each)
            add_counts(stats, &record->counts[each]);
        if (atomic_load(&record->state) != AWI_THREAD_FREE)
            stats->time_ns += record->looked_ns;
    }
    if (stats->time_ns > 0)
        stats->achieved_hz = (double)(stats->samples + stats->lost) * 1e9 / (double)stats->time_ns;
}

int aw_profile_stats_read(struct aw_profile_stats *stats)
{
    if (stats == NULL || stats->size != sizeof *stats)
        return -EINVAL;
    struct awi_viewer viewer = { .see = read_stats, .arg = stats };
    if (awi_sampler_look(&viewer) == 0)
        return 0;
    awi_sampler_lock();
    bool is_there = last_stats.size != 0 && last_process == getpid();
    if (is_there)
        *stats = last_stats;
    awi_sampler_unlock();
    return is_there ? 0 : -ENODEV;
}

/* --- Snapshots ------------------------------------------------------------------------- */

struct freezing {
    struct awi_room *room;
    bool is_taking;
};

static void freeze(struct awi_recording *recording, unsigned half, void *arg)
{
    struct freezing *freezing = arg;
    bool keeps_rest = freezing->is_taking && awi_sampler_is_on();
    awi_profile_fill(freezing->room, recording, half, keeps_rest, true);
    struct aw_profile *profile = freezing->room->profile;
    struct awi_recording_head *head = recording->head;
    uint64_t elapsed = awi_sampler_elapsed(recording);
    profile->elapsed_ns = profile->stats.elapsed_ns = elapsed - head->taken_elapsed_ns;
    if (head->taken_elapsed_ns > 0)
        profile->started_realtime_ns = head->taken_realtime_ns;
    profile->stats.capped_hz = awi_sampler_capped_hz(profile->clock, profile->stats.requested_hz);
    if (!freezing->is_taking)
        return;
    struct timespec now = { 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    head->taken_elapsed_ns = elapsed;
    head->taken_realtime_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    read_stats(recording, half, &last_stats);
    last_process = getpid();
}

static int prepare(const struct awi_recording *recording, void *arg)
{
    struct freezing *freezing = arg;
    freezing->room = awi_profile_prepare(recording);
    return freezing->room != NULL ? 0 : -ENOMEM;
}

/* With or without taking what was counted out of the recording. */
static int make_profile(bool is_taking, struct aw_profile **profile)
{
    struct freezing freezing = { .is_taking = is_taking };
    struct awi_viewer viewer = { .prepare = prepare, .see = freeze, .arg = &freezing };
    int error = is_taking ? awi_sampler_take(&viewer) : awi_sampler_look(&viewer);
    if (error == 0)
        *profile = freezing.room->profile;
    else if (freezing.room != NULL)
        aw_profile_free(freezing.room->profile);
    return error;
}

int aw_profile_snapshot(struct aw_profile **profile)
{
    return profile != NULL ? make_profile(true, profile) : -EINVAL;
}

void aw_profile_free(struct aw_profile *profile)
{
    if (profile != NULL)
        awi_arena_destroy(profile->arena);
}

int aw_profile_write(const struct aw_profile *profile, int fd, enum aw_profile_format format)
{
    if (fd < 0 || format > AW_PROFILE_TEXT)
        return -EINVAL;
    if (profile != NULL)
        return awi_profile_write(profile, fd, format);
    struct aw_profile *current;
    int error = make_profile(false, &current);
    if (error != 0)
        return error;
    error = awi_profile_write(current, fd, format);
    int saved = errno;
    aw_profile_free(current);
    errno = saved;
    return error;
}
