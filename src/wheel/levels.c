/* SPDX-License-Identifier: MIT */
/*
 * levels.c: arming, disarming, and the question when the next timer is due. Called by the program through
 * wheel.h, and by timer.h's functions. Runs no callback and allocates nothing.
 */
#include "levels.h"
#include "../busy.h"

#include "wheel_run.h"

#include <errno.h>

/* A record that was not armed and now is. The caller has seen to its links and to `linked`. */
static inline void count_armed(struct aw_wheel *w, uint32_t meta)
{
    if (AWI_UNLIKELY(meta & AWI_UNREF)) {
        w->armed_unref++;
    }
}

/* Takes a record out of its list, if it is in one, and leaves it armed and counted as linked. */
static void arm_unlinked(struct aw_wheel *w, uint32_t index)
{
    struct awi_record *r = &w->record[index];

    if (awi_linked(r)) {
        awi_unlink(w, index);
        if (!(r->meta & AWI_ARMED)) {
            w->dead--;
            count_armed(w, r->meta);
        }
    } else {
        w->linked++;
        count_armed(w, r->meta);
        if (w->delayed == index) {
            w->delayed = 0; /* the callback decided for itself */
        }
    }
    r->meta |= AWI_ARMED;
}

static __attribute__((noinline)) void arm_elsewhere(struct aw_wheel *w, uint32_t index, uint64_t tick)
{
    struct awi_record *r = &w->record[index];

    if (r->meta & AWI_PERIODIC) {
        uint64_t *interval = &w->interval[index - AWI_FIRST];

        *interval = (*interval & (AWI_PERIOD_LIMIT - 1)) + 1;
        r->meta &= ~AWI_PERIODIC;
    }
    arm_unlinked(w, index);
    awi_link(w, index, tick);
}

/*
 * Arms for a single run. The usual case is the lazy one: the slot where the record is linked begins no later
 * than the new tick, so it will be looked at in time wherever it is, and one store is all.
 */
static inline void arm_once(struct aw_wheel *w, uint32_t index, uint64_t tick)
{
    struct awi_record *r = &w->record[index];
    uint32_t meta = r->meta;
    uint32_t slot = meta & AWI_SLOT_MASK;
    uint64_t ahead;

    if (tick < w->floor) {
        tick = w->floor;
    }
    ahead = tick - w->now;
    if (AWI_LIKELY(slot < AWI_SLOTS) && AWI_LIKELY(ahead >> 32 == 0) && AWI_LIKELY(!(meta & AWI_PERIODIC))) {
        struct awi_record *head = &w->record[slot];

        if ((uint32_t)ahead >= head->meta - (uint32_t)w->now) {
            r->when = (uint32_t)tick;
            if ((uint32_t)ahead < head->when - (uint32_t)w->now) {
                head->when = (uint32_t)tick;
            }
            if (!(meta & AWI_ARMED)) {
                r->meta = meta | AWI_ARMED;
                w->dead--;
                count_armed(w, meta);
            }
            return;
        }
    }
    arm_elsewhere(w, index, tick);
}

/* A schedule that has passed keeps its true time in a list of its own, so that no period is lost or shifted.
 */
void awi_arm_schedule(struct aw_wheel *w, uint32_t index, uint64_t ns)
{
    uint64_t tick = awi_tick_up(w, ns);

    arm_unlinked(w, index);
    w->record[index].meta |= AWI_PERIODIC;
    awi_schedule_set(w, index, ns);
    if (tick >= w->floor) {
        awi_link(w, index, tick);
        return;
    }
    awi_slot_set(&w->record[index], AWI_OVERDUE);
    awi_append(w, AWI_OVERDUE, index);
    w->overdue_at = w->floor; /* from one dispatch's beginning to the next the floor only falls */
}

int aw_wheel_timer_arm_at(struct aw_wheel *wheel, struct aw_timer timer, uint64_t deadline_ns)
{
    AWI_BUSY;
    if (wheel == NULL || deadline_ns == AW_FOREVER) {
        return -EINVAL;
    }
    if (!awi_known(wheel, timer)) {
        return -ENOENT;
    }
    arm_once(wheel, (uint32_t)timer.id, awi_tick_up(wheel, deadline_ns));
    return 0;
}

int aw_wheel_timer_arm(struct aw_wheel *wheel, struct aw_timer timer, uint64_t now_ns, uint64_t delay_ns)
{
    AWI_BUSY;
    uint64_t *interval;

    if (wheel == NULL || delay_ns == AW_FOREVER) {
        return -EINVAL;
    }
    if (!awi_known(wheel, timer)) {
        return -ENOENT;
    }
    arm_once(wheel, (uint32_t)timer.id, awi_tick_up(wheel, awi_sum(now_ns, delay_ns)));
    interval = &wheel->interval[(uint32_t)timer.id - AWI_FIRST];
    if (*interval != delay_ns + 1) {
        *interval = delay_ns + 1;
    }
    return 0;
}

