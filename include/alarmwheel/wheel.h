/* SPDX-License-Identifier: MIT */
/*
 * wheel.h: the timer wheel alone, on a clock of your own. No signal, no clock, no global: time is an
 * argument. For programs that have an event loop already, and the ground that timer.h stands on.
 *
 * A hierarchical timing wheel (G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels", 1987,
 * scheme 7) with six levels of 64 slots, a bitmap per level, the least deadline kept in every slot, and
 * re-arm and disarm done lazily: moving a timer later, or disarming it, is a single store in most cases.
 *
 * A wheel belongs to one thread at a time; nothing here locks. All functions are AS-Unsafe: a handler
 * that interrupts one of them must not enter the same wheel. A wheel is plain memory, so fork copies it.
 */
#ifndef ALARMWHEEL_WHEEL_H
#define ALARMWHEEL_WHEEL_H

#include <alarmwheel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct aw_wheel; /* opaque */

/*
 * A handle to a timer: an index into the slab and the generation of the record there. A copy of a handle is
 * as good as the handle. The zero handle means none. Once the timer is deleted every copy is stale, and
 * each call with it says -ENOENT. (A record carries 19 bits of generation. Where the slab may grow, a
 * record that has used them up is retired; in fixed memory it wraps, so there a handle that was kept for
 * 524,287 re-uses of its record can name a stranger.)
 */
struct aw_timer {
    uint64_t id;
};

/*
 * A timer's callback: 0 to go on; a negative value stops the dispatch, which returns it. It may create,
 * arm, disarm and delete any timer of the wheel, its own included. It must not enter dispatch, nor destroy
 * the wheel; and it has to return, unless the engine runs it.
 */
typedef int aw_timer_fn(struct aw_timer timer, void *arg);

/* What a periodic timer does about the periods that passed before it could run. */
enum aw_missed {
    AW_MISSED_SKIP,  /* run once; the rest are counted in the overrun; stays on the original schedule */
    AW_MISSED_BURST, /* run for each of them, one a dispatch, until it has caught up */
    AW_MISSED_DELAY  /* the next period starts when the callback returns; nothing is ever missed */
};

/* How to build a wheel. Zero in any field but `size` means the default. */
struct aw_wheel_options {
    size_t size;         /* sizeof(struct aw_wheel_options) */
    uint64_t tick_ns;    /* granularity: a power of two from 2^10 to 2^24; default 2^17 (131 us) */
    uint64_t start_ns;   /* the time at which the wheel starts; earlier deadlines are due at once */
    uint32_t capacity;   /* timers to make room for at once; default 64, grown by doubling */
    uint32_t generation; /* the first generation to hand out (see aw_wheel_generation) */
    void *memory;        /* the caller's own memory, aligned to 64: then the wheel never allocates */
    size_t memory_bytes; /* its size; as many timers as fit: see aw_wheel_bytes */
};

/*
 * Makes a wheel and stores it in *wheel. With `memory` the wheel lives there, until aw_wheel_destroy.
 * Errors: -EINVAL (NULL, size, tick, memory misaligned or too small for `capacity`, or for one timer),
 * -ENOMEM. On an error *wheel is untouched.
 */
AW_API int aw_wheel_create(struct aw_wheel **wheel, const struct aw_wheel_options *options);

/* Frees the wheel and all of its timers without running any. NULL is allowed. -EBUSY inside a callback. */
AW_API int aw_wheel_destroy(struct aw_wheel *wheel);

/* The bytes of memory that a wheel of `capacity` timers needs; 0 for a capacity beyond what is possible. */
AW_API size_t aw_wheel_bytes(uint32_t capacity);

/*
 * A generation that no handle of this wheel has used yet: the successor of this wheel starts from it, so
 * that handles of the old one are stale in the new one.
 */
AW_API uint32_t aw_wheel_generation(const struct aw_wheel *wheel);

/*
 * Makes a timer, not armed. O(1); may allocate (the slab grows by doubling) unless the wheel has the
 * caller's memory. Errors: -EINVAL, -ENOMEM (nothing has changed).
 */
AW_API int aw_wheel_timer_create(struct aw_wheel *wheel, struct aw_timer *timer, aw_timer_fn *fn, void *arg);

/*
 * Arms the timer to run once at deadline_ns, rounded up to a tick; replaces what it was armed for. A
 * deadline that has passed by a tick or more is due at the next dispatch, one in the current tick when that
 * ends; never within the running dispatch: armed in a callback, it means the next tick. O(1), no allocation.
 * Returns 0. Errors: -EINVAL (AW_FOREVER), -ENOENT.
 */
