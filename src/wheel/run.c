/* SPDX-License-Identifier: MIT */
/*
 * run.c: the dispatch. Moves the wheel's time forward from one occupied slot to the next, takes what lies
 * there, and hands out what is due; the engine calls its steps (wheel_run.h), everybody else
 * aw_wheel_dispatch. No pointer into the arrays lives across a callback: the slab may grow in it.
 */
#include "../busy.h"
#include "wheel_run.h"

#include "levels.h"

#include <errno.h>
#include <limits.h>

void awi_wheel_begin(struct aw_wheel *w, uint64_t now_ns)
{
    if (now_ns > w->now_ns) {
        w->now_ns = now_ns;
    }
    w->target = awi_tick_down(w, w->now_ns);
    w->floor = w->target + 1;
    w->running = true;
    w->current = 0;
    w->delayed = 0;
    awi_collect(w);
    if (AWI_UNLIKELY(w->overdue_at != AWI_NEVER)) {
        uint64_t at = w->overdue_at < w->target ? w->overdue_at : w->target;

        awi_splice(w, AWI_LATE, AWI_OVERDUE);
        w->late_at = at < w->late_at ? at : w->late_at;
    }
}

/*
 * The todo list is empty: fills it with what comes next, and moves `now` there. False: nothing is left up to
 * the target, where `now` then is.
 *
 * `now` must never pass the start of an occupied slot, nor come to stand on one, other than by emptying it:
 * from then on its ticks belong to lower levels. So a slot goes before a list that is due at its very start.
 * Within the slot that is emptied `now` goes on to its minimum, since nothing else can be due before: the
 * timer that is waited for then runs at once, however high its level. The slot's head says that it begins
 * there, which keeps re-arming lazy for what is on the todo list.
 */
static bool advance(struct aw_wheel *w)
{
    uint32_t slot = awi_first_slot(w);
    uint64_t start = slot < AWI_SLOTS ? awi_near_tick(w, w->record[slot].meta) : AWI_NEVER;
    uint64_t other = w->late_at < w->far_min ? w->late_at : w->far_min;
    uint64_t least;

    if (AWI_UNLIKELY(other <= w->target) && (other < start || other <= w->now)) {
        w->now = other > w->now ? other : w->now;
        awi_splice(w, AWI_TODO, other == w->late_at ? AWI_LATE : AWI_FAR);
        return true;
    }
    if (start > w->target) {
        w->now = w->target;
        return false;
    }
    least = awi_near_tick(w, w->record[slot].when);
    other = other < w->target ? other : w->target;
    w->now = least < other ? least : other;
    w->record[slot].meta = (uint32_t)w->now;
    awi_splice(w, AWI_TODO, slot);
    return true;
}

/* When a timer on the todo list is due. One that was taken from the late ones is so by being there. */
static inline uint64_t due_tick(const struct aw_wheel *w, uint32_t index)
{
    const struct awi_record *r = &w->record[index];

    if (AWI_LIKELY(awi_slot(r) < AWI_SLOTS)) {
        return awi_near_tick(w, r->when);
    }
    return awi_slot(r) == AWI_FAR ? awi_far_tick(w, index) : w->now;
}

/* The next period, before the callback, so that it can disarm or change what it finds. */
static void reschedule(struct aw_wheel *w, uint32_t index, uint64_t schedule_ns)
{
    uint64_t interval = w->interval[index - AWI_FIRST];
    uint64_t period = interval & (AWI_PERIOD_LIMIT - 1);
    uint64_t late = w->now_ns - schedule_ns;

    switch ((enum aw_missed)(interval >> AWI_MISSED_SHIFT)) {
    case AW_MISSED_SKIP:
        w->missed = late / period;
        awi_arm_schedule(w, index, awi_sum(w->now_ns - late % period, period));
        break;
    case AW_MISSED_BURST:
        awi_arm_schedule(w, index, awi_sum(schedule_ns, period));
        break;
    case AW_MISSED_DELAY:
        w->delayed = index;
        break;
    }
}

/* An unlinked record whose time has come becomes the current timer. */
static void hand_out(struct aw_wheel *w, uint32_t index, struct awi_due *due)
{
    struct awi_record *r = &w->record[index];
    const struct awi_call *call = &w->call[index - AWI_FIRST];

    r->meta = (r->meta & ~(AWI_SLOT_MASK | AWI_ARMED)) | AWI_NONE;
    w->linked--;
    if (AWI_UNLIKELY(r->meta & AWI_UNREF)) {
        w->armed_unref--;
    }
    w->current = index;
    w->missed = 0;
    due->timer.id = awi_id(w, index);
    due->fn = call->fn;
    due->arg = call->arg;
    if (AWI_LIKELY(!(r->meta & AWI_PERIODIC))) {
        due->deadline_ns = awi_tick_ns(w, w->now);
    } else {
        due->deadline_ns = awi_schedule_ns(w, index);
        reschedule(w, index, due->deadline_ns);
    }
}