int aw_wheel_timer_arm_every(struct aw_wheel *wheel, struct aw_timer timer, uint64_t first_ns,
                             uint64_t period_ns, enum aw_missed missed)
{
    AWI_BUSY;
    uint32_t index = (uint32_t)timer.id;

    if (wheel == NULL || first_ns == AW_FOREVER || period_ns == 0 || period_ns >= AWI_PERIOD_LIMIT ||
        (unsigned)missed > AW_MISSED_DELAY) {
        return -EINVAL;
    }
    if (!awi_known(wheel, timer)) {
        return -ENOENT;
    }
    wheel->interval[index - AWI_FIRST] = period_ns | (uint64_t)missed << AWI_MISSED_SHIFT;
    awi_arm_schedule(wheel, index, first_ns);
    return 0;
}

int awi_wheel_again(struct aw_wheel *w, struct aw_timer timer, uint64_t now_ns, uint64_t covered_ns,
                    uint64_t *deadline_ns)
{
    uint32_t index = (uint32_t)timer.id;
    uint64_t delay;

    if (!awi_known(w, timer)) {
        return -ENOENT;
    }
    bool periodic = w->record[index].meta & AWI_PERIODIC;
    delay = w->interval[index - AWI_FIRST];
    if (AWI_UNLIKELY(periodic)) {
        delay &= AWI_PERIOD_LIMIT - 1;
    } else if (AWI_UNLIKELY(delay-- == 0)) {
        return -EINVAL;
    }
    *deadline_ns = awi_sum(now_ns, delay);
    if (AWI_UNLIKELY(*deadline_ns < covered_ns)) {
        return 1;
    }
    if (AWI_UNLIKELY(periodic)) {
        awi_arm_schedule(w, index, *deadline_ns);
    } else {
        arm_once(w, index, awi_tick_up(w, *deadline_ns));
    }
    return 0;
}

int aw_wheel_timer_again(struct aw_wheel *wheel, struct aw_timer timer, uint64_t now_ns)
{
    AWI_BUSY;
    uint64_t deadline;

    return wheel == NULL ? -EINVAL : awi_wheel_again(wheel, timer, now_ns, 0, &deadline);
}

int aw_wheel_timer_disarm(struct aw_wheel *wheel, struct aw_timer timer)
{
    AWI_BUSY;
    struct awi_record *r;

    if (wheel == NULL) {
        return -EINVAL;
    }
    if (!awi_known(wheel, timer)) {
        return -ENOENT;
    }
    r = &wheel->record[(uint32_t)timer.id];
    if (!(r->meta & AWI_ARMED)) {
        if (wheel->delayed != (uint32_t)timer.id) {
            return 0;
        }
        wheel->delayed = 0;
        return 1;
    }
    r->meta &= ~AWI_ARMED;
    wheel->dead++;
    if (AWI_UNLIKELY(r->meta & AWI_UNREF)) {
        wheel->armed_unref--;
    }
    return 1;
}

int aw_wheel_timer_unref(struct aw_wheel *wheel, struct aw_timer timer)
{
    AWI_BUSY;
    struct awi_record *r;

    if (wheel == NULL) {
        return -EINVAL;
    }
    if (!awi_known(wheel, timer)) {
        return -ENOENT;
    }
    r = &wheel->record[(uint32_t)timer.id];
    if ((r->meta & (AWI_UNREF | AWI_ARMED)) == AWI_ARMED) {
        wheel->armed_unref++;
    }
    r->meta |= AWI_UNREF;
    return 0;
}

int aw_wheel_timer_remaining(const struct aw_wheel *wheel, struct aw_timer timer, uint64_t now_ns,
                             uint64_t *remaining_ns)
{
    const struct awi_record *r;
    uint32_t index = (uint32_t)timer.id;
    uint64_t tick;
    uint64_t due_ns;

    if (wheel == NULL || remaining_ns == NULL) {
        return -EINVAL;
    }
    if (!awi_known(wheel, timer)) {
        return -ENOENT;
    }
    r = &wheel->record[index];
    if (!(r->meta & AWI_ARMED)) {
        return -ESRCH;
    }
    switch (awi_slot(r)) {
    case AWI_OVERDUE:
        tick = awi_tick_up(wheel, awi_schedule_ns(wheel, index));
        break;
    case AWI_FAR:
        tick = awi_far_tick(wheel, index);
        break;
    default:
        tick = awi_near_tick(wheel, r->when);
        break;
    }
    due_ns = awi_tick_ns(wheel, tick);
    *remaining_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    return 0;
}

int aw_wheel_next(const struct aw_wheel *wheel, uint64_t *deadline_ns)
{
    uint64_t tick = AWI_NEVER;

    if (wheel == NULL || deadline_ns == NULL) {
        return -EINVAL;
    }
    if (wheel->linked == wheel->dead) {
        *deadline_ns = AW_FOREVER;
        return 0;
    }
    if (AWI_LIKELY(wheel->summary != 0)) {
        tick = awi_near_tick(wheel, wheel->record[awi_first_slot(wheel)].when);
    }
    tick = wheel->far_min < tick ? wheel->far_min : tick;
    tick = wheel->late_at < tick ? wheel->late_at : tick;
    tick = wheel->overdue_at < tick ? wheel->overdue_at : tick;
    if (AWI_UNLIKELY(!awi_empty(wheel, AWI_TODO))) {
        tick = wheel->now;
    }
    *deadline_ns = awi_tick_ns(wheel, tick);
    return 1;
}

uint32_t aw_wheel_armed(const struct aw_wheel *wheel)
{
    return wheel == NULL ? 0 : wheel->linked - wheel->dead - wheel->armed_unref;
}
