/* SPDX-License-Identifier: MIT */
/*
 * model.h: what the wheel promises, as plainly as it can be said: an array of timers that is searched from
 * end to end. The property test runs a wheel and this model side by side. No wheel code in here.
 *
 * Times are exact nanoseconds until they are compared; `tick` is the tick at which a timer may run first.
 */
#ifndef AWI_MODEL_H
#define AWI_MODEL_H

#include <alarmwheel/wheel.h>

#include <stdbool.h>

enum {
    MODEL_TIMERS = 96
};

struct model_timer {
    struct aw_timer handle; /* id 0: there is no such timer */
    uint64_t schedule_ns;   /* periodic: the exact time it is meant for */
    uint64_t tick;
    uint64_t interval; /* period, or the last delay */
    unsigned dispatch; /* the number of the dispatch that ran, or was the last, when it was armed */
    enum aw_missed missed;
    bool armed;
    bool periodic;
    bool overdue; /* its schedule had passed when it was armed: due in the next dispatch, whenever that is */
    bool has_interval;
    bool unref;
};

struct model {
    struct model_timer timer[MODEL_TIMERS];
    unsigned shift;
    unsigned count; /* timers that exist */
    unsigned armed; /* those armed, unref'd ones aside */
    unsigned armed_all;
    unsigned dispatch;        /* number of the latest dispatch */
    bool running;             /* within it */
    uint64_t now_ns;          /* the latest time */
    uint64_t floor;           /* the first tick that an expired deadline turns into */
    uint64_t last_tick;       /* of the timer that ran last in this dispatch */
    unsigned current;         /* the timer whose callback runs, or MODEL_TIMERS */
    bool current_goes_on;     /* AW_MISSED_DELAY, and the callback has not touched it */
    uint64_t expected_missed; /* its overrun */
};

void model_init(struct model *m, unsigned shift, uint64_t start_ns);
uint64_t model_tick_up(const struct model *m, uint64_t ns);
uint64_t model_tick_ns(const struct model *m, uint64_t tick);

void model_created(struct model *m, unsigned i, struct aw_timer handle);
void model_deleted(struct model *m, unsigned i);
void model_arm_at(struct model *m, unsigned i, uint64_t deadline_ns);
void model_arm(struct model *m, unsigned i, uint64_t now_ns, uint64_t delay_ns);
void model_arm_every(struct model *m, unsigned i, uint64_t first_ns, uint64_t period_ns,
                     enum aw_missed missed);
int model_again(struct model *m, unsigned i, uint64_t now_ns); /* 0 or -EINVAL */
int model_disarm(struct model *m, unsigned i);                 /* 1 or 0 */
void model_unref(struct model *m, unsigned i);

void model_dispatch_begins(struct model *m, uint64_t now_ns);
/* Timer i's callback is called: NULL, or what is wrong about that. */
const char *model_runs(struct model *m, unsigned i);
void model_ran(struct model *m, unsigned i);
/* `wheel_now` is how far the wheel came; complete: everything that was due must have run. */
const char *model_dispatch_ends(struct model *m, uint64_t wheel_now, bool complete);

/* The earliest tick of any armed timer, UINT64_MAX if none is. */
uint64_t model_earliest(const struct model *m);
uint64_t model_remaining(const struct model *m, unsigned i, uint64_t now_ns);

#endif
