/* SPDX-License-Identifier: MIT */
/*
 * peer_gperftools.c: the module of gperftools' CPU profiler. Clock and rate come from the environment,
 * which it reads once as it is loaded; what it counted goes nowhere.
 */
#include <fcntl.h>
#include <gperftools/profiler.h>
#include <signal.h>
#include <unistd.h>

#include "profile_peer.h"

/* It says a line on standard error at each stop. */
static void choose(bool is_wall, unsigned hz)
{
    (void)is_wall;
    (void)hz;
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
}

static bool start(void)
{
    return ProfilerStart("/dev/null") != 0;
}

static uint64_t samples(void)
{
    struct ProfilerState state;
    ProfilerGetCurrentState(&state);
    return state.samples_gathered > 0 ? (uint64_t)state.samples_gathered : 0;
}

extern const struct profile_peer profile_peer;
__attribute__((visibility("default"))) const struct profile_peer profile_peer = {
    choose, start, ProfilerStop, samples, SIGPROF, SIGALRM, NULL,
};
