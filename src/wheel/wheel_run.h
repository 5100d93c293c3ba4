/* SPDX-License-Identifier: MIT */
/*
 * wheel_run.h: a dispatch in steps, for the engine, which must do things of its own between two callbacks.
 * aw_wheel_dispatch is the small loop over these functions. Nobody else may call them.
 *
 *     awi_wheel_begin(w, now_ns);
 *     while ((found = awi_wheel_pop(w, &budget, &due)) == 1) {
 *         due.fn(due.timer, due.arg);
 *         awi_wheel_ran(w, now_ns);
 *     }
 *     awi_wheel_end(w);
 *
 * Between pop and ran the timer is "current": its overrun can be read, and a periodic timer with
 * AW_MISSED_DELAY waits for `ran` to be armed again. The links of the wheel are whole at that time, so a
 * callback that never comes back (longjmp, fork) leaves nothing but the notion of a current timer behind:
 * awi_wheel_abandon clears that.
 */
#ifndef AWI_WHEEL_RUN_H
#define AWI_WHEEL_RUN_H

#include <alarmwheel/wheel.h>

#include <stdbool.h>

/* What is to be run next. deadline_ns is the scheduled time: exact for a periodic timer, else its tick's. */
struct awi_due {
    struct aw_timer timer;
    aw_timer_fn *fn;
    void *arg;
    uint64_t deadline_ns;
};

/* A dispatch begins: due is what lies at or before now_ns (never before the time of an earlier dispatch). */
void awi_wheel_begin(struct aw_wheel *w, uint64_t now_ns);

/*
 * 1: *due is filled in and its timer is current: call it, then awi_wheel_ran. 0: nothing more is due.
 * -EAGAIN: the budget is spent and there may be more. *budget counts down by each record visited; 0 at the
 * call means spent, UINT_MAX in practice means no bound.
 */
int awi_wheel_pop(struct aw_wheel *w, unsigned *budget, struct awi_due *due);

/* The callback returned, at now_ns. */
void awi_wheel_ran(struct aw_wheel *w, uint64_t now_ns);

/* The dispatch is over, whether or not everything was run. */
void awi_wheel_end(struct aw_wheel *w);

/*
 * The current callback will never return: the dispatch is over. A timer with AW_MISSED_DELAY whose
 * callback went away is left disarmed. Harmless where no dispatch runs.
 */
void awi_wheel_abandon(struct aw_wheel *w);

/* True if the handle is not stale. */
bool awi_wheel_knows(const struct aw_wheel *w, struct aw_timer timer);

/*
 * aw_wheel_timer_again, for who must act first if the new deadline comes before covered_ns: then 1, with the
 * deadline stored and nothing changed. Else 0, -ENOENT, or -EINVAL: no delay yet.
 */
int awi_wheel_again(struct aw_wheel *w, struct aw_timer timer, uint64_t now_ns, uint64_t covered_ns,
                    uint64_t *deadline_ns);

/* As aw_wheel_next, exact: clears away what stands in front of the earliest timer. Not in a dispatch. */
uint64_t awi_wheel_settle(struct aw_wheel *w);

/* The time of the tick at which a deadline is due: ns rounded up; AW_FOREVER where that does not fit. */
uint64_t awi_wheel_round_up(const struct aw_wheel *w, uint64_t ns);

#endif
