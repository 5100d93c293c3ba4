/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c: the safe point. It runs on the owner's thread, called by the program or by a wait, drains
 * what is pending, runs the callbacks, and publishes the next need.
 *
 * The order at the start, and the handler in between:
 *
 *   timer_need = none     a handler here finds TIMER still raised, or the need gone: it flags nothing twice
 *   raise DISPATCHING
 *   clear TIMER, POST, .. from here on a flag that is raised belongs to the next dispatch
 *   read the queue, run
 *
 * DISPATCHING stays raised while callbacks run. It costs their own safe points a function call, and buys
 * this: when a callback leaves by longjmp or throw, the next safe point anywhere finds the flag, finds the
 * dispatcher's frame gone, and carries on. Nothing is lost with the frame: the wheel is whole between two
 * callbacks, and timer_need is published again.
 */
#include "dispatch.h"

#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../busy.h"
#include "clock.h"
#include "cover.h"
#include "disposition.h"
#include "engine.h"
#include "guards.h"
#include "post.h"

/* A dispatch under way. */
struct round {
    struct awi_frame frame;
    const void *busy;
    uint64_t epoch;
    uint64_t now_ns;
    uint32_t base;
    uint32_t shields;
    unsigned callbacks;
    int result; /* the negative value of a callback, or 0 */
};

/*
 * Guards that were entered outside the callback neither interrupt it nor time it out. A handler that comes
 * before `base` is stored may drop SA_RESTART for them, and it is put back; one that comes later sees none to
 * drop it for. That protects the engine, too: no mark of being busy has to stay behind if the callback leaves
 * by longjmp.
 */
static void callback_begins(struct round *round)
{
    AWI_STORE(awi.base, AWI_LOAD(awi.depth));
    awi_order();
    awi_disposition_settle();
    round->busy = awi_busy_frame;
    awi_busy_end(NULL);
    ++round->callbacks;
}

/*
 * The engine is not the one that called the callback: that forked. Nothing of the old one may be touched.
 */
static bool is_another_engine(const struct round *round)
{
    return awi_engine.epoch != round->epoch;
}

/* Drops the guards that the callback entered and did not leave. False: stop here. */
static bool callback_returned(struct round *round, int result)
{
    awi_busy_end(round->busy);
    if (is_another_engine(round))
        return false;
    uint32_t base = AWI_LOAD(awi.base);
    if (AWI_LOAD(awi.depth) > base)
        awi_guards_drop(base);
    AWI_STORE(awi.base, round->base);
    AWI_STORE(awi.shields, round->shields);
    if (result < 0)
        round->result = result;
    return result >= 0;
}

static void note_lateness(uint64_t now_ns, uint64_t deadline_ns)
{
    if (now_ns > deadline_ns && now_ns - deadline_ns > awi_engine.worst_lateness_ns)
        awi_engine.worst_lateness_ns = now_ns - deadline_ns;
}

/* False: stop here. */
static bool run_timers(struct round *round, unsigned budget)
{
    struct aw_wheel *wheel = awi_engine.wheel;
    struct awi_due due;
    uint64_t missed;
    bool go_on = true;

    awi_wheel_begin(wheel, round->now_ns);
    while (go_on && awi_wheel_pop(wheel, &budget, &due) == 1) {
        note_lateness(round->now_ns, due.deadline_ns);
        if (aw_wheel_timer_overrun(wheel, due.timer, &missed) == 0)
            awi_engine.overruns += missed;
        ++awi_engine.expirations;
        callback_begins(round);
        go_on = callback_returned(round, due.fn(due.timer, due.arg));
        if (is_another_engine(round))
            return false;
        round->now_ns = awi_clock_now();
        awi_wheel_ran(wheel, round->now_ns);
    }
    awi_wheel_end(wheel);
    return go_on;
}

/*
 * At most as many as were there at the start could be, so that functions which post themselves do not keep
 * us here.
 */
static bool run_taken(struct round *round, bool (*take)(struct awi_posted *next), uint32_t flag)
{
    struct awi_posted next;
    for (unsigned most = 1024; most != 0; --most) {
        if (!take(&next))
            return true;
        callback_begins(round);
        if (!callback_returned(round, next.fn(next.arg)))
            return false;
    }
    awi_raise(flag);
    return true;
}

static bool run_source(struct round *round, const struct awi_source *source)
{
    return source == NULL || run_taken(round, source->take, source->flag);
}

/* Signals first: they were sent to be heard. Where a callback ends it, nobody knows what is left. */
static void run_all(struct round *round, unsigned budget)
{
    bool all = run_source(round, awi_engine.signals) && run_timers(round, budget) &&
               run_source(round, awi_engine.itimers) && run_taken(round, awi_post_take, AWI_POST);
    if (!all && !is_another_engine(round))
        awi_raise(AWI_POST | (awi_engine.signals != NULL ? AWI_SIGNAL : 0) |
                  (awi_engine.itimers != NULL ? AWI_ITIMER : 0));
}

/*
 * At the end, so that a dispatch that is left by longjmp leaves it readable. What was raised before it is
 * drained is seen by the look after that, and what is raised later rings by itself.
 */
