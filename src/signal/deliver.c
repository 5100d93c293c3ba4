/* SPDX-License-Identifier: MIT */
/*
 * deliver.c: what was recorded of signals becomes callbacks, one watcher after the other, for the dispatcher.
 * Watchers come and go while it is at it: it knows where it is by a serial number.
 */
#include <errno.h>
#include <stddef.h>

#include "../engine/engine.h"
#include "../engine/post.h"
#include "record.h"
#include "watch.h"

struct awi_waiting awi_waiting;
uint64_t awi_signal_delivered;
bool awi_signal_wait_has;

/* The arrival that is being called back; signo 0: none. And the watcher that was called last for it. */
static struct awi_arrival arrival;
static struct awi_watcher current;
static uint64_t last_serial; /* of the watchers that were there when it was taken */

void awi_signal_abandoned(void)
{
    awi_waiting = (struct awi_waiting){ { NULL, 0 }, 0 };
}

void awi_signal_deliver_reset(void)
{
    arrival.signo = 0;
    awi_signal_wait_has = false;
    awi_signal_abandoned();
}

static int call(void *arg)
{
    const struct awi_watcher *watcher = arg;
    siginfo_t info = arrival.info; /* the function's own: it may leave by longjmp, or dispatch no more */
    return watcher->fn(&info, arrival.count, watcher->arg);
}

static int end_wait(void *arg)
{
    *(bool *)arg = true;
    return -EINTR;
}

/* The next watcher of the arrival that is there. */
static bool next_watcher(struct awi_posted *next)
{
    const struct awi_watcher *watcher =
        arrival.signo != 0 ? awi_watch_next(arrival.signo, current.serial) : NULL;
    if (watcher == NULL || watcher->serial > last_serial) {
        arrival.signo = 0;
        return false;
    }
    awi_signal_delivered += current.serial == 0;
    current = *watcher;
    *next = (struct awi_posted){ call, &current };
    return true;
}

/* What an aw_signal_wait around this dispatch waits for stays where it is. */
static uint64_t waited_for(void)
{
    return awi_frame_is_open(&awi_waiting.frame, AWI_HERE) ? awi_waiting.signals : 0;
}

AWI_OUTLINE bool awi_signal_take(struct awi_posted *next)
{
    uint64_t kept = waited_for();
    for (;;) {
        if (next_watcher(next))
            return true;
        if (!awi_record_take(~kept, &arrival))
            break;
        current.serial = 0;
        last_serial = awi_watch_last();
    }
    if ((awi_record_waiting() & kept) == 0)
        return false;
    *next = (struct awi_posted){ end_wait, &awi_signal_wait_has };
    return true;
}
