/* SPDX-License-Identifier: MIT */
/*
 * quickstart.c: a computation that stops when its 250 ms are over. The guard keeps the time, the safe point
 * in the loop reports it. No threads, no signal handling of one's own.
 */
#include <alarmwheel/alarmwheel.h>
#include <stdio.h>

int main(void)
{
    unsigned long steps = 0;
    struct aw_guard guard;
    if (aw_init(NULL) != 0)
        return 1;
    AW_GUARD(&guard, AW_MS(250), AW_GUARD_DEFAULT) {
        while (aw_safepoint() == 0)
            steps++;
    }
    printf("%lu steps, stopped %.0f us late\n", steps, (double)aw_guard_lateness_ns(&guard) / 1e3);
    return aw_guard_error(&guard) != 0 || aw_shutdown() != 0;
}
