/* SPDX-License-Identifier: MIT */
/* profile.c: profiles half a second of its own work, and is content if that gives samples and a table. */
#include <stdio.h>
#include <time.h>

#include <alarmwheel/profile.h>

static int work(void)
{
    volatile unsigned sum = 0;
    for (clock_t end = clock() + CLOCKS_PER_SEC / 2; clock() < end;)
        for (unsigned i = 0; i < 100000; ++i)
            sum += i;
    return (int)(sum & 1);
}

int main(void)
{
    struct aw_profile_stats stats = { .size = sizeof stats };
    if (aw_profile_start(NULL) != 0 || work() < 0 || aw_profile_stop() != 0)
        return 1;
    if (aw_profile_stats_read(&stats) != 0 || stats.samples == 0)
        return 2;
    fflush(stdout);
    return aw_profile_write(NULL, 1, AW_PROFILE_TEXT) == 0 ? 0 : 3;
}
