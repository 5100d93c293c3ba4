/* SPDX-License-Identifier: MIT */
/* witness.c: see witness.h. */
#include "witness.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "accuracy.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/*
 * The two periods begin some microseconds apart, and a tick may come in between; so may one while the thread
 * changes its place. That is as rare as it is short.
 */
#define ASTRAY_COUNT 5
#define ASTRAY_SHARE 0.05

static void on_tick(int signo, siginfo_t *info, void *context)
{
    struct witness *witness = info->si_value.sival_ptr;
    (void)signo;
    (void)context;
    witness->counts[witness->place]++;
}

bool witness_start(struct witness *witness, unsigned hz)
{
    struct sigaction action = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART };
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
    const long period_ns = 1000000000 / (long)hz;
    const struct itimerspec spec = { .it_interval = { .tv_nsec = period_ns }, .it_value = { .tv_nsec = 1 } };
    *witness = (struct witness){ .place = 0 };
    sigfillset(&action.sa_mask);
    event.sigev_value.sival_ptr = witness;
    event.sigev_notify_thread_id = gettid();
    if (sigaction(SIGRTMIN, &action, NULL) == 0 &&
        timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &witness->timer) == 0 &&
        timer_settime(witness->timer, 0, &spec, NULL) == 0)
        return true;
    return accuracy_say(false, "no timer to compare with: %s", strerror(errno));
}

void witness_stop(struct witness *witness)
{
    timer_delete(witness->timer);
}

bool witness_confirms(const struct witness *witness, unsigned place, const char *name, uint64_t samples)
{
    const double seen = (double)witness->counts[place];
    const double off = (double)samples - seen;
    const double bar = ASTRAY_COUNT + ASTRAY_SHARE * seen;
    return accuracy_say(seen > 0 && off <= bar && -off <= bar,
                        "alarmwheel: %s: %llu samples, a bare timer counts %.0f; %+.0f (%.0f)", name,
                        (unsigned long long)samples, seen, off, bar);
}
