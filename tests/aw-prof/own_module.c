/* SPDX-License-Identifier: MIT */
/* own_module.c: a library with a copy of the sampler linked in, which profiles while it is loaded. */
#include <stdint.h>
#include <stdlib.h>

#include <alarmwheel/profile.h>

uint64_t samples_in_module(void);

/* How many samples this copy has; the first call starts it. */
uint64_t samples_in_module(void)
{
    static const struct aw_profile_options options = { .size = sizeof options,
                                                       .clock = AW_PROFILE_WALL,
                                                       .hz = 250 };
    static int is_started;
    struct aw_profile_stats stats = { .size = sizeof stats };
    if (!is_started && aw_profile_start(&options) != 0)
        abort();
    is_started = 1;
    if (aw_profile_stats_read(&stats) != 0)
        abort();
    return stats.samples;
}