AW_API int aw_wheel_timer_arm_at(struct aw_wheel *wheel, struct aw_timer timer, uint64_t deadline_ns);

/* The same delay_ns after now_ns; the delay is remembered for aw_wheel_timer_again. */
AW_API int aw_wheel_timer_arm(struct aw_wheel *wheel, struct aw_timer timer, uint64_t now_ns,
                              uint64_t delay_ns);

/*
 * Arms the timer to run at first_ns and then every period_ns, without drift: each run is scheduled from the
 * last scheduled time. Errors: -EINVAL (period 0 or 2^61 ns and more, first AW_FOREVER, unknown policy),
 * -ENOENT.
 */
AW_API int aw_wheel_timer_arm_every(struct aw_wheel *wheel, struct aw_timer timer, uint64_t first_ns,
                                    uint64_t period_ns, enum aw_missed missed);

/*
 * The last delay once more, counted from now_ns: the refresh of a connection's timeout. A periodic timer
 * starts a whole period anew. Errors: -ENOENT; -EINVAL where there was no delay yet.
 */
AW_API int aw_wheel_timer_again(struct aw_wheel *wheel, struct aw_timer timer, uint64_t now_ns);

/*
 * Disarms: 1 if it was armed, 0 if it was not. Inside its own callback a periodic timer counts as armed. It
 * may be armed again. One store; no search. -ENOENT.
 */
AW_API int aw_wheel_timer_disarm(struct aw_wheel *wheel, struct aw_timer timer);

/* Deletes the timer: 0. Safe anywhere, in its own callback too. -ENOENT. */
AW_API int aw_wheel_timer_delete(struct aw_wheel *wheel, struct aw_timer timer);

/*
 * The time from now_ns to the tick at which the timer is due (0: due already). Errors: -ENOENT; -EINVAL for
 * NULL; -ESRCH if it is not armed.
 */
AW_API int aw_wheel_timer_remaining(const struct aw_wheel *wheel, struct aw_timer timer, uint64_t now_ns,
                                    uint64_t *remaining_ns);

/*
 * Inside the timer's callback: how many periods were missed before this run, as timer_getoverrun(2).
 * Anywhere else 0. Errors: -ENOENT, -EINVAL.
 */
AW_API int aw_wheel_timer_overrun(const struct aw_wheel *wheel, struct aw_timer timer, uint64_t *missed);

/* The timer no longer counts in aw_wheel_armed: it does not keep a loop going. Idempotent. -ENOENT. */
AW_API int aw_wheel_timer_unref(struct aw_wheel *wheel, struct aw_timer timer);

/*
 * Runs the callbacks of the timers that are due at now_ns, in the order of their deadlines (within a tick
 * the order is unspecified). A time before an earlier now_ns counts as that one. `budget` bounds the
 * records visited, collected ones included; 0: no bound. When the budget is spent the rest stays due, and
 * aw_wheel_next says so. Returns the callbacks run (at most INT_MAX), or the first negative value that one
 * returned. Errors: -EINVAL; -EDEADLK inside a callback.
 */
AW_API int aw_wheel_dispatch(struct aw_wheel *wheel, uint64_t now_ns, unsigned budget);

/*
 * When to call aw_wheel_dispatch next: *deadline_ns is never later than the earliest armed deadline. It is
 * that deadline (rounded up to a tick), not the start of a slot, unless the timer that held it was since
 * disarmed or moved later: then it may come earlier, and that dispatch puts it right. A periodic timer that
 * is still behind its schedule after its callback is due at the next tick. Returns 1, or 0 where no timer is
 * armed (*deadline_ns is then AW_FOREVER). O(1). -EINVAL.
 */
AW_API int aw_wheel_next(const struct aw_wheel *wheel, uint64_t *deadline_ns);

/* Armed timers, those under aw_wheel_timer_unref aside. */
AW_API uint32_t aw_wheel_armed(const struct aw_wheel *wheel);

/* Timers that exist, armed or not. */
AW_API uint32_t aw_wheel_timers(const struct aw_wheel *wheel);

/* Timers that it has memory for. */
AW_API uint32_t aw_wheel_capacity(const struct aw_wheel *wheel);

/*
 * The invariant oracle: walks everything, O(timers), and returns NULL, or a sentence that says what is
 * broken. For tests and for debuggers; the idea of a public oracle is from W. Ahern's timeout.c.
 */
AW_API const char *aw_wheel_check(const struct aw_wheel *wheel);

#ifdef __cplusplus
}
#endif

#endif