static void drain_wakeup_fd(void)
{
    int fd = AWI_LOAD(awi.wakeup_fd);
    if (fd >= 0) {
        int saved_errno = errno;
        uint64_t count;
        while (syscall(SYS_read, fd, &count, sizeof count) < 0 && errno == EINTR) {
        }
        errno = saved_errno;
        if ((awi_flags() & (AWI_CALLBACKS | AWI_QUIT)) != 0 || awi_nagging_guards() != 0)
            awi_wakeup_ring(fd);
    }
}

/* The dispatch is over: the earliest timer that is left counts again. */
static int publish_next_timer(uint64_t now_ns)
{
    uint64_t next = AW_FOREVER;
    aw_wheel_next(awi_engine.wheel, &next);
    AWI_STORE(awi.timer_need, next);
    awi_order();
    awi_clear(AWI_DISPATCHING);
    if (next > now_ns)
        return awi_cover(awi_sum(next, AWI_LOAD(awi.slack_ns)));
    awi_raise(AWI_TIMER);
    return 0;
}

/* Marks what the clock says has expired, and tells. */
static int report_guards(uint64_t now_ns)
{
    if (AWI_LIKELY(AWI_LOAD(awi.depth) == 0))
        return 0;
    awi.expire(now_ns);
    if (awi_expired_guards() == 0)
        return 0;
    awi_guards_told();
    return -ETIMEDOUT;
}

/*
 * A callback's own result comes out, and the program is not told of a guard that expired meanwhile. The
 * handler did not arm a nag for it while the callback hid it: that is made good here.
 */
static void nag_for_hidden_guards(void)
{
    if (AWI_LOAD(awi.depth) != 0)
        awi_cover_slow(false);
}

/* A dispatch whose frame is gone: its callback never returned. */
static void abandon(void)
{
    awi_wheel_abandon(awi_engine.wheel);
    if (awi_engine.signals != NULL)
        awi_engine.signals->abandoned();
    awi.dispatcher.frame = NULL;
    AWI_STORE(awi.base, 0);
    awi_raise(AWI_CALLBACKS);
    publish_next_timer(awi_clock_now());
}

bool awi_in_callback(const void *here)
{
    if (AWI_LIKELY((awi_flags() & AWI_DISPATCHING) == 0))
        return false;
    if (awi_frame_is_open(&awi.dispatcher, here))
        return true;
    abandon();
    return false;
}

/* An aw_quit is nobody's any more where its aw_run has just ended, or was left by longjmp. */
AWI_OUTLINE bool awi_told_to_quit(void)
{
    if (AWI_LIKELY((awi_flags() & AWI_QUIT) == 0))
        return false;
    if (awi_frame_is_open(&awi_engine.runner, AWI_HERE))
        return true;
    __atomic_store_n(&awi.running, 0, __ATOMIC_SEQ_CST);
    awi_clear(AWI_QUIT);
    return false;
}

int awi_dispatch(unsigned budget, const void *here)
{
    struct round round = { .epoch = awi_engine.epoch,
                           .now_ns = awi_clock_now(),
                           .shields = AWI_LOAD(awi.shields) };

    awi_guards_prune(here);
    awi_recover_if_lost(round.now_ns);
    if (awi_in_callback(here))
        return report_guards(round.now_ns);
    awi_told_to_quit();

    awi_frame_open(&round.frame, &awi.dispatcher);
    AWI_STORE(awi.timer_need, AW_FOREVER);
    awi_order();
    __atomic_fetch_or(&awi_pending, AWI_DISPATCHING, __ATOMIC_SEQ_CST);
    awi_clear(AWI_CALLBACKS);

    run_all(&round, budget != 0 ? budget : awi_engine.budget);
    if (is_another_engine(&round))
        return -ENODEV;

    awi_frame_close(&round.frame, &awi.dispatcher);
    int result = publish_next_timer(round.now_ns);
    if (round.result < 0)
        result = round.result;
    if (result < 0)
        nag_for_hidden_guards();
    else
        result = report_guards(round.now_ns);
    drain_wakeup_fd();
    return result < 0 ? result : (int)(round.callbacks < INT_MAX ? round.callbacks : INT_MAX);
}

int awi_timer_need(uint64_t need_ns, const void *here)
{
    uint64_t before = AWI_LOAD(awi.timer_need);
    if (AWI_LIKELY(need_ns >= before)) {
        ++awi.avoided;
        return 0;
    }
    if (awi_in_callback(here))
        return 0;
    AWI_STORE(awi.timer_need, need_ns);
    awi_order();
    uint64_t programmed = awi.programmed;
    int result = awi_cover(awi_sum(need_ns, AWI_LOAD(awi.slack_ns)));
    awi.avoided += programmed == awi.programmed;
    if (result < 0)
        AWI_STORE(awi.timer_need, before);
    return result;
}

/* `here` is the frame of the public function: none of the library's lies above it. */
static int safepoint(unsigned budget, const void *here)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    const void *outer = awi_busy_begin();
    int result = awi_dispatch(budget, here);
    awi_busy_end(outer);
    return awi_escape_if_due(result, here);
}

AWI_OUTLINE int aw_dispatch(unsigned budget)
{
    return safepoint(budget, AWI_HERE);
}

AWI_OUTLINE int aw_safepoint_slow(void)
{
    int result = safepoint(0, AWI_HERE);
    return result < 0 ? result : 0;
}
