/* SPDX-License-Identifier: MIT */
/* peer_profile.c: the module of alarmwheel's own profiler, with a copy of its library. */
#include <signal.h>

#include <alarmwheel/profile.h>

#include "profile_peer.h"

static struct aw_profile_options options = { .size = sizeof options, .hz = 100 };

static void choose(bool is_wall, unsigned hz)
{
    options.clock = is_wall ? AW_PROFILE_WALL : AW_PROFILE_CPU;
    options.hz = hz;
}

static bool start(void)
{
    return aw_profile_start(&options) == 0;
}

static void stop(void)
{
    aw_profile_stop();
}

static uint64_t samples(void)
{
    struct aw_profile_stats stats = { .size = sizeof stats };
    return aw_profile_stats_read(&stats) == 0 ? stats.samples : 0;
}

static void push_pop(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (aw_profile_label_push("request", i % 2 == 0 ? "read" : "write") == 0)
            aw_profile_label_pop();
}

extern const struct profile_peer profile_peer;
__attribute__((visibility("default"))) const struct profile_peer profile_peer = {
    choose, start, stop, samples, SIGPROF, SIGPROF, push_pop,
};
