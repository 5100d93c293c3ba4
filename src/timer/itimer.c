/* SPDX-License-Identifier: MIT */
/*
 * itimer.c: virtual interval timers: which there are, what they are set to, whom they call. A user of the
 * engine. One of the kind REAL stands on a timer of the wheel; those of the kinds VIRTUAL and PROF share a
 * timer a clock, process_time.c, which is kept set for the earliest of them. The structures and pointers of
 * the caller are itimer_values.c's.
 *
 * A timer is its deadline on its own clock, to the nanosecond. `advance` counts what has run out by a point
 * in time, as a pure function: to read a value changes nothing. To set one counts what ran out before, and
 * that is delivered still, as a signal that is pending is delivered after its timer is stopped.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include <alarmwheel/timer.h>

#include "../busy.h"
#include "../engine/clock.h"
#include "../engine/cover.h"
#include "../engine/engine.h"
#include "../engine/pending.h"
#include "../engine/post.h"
#include "../engine/process_time.h"
#include "itimer.h"

#define CREATED_MAX 1000
#define TIMERS (AWI_ITIMER_KINDS + CREATED_MAX)

enum {
    FREE = -1
};

/* 64 bytes; they stay where they are, and are in nobody's way until they are used. */
struct itimer {
    uint64_t deadline_ns; /* AW_FOREVER: it does not run */
    uint64_t interval_ns;
    uint64_t expirations; /* not delivered yet; 0 without a function */
    aw_itimer_fn *fn;
    void *arg;
    struct aw_timer timer; /* REAL: zero until it is first set */
    struct itimer *next;   /* in the queue */
    int kind;              /* ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF; FREE */
    bool is_queued;        /* maybe with nothing to deliver any more */
};

static struct itimer timers[TIMERS];
static int known; /* those from here on are free */
static unsigned running[AWI_ITIMER_KINDS];
static bool has_looked; /* at the clocks, since the queue was last found empty */
static struct {
    struct itimer *first, **last;
} queue;

/* ---- one timer ---- */

static enum awi_process_clock clock_of(const struct itimer *timer)
{
    return timer->kind == ITIMER_VIRTUAL ? AWI_USER_TIME : AWI_ALL_TIME;
}

static uint64_t now_of(const struct itimer *timer)
{
    if (timer->kind != ITIMER_REAL)
        return awi_process_time_now(clock_of(timer));
    uint64_t now = awi_clock_now();
    awi_recover_if_lost(now);
    return now;
}

/* CLOCK_MONOTONIC ends where the kernel's does; the others have room for a span from any time. */
static uint64_t after(const struct itimer *timer, uint64_t from_ns, uint64_t span_ns)
{
    uint64_t sum = awi_sum(from_ns, span_ns);
    return timer->kind == ITIMER_REAL && sum > AWI_ITIMER_LONGEST ? AWI_ITIMER_LONGEST : sum;
}

/* How often it has run out by now_ns, and what is its deadline then. */
static uint64_t advance(const struct itimer *timer, uint64_t now_ns, uint64_t *deadline_ns)
{
    *deadline_ns = timer->deadline_ns;
    if (timer->deadline_ns > now_ns)
        return 0;
    if (timer->interval_ns == 0) {
        *deadline_ns = AW_FOREVER;
        return 1;
    }
    uint64_t expirations = (now_ns - timer->deadline_ns) / timer->interval_ns + 1;
    *deadline_ns = after(timer, timer->deadline_ns, expirations * timer->interval_ns);
    return expirations;
}

static void set_deadline(struct itimer *timer, uint64_t deadline_ns)
{
    int change = (deadline_ns != AW_FOREVER) - (timer->deadline_ns != AW_FOREVER);
    timer->deadline_ns = deadline_ns;
    running[timer->kind] += (unsigned)change;
    if (timer->kind != ITIMER_REAL)
        awi_engine.keeping += (unsigned)change;
}

static void enqueue(struct itimer *timer)
{
    if (timer->is_queued)
        return;
    timer->is_queued = true;
    timer->next = NULL;
    *queue.last = timer;
    queue.last = &timer->next;
}

/* What has run out by now_ns is to be delivered. True if something has. */
static bool settle(struct itimer *timer, uint64_t now_ns)
{
    uint64_t deadline;
    uint64_t expirations = advance(timer, now_ns, &deadline);
    if (expirations == 0)
        return false;
    set_deadline(timer, deadline);
    if (timer->fn == NULL)
        return false;
    timer->expirations += expirations;
    enqueue(timer);
    return true;
}

/* Its function's turn. The function may do with it what it likes, and need not come back. */
static int deliver(void *record)
{
    struct itimer *timer = record;
    uint64_t expirations = timer->expirations;
    timer->expirations = 0;
    return timer->fn((int)(timer - timers), expirations, timer->arg);
}

