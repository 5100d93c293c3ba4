/* SPDX-License-Identifier: MIT */
/*
 * model.c: the model of model.h. Slow and obvious on purpose; every question is answered by looking at all.
 */
#include "model.h"

#include <errno.h>
#include <string.h>

void model_init(struct model *m, unsigned shift, uint64_t start_ns)
{
    memset(m, 0, sizeof(*m));
    m->shift = shift;
    m->now_ns = start_ns;
    m->floor = start_ns >> shift;
    m->current = MODEL_TIMERS;
}

uint64_t model_tick_up(const struct model *m, uint64_t ns)
{
    uint64_t tick = ns >> m->shift;

    return tick << m->shift == ns ? tick : tick + 1;
}

uint64_t model_tick_ns(const struct model *m, uint64_t tick)
{
    return tick > UINT64_MAX >> m->shift ? UINT64_MAX : tick << m->shift;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

static void set_armed(struct model *m, unsigned i, bool armed)
{
    struct model_timer *t = &m->timer[i];

    if (t->armed != armed) {
        unsigned step = armed ? 1U : -1U;

        m->armed_all += step;
        m->armed += t->unref ? 0 : step;
    }
    t->armed = armed;
    if (i == m->current) {
        m->current_goes_on = false;
    }
}

void model_created(struct model *m, unsigned i, struct aw_timer handle)
{
    m->timer[i] = (struct model_timer){ .handle = handle };
    m->count++;
}

void model_deleted(struct model *m, unsigned i)
{
    set_armed(m, i, false);
    m->timer[i].handle.id = 0;
    m->count--;
    if (i == m->current) {
        m->current = MODEL_TIMERS;
    }
}

void model_arm_at(struct model *m, unsigned i, uint64_t deadline_ns)
{
    struct model_timer *t = &m->timer[i];
    uint64_t tick = model_tick_up(m, deadline_ns);

    set_armed(m, i, true);
    t->periodic = false;
    t->overdue = false;
    t->dispatch = m->dispatch;
    t->tick = tick < m->floor ? m->floor : tick;
}

void model_arm(struct model *m, unsigned i, uint64_t now_ns, uint64_t delay_ns)
{
    model_arm_at(m, i, sum(now_ns, delay_ns));
    m->timer[i].interval = delay_ns;
    m->timer[i].has_interval = true;
}

static void arm_schedule(struct model *m, unsigned i, uint64_t schedule_ns)
{
    struct model_timer *t = &m->timer[i];

    model_arm_at(m, i, schedule_ns);
    t->periodic = true;
    t->schedule_ns = schedule_ns;
    t->overdue = model_tick_up(m, schedule_ns) < m->floor;
}

void model_arm_every(struct model *m, unsigned i, uint64_t first_ns, uint64_t period_ns,
                     enum aw_missed missed)
{
    m->timer[i].interval = period_ns;
    m->timer[i].has_interval = true;
    m->timer[i].missed = missed;
    arm_schedule(m, i, first_ns);
}

int model_again(struct model *m, unsigned i, uint64_t now_ns)
{
    struct model_timer *t = &m->timer[i];

    if (!t->has_interval) {
        return -EINVAL;
    }
    if (t->periodic) {
        arm_schedule(m, i, sum(now_ns, t->interval));
    } else {
        model_arm_at(m, i, sum(now_ns, t->interval));
    }
    return 0;
}

int model_disarm(struct model *m, unsigned i)
{
    int was = m->timer[i].armed || (i == m->current && m->current_goes_on);

    set_armed(m, i, false);
    return was;
}

void model_unref(struct model *m, unsigned i)
{
    struct model_timer *t = &m->timer[i];

    if (t->armed && !t->unref) {
        m->armed--;
    }
    t->unref = true;
}

static uint64_t target(const struct model *m)
{
    return m->now_ns >> m->shift;
}

void model_dispatch_begins(struct model *m, uint64_t now_ns)
{
    m->now_ns = now_ns > m->now_ns ? now_ns : m->now_ns;
    m->dispatch++;
    m->running = true;
    m->floor = target(m) + 1;
    m->last_tick = 0;
}

/* Whether this dispatch has to run the timer. */
static bool is_due(const struct model *m, const struct model_timer *t)
{
    return t->armed && (t->overdue ? t->dispatch != m->dispatch : t->tick <= target(m));
}

const char *model_runs(struct model *m, unsigned i)
{
    struct model_timer *t = &m->timer[i];

    if (!m->running) {
        return "a callback outside a dispatch";
    }
    if (t->handle.id == 0 || !t->armed) {
        return "a timer ran that was not armed";
    }
    if (!is_due(m, t)) {
        return "a timer ran before it was due";
    }
    if (!t->overdue) {
        if (t->tick < m->last_tick) {
            return "timers ran out of order";
        }
        m->last_tick = t->tick;
        for (unsigned k = 0; k < MODEL_TIMERS; k++) {
            if (is_due(m, &m->timer[k]) && !m->timer[k].overdue && m->timer[k].tick < t->tick) {
                return "a timer ran before one with an earlier deadline";
            }
        }
    }
    m->current = MODEL_TIMERS;
    set_armed(m, i, false);
    m->current = i;
    m->expected_missed = 0;
    m->current_goes_on = false;
    if (t->periodic) {
        switch (t->missed) {
        case AW_MISSED_SKIP:
            m->expected_missed = (m->now_ns - t->schedule_ns) / t->interval;
            arm_schedule(m, i, sum(t->schedule_ns + m->expected_missed * t->interval, t->interval));
            break;
        case AW_MISSED_BURST:
            arm_schedule(m, i, sum(t->schedule_ns, t->interval));
            break;
        case AW_MISSED_DELAY:
            m->current_goes_on = true;
            break;
        }
    }
    return NULL;
}

void model_ran(struct model *m, unsigned i)
{
    bool goes_on = m->current == i && m->current_goes_on;

    m->current = MODEL_TIMERS;
    if (goes_on) {
        arm_schedule(m, i, sum(m->now_ns, m->timer[i].interval));
    }
}

const char *model_dispatch_ends(struct model *m, uint64_t wheel_now, bool complete)
{
    m->running = false;
    m->floor = wheel_now;
    if (wheel_now > target(m) || (complete && wheel_now != target(m))) {
        return "the wheel's time is wrong";
    }
    for (unsigned k = 0; k < MODEL_TIMERS; k++) {
        const struct model_timer *t = &m->timer[k];

        if (complete && is_due(m, t)) {
            return "a timer was due and did not run";
        }
        if (t->armed && !t->overdue && t->tick < wheel_now) {
            return "the wheel's time has passed a timer";
        }
    }
    return NULL;
}

uint64_t model_earliest(const struct model *m)
{
    uint64_t least = UINT64_MAX;

    for (unsigned k = 0; k < MODEL_TIMERS; k++) {
        if (m->timer[k].armed && m->timer[k].tick < least) {
            least = m->timer[k].tick;
        }
    }
    return least;
}

uint64_t model_remaining(const struct model *m, unsigned i, uint64_t now_ns)
{
    const struct model_timer *t = &m->timer[i];
    uint64_t due = model_tick_ns(m, t->periodic ? model_tick_up(m, t->schedule_ns) : t->tick);

    return due > now_ns ? due - now_ns : 0;
}