/*
 * Looks at a record of the todo list, which has forgotten it already. The dead are laid off; what was moved
 * later, or is due within a slot of a lower level, is linked anew. True: it is due.
 */
static inline bool visit(struct aw_wheel *w, uint32_t index)
{
    uint64_t tick;

    if (AWI_UNLIKELY(!(w->record[index].meta & AWI_ARMED))) {
        awi_lay_off(w, index);
        return false;
    }
    tick = due_tick(w, index);
    if (tick <= w->now) {
        return true;
    }
    if (tick - w->now < UINT64_C(1) << 2 * AWI_LEVEL_BITS) {
        __builtin_prefetch(&w->call[index - AWI_FIRST]); /* it may well run in this very dispatch */
    }
    awi_link(w, index, tick);
    return false;
}

/*
 * Visits the todo list until a timer is due, and returns that one, unlinked; 0 if the list or the budget came
 * to its end.
 *
 * With many timers each record is a cache miss, and a list can only be followed one miss after the other. So
 * it is followed from both ends in turn, and while it lasts its head is kept in registers: through memory,
 * the processor would take either end's stores for what the other's loads wait for.
 */
static uint32_t drain(struct aw_wheel *w, unsigned *budget)
{
    struct awi_record *record = w->record;
    uint32_t first = record[AWI_TODO].next;
    uint32_t last = record[AWI_TODO].prev;
    unsigned left = *budget;
    uint32_t due = 0;

    while (first != AWI_TODO && left > 0) {
        bool from_first = left & 1;
        bool only = first == last;
        uint32_t index = from_first ? first : last;
        uint32_t next = record[index].next;
        uint32_t prev = record[index].prev;

        if (from_first) {
            first = next;
        } else {
            last = prev;
        }
        if (only) {
            first = AWI_TODO;
            last = AWI_TODO;
        }
        left--;
        if (visit(w, index)) {
            due = index;
            if (first != AWI_TODO) {
                __builtin_prefetch(&w->call[first - AWI_FIRST]); /* while this one's callback runs */
                __builtin_prefetch(&w->call[last - AWI_FIRST]);
            }
            break;
        }
    }
    *budget = left;
    record[AWI_TODO].next = first;
    record[AWI_TODO].prev = last;
    record[first].prev = AWI_TODO;
    record[last].next = AWI_TODO;
    return due;
}

int awi_wheel_pop(struct aw_wheel *w, unsigned *budget, struct awi_due *due)
{
    for (;;) {
        uint32_t index;

        if (awi_empty(w, AWI_TODO) && !advance(w)) {
            return 0;
        }
        if (*budget == 0) {
            return -EAGAIN;
        }
        index = drain(w, budget);
        if (index != 0) {
            hand_out(w, index, due);
            return 1;
        }
    }
}

void awi_wheel_ran(struct aw_wheel *w, uint64_t now_ns)
{
    uint32_t index = w->delayed;

    w->current = 0;
    if (AWI_UNLIKELY(index != 0)) {
        w->delayed = 0;
        awi_arm_schedule(w, index, awi_sum(now_ns, w->interval[index - AWI_FIRST] & (AWI_PERIOD_LIMIT - 1)));
    }
}

void awi_wheel_end(struct aw_wheel *w)
{
    w->running = false;
    w->current = 0;
    w->delayed = 0;
    w->floor = w->now;
}

void awi_wheel_abandon(struct aw_wheel *w)
{
    awi_wheel_end(w);
}

bool awi_wheel_knows(const struct aw_wheel *w, struct aw_timer timer)
{
    return awi_known(w, timer);
}

uint64_t awi_wheel_round_up(const struct aw_wheel *w, uint64_t ns)
{
    return awi_tick_ns(w, awi_tick_up(w, ns));
}

int aw_wheel_dispatch(struct aw_wheel *wheel, uint64_t now_ns, unsigned budget)
{
    AWI_BUSY;
    unsigned left = budget == 0 ? UINT_MAX : budget;
    struct awi_due due;
    int count = 0;
    int found;

    if (wheel == NULL) {
        return -EINVAL;
    }
    if (wheel->running) {
        return -EDEADLK;
    }
    awi_wheel_begin(wheel, now_ns);
    while ((found = awi_wheel_pop(wheel, &left, &due)) != 0) {
        int result;

        if (found < 0) {
            if (budget != 0) {
                break;
            }
            left = UINT_MAX;
            continue;
        }
        result = due.fn(due.timer, due.arg);
        awi_wheel_ran(wheel, wheel->now_ns);
        if (result < 0) {
            count = result;
            break;
        }
        if (count < INT_MAX) {
            count++;
        }
    }
    awi_wheel_end(wheel);
    return count;
}

int aw_wheel_timer_overrun(const struct aw_wheel *wheel, struct aw_timer timer, uint64_t *missed)
{
    if (wheel == NULL || missed == NULL) {
        return -EINVAL;
    }
    if (!awi_known(wheel, timer)) {
        return -ENOENT;
    }
    *missed = wheel->current == (uint32_t)timer.id ? wheel->missed : 0;
    return 0;
}