/* ---- on the wheel ---- */

static int real_is_due(struct aw_timer handle, void *record)
{
    struct itimer *timer = record;
    settle(timer, awi_clock_now());
    /* A dispatch runs, which programs the alarm at its end: this cannot fail. */
    if (timer->deadline_ns != AW_FOREVER)
        (void)aw_timer_arm_at(handle, timer->deadline_ns);
    return timer->expirations != 0 ? deliver(timer) : 0;
}

static int cover_real(struct itimer *timer, uint64_t deadline_ns)
{
    if (timer->timer.id == 0) {
        int result = deadline_ns == AW_FOREVER ? 0 : aw_timer_create(&timer->timer, real_is_due, timer);
        if (result < 0 || deadline_ns == AW_FOREVER)
            return result;
    }
    if (deadline_ns != AW_FOREVER)
        return aw_timer_arm_at(timer->timer, deadline_ns);
    aw_timer_disarm(timer->timer);
    return 0;
}

/* ---- on processor time ---- */

/* The earliest of that kind, but for `except`. */
static uint64_t earliest(int kind, const struct itimer *except)
{
    uint64_t need = AW_FOREVER;
    for (const struct itimer *timer = timers; timer != timers + known; ++timer)
        if (timer->kind == kind && timer != except && timer->deadline_ns < need)
            need = timer->deadline_ns;
    return need;
}

/*
 * A stopped timer leaves what is programmed as it is, for the others; the last one does not: while a timer is
 * set on it, the kernel keeps that clock by ticks for all of the process.
 */
static int cover_burnt(struct itimer *timer, uint64_t deadline_ns, uint64_t now_ns)
{
    enum awi_process_clock clock = clock_of(timer);
    if (deadline_ns == AW_FOREVER) {
        unsigned others = running[timer->kind] - (timer->deadline_ns != AW_FOREVER);
        if (others == 0)
            (void)awi_process_time_cover(clock, AW_FOREVER, now_ns); /* it rings in vain, once */
        return 0;
    }
    int result = awi_process_time_open(clock);
    if (result < 0)
        return result;
    if (awi_process_time_armed_at(clock) <= now_ns) {
        uint64_t need = earliest(timer->kind, timer);
        deadline_ns = need < deadline_ns ? need : deadline_ns;
    }
    return awi_process_time_cover(clock, deadline_ns, now_ns);
}

/* What is due on that clock is queued. */
static void look(int kind)
{
    if (running[kind] == 0)
        return;
    enum awi_process_clock clock = kind == ITIMER_VIRTUAL ? AWI_USER_TIME : AWI_ALL_TIME;
    uint64_t now = awi_process_time_now(clock);
    if (now < awi_process_time_armed_at(clock))
        return;
    for (struct itimer *timer = timers; timer != timers + known; ++timer)
        if (timer->kind == kind)
            settle(timer, now);
    /* Where it cannot be programmed, the next dispatch tries again. */
    (void)awi_process_time_cover(clock, earliest(kind, NULL), now);
}

/* ---- as a source of callbacks ---- */

/* The clocks are looked at once a dispatch, so that a signal that was lost costs no more than that. */
static bool take(struct awi_posted *next)
{
    if (awi_process_time_rang() || !has_looked) {
        has_looked = true;
        look(ITIMER_VIRTUAL);
        look(ITIMER_PROF);
    }
    while (queue.first != NULL) {
        struct itimer *timer = queue.first;
        queue.first = timer->next;
        if (queue.first == NULL)
            queue.last = &queue.first;
        timer->is_queued = false;
        if (timer->expirations != 0) {
            *next = (struct awi_posted){ deliver, timer };
            return true;
        }
    }
    has_looked = false;
    return false;
}

static void forget(void)
{
    awi_engine.keeping -= running[ITIMER_VIRTUAL] + running[ITIMER_PROF];
    for (int kind = 0; kind < AWI_ITIMER_KINDS; ++kind)
        running[kind] = 0;
    known = 0;
}

static void close_all(void)
{
    awi_process_time_close();
    forget();
}

static void forked(bool was_owner)
{
    (void)was_owner;
    awi_process_time_forked();
    forget();
}

static const struct awi_source source = {
    .flag = AWI_ITIMER, .take = take, .close = close_all, .forked = forked
};

static void begin(struct itimer *timer, int kind, aw_itimer_fn *fn, void *arg)
{
    bool is_queued = timer->is_queued;
    struct itimer *next = timer->next;
    *timer = (struct itimer){ .deadline_ns = AW_FOREVER, .fn = fn, .arg = arg, .kind = kind };
    timer->is_queued = is_queued;
    timer->next = next;
}

