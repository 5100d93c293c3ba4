/* SPDX-License-Identifier: MIT */
/*
 * dispatch.h: the safe point, for the waits and for who publishes a timer. Owner thread, not in the
 * handler.
 */
#ifndef AWI_DISPATCH_H
#define AWI_DISPATCH_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "pending.h"

/*
 * Runs what is due and reports guards: callbacks run, or a negative value. budget 0: the option's. `here`:
 * the caller's frame.
 */
int awi_dispatch(unsigned budget, const void *here);

/*
 * True inside a callback. If the dispatch that is marked as running was left (longjmp, exception), it is
 * cleaned up here, and the answer is false.
 */
bool awi_in_callback(const void *here);

/*
 * A timer's tick, need_ns, was or will be put into the wheel: the alarm is to cover it. A running dispatch
 * does so at its end.
 */
int awi_timer_need(uint64_t need_ns, const void *here);

/*
 * The end of every safe point: where it is to report an expired guard, and an escaping one bounds the code,
 * it does not return. Nothing of the library may be active below `here`.
 */
static inline int awi_escape_if_due(int result, const void *here)
{
    if (AWI_UNLIKELY(result == -ETIMEDOUT) && awi_owner && awi_expired_guards() != 0)
        awi.escape(here);
    return result;
}

/* True if aw_quit was called for the aw_run that runs. One that came too late is dropped. */
bool awi_told_to_quit(void);

#endif
