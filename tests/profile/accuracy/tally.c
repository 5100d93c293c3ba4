/* SPDX-License-Identifier: MIT */
/* tally.c: see tally.h. */
#include "tally.h"

#include "accuracy.h"

bool tally_is_within(const struct tally_range *range, const uint64_t *pcs, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        if (pcs[i] >= (uint64_t)(uintptr_t)range->start && pcs[i] < (uint64_t)(uintptr_t)range->stop)
            return true;
    return false;
}

static bool is_of(const struct aw_profile *profile, const struct awi_sample *sample, int32_t tid)
{
    return tid == 0 || profile->threads[sample->thread].tid == tid;
}

uint64_t tally_time_ns(const struct aw_profile *profile, int32_t tid)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; i++)
        sum += is_of(profile, &profile->samples[i], tid) ? profile->samples[i].time_ns : 0;
    return sum;
}

uint64_t tally_time_ns_within(const struct aw_profile *profile, int32_t tid, const struct tally_range *range)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; i++) {
        const struct awi_sample *sample = &profile->samples[i];
        if (is_of(profile, sample, tid) && tally_is_within(range, sample->pcs, sample->depth))
            sum += sample->time_ns;
    }
    return sum;
}

uint64_t tally_count(const struct aw_profile *profile, int32_t tid)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; i++)
        sum += is_of(profile, &profile->samples[i], tid) ? profile->samples[i].count : 0;
    return sum;
}

uint64_t tally_count_within(const struct aw_profile *profile, int32_t tid, const struct tally_range *range)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < profile->samples_count; i++) {
        const struct awi_sample *sample = &profile->samples[i];
        if (is_of(profile, sample, tid) && tally_is_within(range, sample->pcs, sample->depth))
            sum += sample->count;
    }
    return sum;
}

bool tally_start(enum aw_profile_clock clock, unsigned hz)
{
    const struct aw_profile_options options = { .size = sizeof options, .clock = clock, .hz = hz };
    const int error = aw_profile_start(&options);
    return error == 0 || accuracy_say(false, "aw_profile_start: %d", error);
}

struct aw_profile *tally_stop(void)
{
    struct aw_profile *profile = NULL;
    int error = aw_profile_stop();
    if (error == 0)
        error = aw_profile_snapshot(&profile);
    if (error != 0)
        accuracy_say(false, "aw_profile_stop, or _snapshot: %d", error);
    return error == 0 ? profile : NULL;
}