int awi_itimer_open(void)
{
    int denied = awi_check();
    if (denied < 0 || awi_engine.itimers != NULL)
        return denied;
    for (known = 0; known < AWI_ITIMER_KINDS; ++known) {
        timers[known].is_queued = false;
        begin(&timers[known], known, NULL, NULL);
    }
    queue.first = NULL;
    queue.last = &queue.first;
    has_looked = false;
    awi_engine.itimers = &source;
    return 0;
}

static struct itimer *find(int id)
{
    return id >= 0 && id < known && timers[id].kind != FREE ? &timers[id] : NULL;
}

/* ---- for itimer_values.c ---- */

bool awi_itimer_exists(int id)
{
    return find(id) != NULL;
}

static struct awi_itimer_value value_of(const struct itimer *timer, uint64_t now_ns)
{
    uint64_t deadline;
    advance(timer, now_ns, &deadline);
    return (struct awi_itimer_value){ .left_ns = deadline != AW_FOREVER ? deadline - now_ns : 0,
                                      .interval_ns = timer->interval_ns };
}

/* One that is due by its clock though nobody has said so: its signal is on its way, or was lost. */
struct awi_itimer_value awi_itimer_value(int id)
{
    const struct itimer *timer = find(id);
    uint64_t now = timer->deadline_ns != AW_FOREVER ? now_of(timer) : 0;
    if (timer->kind != ITIMER_REAL && timer->deadline_ns <= now)
        awi_raise(AWI_ITIMER);
    return value_of(timer, now);
}

int awi_itimer_set(int id, const struct awi_itimer_value *value, struct awi_itimer_value *old)
{
    struct itimer *timer = find(id);
    bool is_real = timer->kind == ITIMER_REAL;
    uint64_t now = now_of(timer);
    uint64_t deadline = AW_FOREVER;
    if (value->left_ns != 0)
        deadline = after(timer, now, is_real ? value->left_ns : value->left_ns + awi_process_time_tick());
    int result = is_real ? cover_real(timer, deadline) : cover_burnt(timer, deadline, now);
    if (result < 0)
        return result;
    *old = value_of(timer, now);
    if (settle(timer, now))
        awi_raise(AWI_ITIMER);
    set_deadline(timer, deadline);
    timer->interval_ns = is_real && value->left_ns == 0 ? 0 : value->interval_ns;
    return 0;
}

/* ---- the public functions that are about no value ---- */

AWI_OUTLINE int aw_itimer_create(int which, aw_itimer_fn *fn, void *arg)
{
    AWI_BUSY;
    int denied = awi_itimer_open();
    if (denied < 0)
        return denied;
    if (which < 0 || which >= AWI_ITIMER_KINDS || fn == NULL)
        return -EINVAL;
    int id = AWI_ITIMER_KINDS;
    while (id < known && timers[id].kind != FREE)
        ++id;
    if (id == TIMERS)
        return -ENOSPC;
    if (id == known)
        timers[id].is_queued = false;
    begin(&timers[id], which, fn, arg);
    if (which == ITIMER_REAL) {
        int result = aw_timer_create(&timers[id].timer, real_is_due, &timers[id]);
        if (result < 0) {
            timers[id].kind = FREE;
            return result;
        }
    }
    known += id == known;
    return id;
}

AWI_OUTLINE int aw_itimer_delete(int id)
{
    AWI_BUSY;
    int denied = awi_itimer_open();
    if (denied < 0)
        return denied;
    struct itimer *timer = find(id);
    if (timer == NULL || id < AWI_ITIMER_KINDS)
        return -EINVAL;
    if (timer->kind == ITIMER_REAL)
        aw_timer_delete(timer->timer);
    else if (timer->deadline_ns != AW_FOREVER)
        (void)cover_burnt(timer, AW_FOREVER, 0);
    set_deadline(timer, AW_FOREVER);
    timer->expirations = 0;
    timer->kind = FREE;
    return 0;
}

/* What ran out while there was no function is lost, even if nobody has looked since. */
AWI_OUTLINE int aw_itimer_callback(int id, aw_itimer_fn *fn, void *arg)
{
    AWI_BUSY;
    int denied = awi_itimer_open();
    if (denied < 0)
        return denied;
    struct itimer *timer = find(id);
    if (timer == NULL)
        return -EINVAL;
    if (timer->fn == NULL && timer->deadline_ns != AW_FOREVER)
        settle(timer, now_of(timer));
    timer->fn = fn;
    timer->arg = arg;
    if (fn == NULL)
        timer->expirations = 0;
    return 0;
}
