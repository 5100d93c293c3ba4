/* SPDX-License-Identifier: MIT */
/*
 * timer.c: the timers of this process: the engine's wheel, with the clock read for the caller and the alarm
 * kept covering. A user of the engine; the engine knows nothing of it.
 *
 * The need is published, and the alarm programmed, before the wheel is touched: where the alarm cannot be
 * programmed the timer is as it was. A signal in between raises the flag for a timer that is not linked
 * yet; by the next safe point it is.
 */
#include <alarmwheel/timer.h>

#include <errno.h>

#include "../busy.h"
#include "../engine/clock.h"
#include "../engine/cover.h"
#include "../engine/dispatch.h"
#include "../engine/engine.h"

int aw_timer_create(struct aw_timer *timer, aw_timer_fn *fn, void *arg)
{
    int denied = awi_check();
    return denied < 0 ? denied : aw_wheel_timer_create(awi_engine.wheel, timer, fn, arg);
}

static int cover_earlier(struct aw_timer timer, uint64_t deadline_ns, const void *here)
{
    return awi_wheel_knows(awi_engine.wheel, timer)
               ? awi_timer_need(awi_wheel_round_up(awi_engine.wheel, deadline_ns), here)
               : -ENOENT;
}

/* Has the alarm cover deadline_ns, for a timer that exists. */
static inline int cover(struct aw_timer timer, uint64_t deadline_ns, const void *here)
{
    if (AWI_UNLIKELY(deadline_ns < AWI_LOAD(awi.timer_need)))
        return cover_earlier(timer, deadline_ns, here);
    ++awi.avoided;
    return 0;
}

AWI_OUTLINE int aw_timer_arm(struct aw_timer timer, uint64_t delay_ns)
{
    AWI_BUSY;
    int result = awi_check();
    if (result < 0)
        return result;
    if (delay_ns == AW_FOREVER)
        return -EINVAL;
    uint64_t now = awi_clock_now();
    awi_recover_if_lost(now);
    result = cover(timer, awi_sum(now, delay_ns), AWI_HERE);
    return result < 0 ? result : aw_wheel_timer_arm(awi_engine.wheel, timer, now, delay_ns);
}

AWI_OUTLINE int aw_timer_arm_at(struct aw_timer timer, uint64_t deadline_ns)
{
    AWI_BUSY;
    int result = awi_check();
    if (result < 0)
        return result;
    if (deadline_ns == AW_FOREVER)
        return -EINVAL;
    result = cover(timer, deadline_ns, AWI_HERE);
    return result < 0 ? result : aw_wheel_timer_arm_at(awi_engine.wheel, timer, deadline_ns);
}

AWI_OUTLINE int aw_timer_arm_every(struct aw_timer timer, uint64_t first_ns, uint64_t period_ns,
                                   enum aw_missed missed)
{
    AWI_BUSY;
    int result = awi_check();
    if (result < 0)
        return result;
    if (first_ns == AW_FOREVER || period_ns == 0 || period_ns >= UINT64_C(1) << 61 ||
        (unsigned)missed > AW_MISSED_DELAY)
        return -EINVAL;
    uint64_t now = awi_clock_now();
    awi_recover_if_lost(now);
    uint64_t first = awi_sum(now, first_ns);
    result = cover(timer, first, AWI_HERE);
    return result < 0 ? result : aw_wheel_timer_arm_every(awi_engine.wheel, timer, first, period_ns, missed);
}

AWI_OUTLINE int aw_timer_again(struct aw_timer timer)
{
    AWI_BUSY;
    int result = awi_check();
    if (result < 0)
        return result;
    uint64_t now = awi_clock_coarse();
    uint64_t deadline;
    awi_recover_if_lost(now);
    result = awi_wheel_again(awi_engine.wheel, timer, now, AWI_LOAD(awi.timer_need), &deadline);
    if (AWI_LIKELY(result == 0))
        ++awi.avoided;
    if (AWI_LIKELY(result <= 0))
        return result;
    result = cover_earlier(timer, deadline, AWI_HERE);
    return result < 0 ? result : aw_wheel_timer_again(awi_engine.wheel, timer, now);
}

int aw_timer_disarm(struct aw_timer timer)
{
    int denied = awi_check();
    return denied < 0 ? denied : aw_wheel_timer_disarm(awi_engine.wheel, timer);
}

int aw_timer_delete(struct aw_timer timer)
{
    int denied = awi_check();
    return denied < 0 ? denied : aw_wheel_timer_delete(awi_engine.wheel, timer);
}

int aw_timer_remaining(struct aw_timer timer, uint64_t *remaining_ns)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    uint64_t now = awi_clock_now();
    awi_recover_if_lost(now);
    return aw_wheel_timer_remaining(awi_engine.wheel, timer, now, remaining_ns);
}

int aw_timer_overrun(struct aw_timer timer, uint64_t *missed)
{
    int denied = awi_check();
    return denied < 0 ? denied : aw_wheel_timer_overrun(awi_engine.wheel, timer, missed);
}

int aw_timer_unref(struct aw_timer timer)
{
    int denied = awi_check();
    return denied < 0 ? denied : aw_wheel_timer_unref(awi_engine.wheel, timer);
}
