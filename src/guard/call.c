/* SPDX-License-Identifier: MIT */
/*
 * call.c: the loop around a guarded system call. Owner thread, program context. What the handler does for
 * it is in pending.c (the need, and the nag) and cancel.c (the program counter).
 *
 *     publish the call and its time-out
 *  1  seen = awi.runs
 *  2  anything pending?  then take the call back, dispatch, and begin again
 *  3  the stub: awi.runs == seen ?  execute
 *
 * Whatever raises a flag is a run of the handler on this thread, or rings the doorbell, which is one: between
 * 1 and the instruction it is seen by 3, before 1 by 2. The time-out is not looked at in 2: it is an alarm
 * that will come.
 *
 * Without a stub the call is a plain one of libc: a handler that comes between 2 and the instruction is
 * missed, and comes again, by the nag, until it finds the call asleep and ends it with EINTR. That takes 50
 * us longer, and loses nothing.
 */
#include "call.h"

#include <errno.h>

#include <alarmwheel/io.h>

#include "../busy.h"
#include "../engine/clock.h"
#include "../engine/cover.h"
#include "../engine/dispatch.h"
#include "../engine/disposition.h"
#include "../engine/engine.h"
#include "../engine/guards.h"
#include "expiry.h"
#include "stub.h"

static _Thread_local bool timed_out __attribute__((tls_model("initial-exec")));

/* A call under way. */
struct attempt {
    struct awi_frame frame;
    const struct awi_call *call;
    uint64_t deadline_ns;
    const void *here;
    long result; /* or negative errno */
};

/*
 * From here on other threads ring when they post. The mark stays when the call is over: a fence a call would
 * cost as much as all the rest. Who rings takes it away.
 */
static void have_posters_ring(void)
{
    if (AWI_LIKELY(AWI_LOAD(awi.sleeping) != 0))
        return;
    __atomic_store_n(&awi.sleeping, 1, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool has_stub(void)
{
    return AWI_HAVE_STUB && awi_engine.interrupt == AW_INTERRUPT_STEP;
}

static int publish(struct attempt *attempt, bool is_plain)
{
    AWI_STORE(awi.call_is_plain, is_plain);
    AWI_STORE(awi.call_due_ns, 0);
    AWI_STORE(awi.call_need, attempt->deadline_ns);
    awi_frame_open(&attempt->frame, &awi.call);
    awi_order();
    have_posters_ring();
    return awi_cover(attempt->deadline_ns);
}

static void take_back(struct attempt *attempt)
{
    awi_order();
    awi_frame_close(&attempt->frame, &awi.call);
    AWI_STORE(awi.call_need, AW_FOREVER);
    awi_disposition_settle();
}

/* Something is pending: is it for this call? In a callback only the guards that were entered there are. */
AWI_OUTLINE static bool is_pressing(const void *here)
{
    if (awi_expired_guards() != 0)
        return true;
    return !awi_in_callback(here) && (awi_flags() & (AWI_TIMER | AWI_POST)) != 0;
}

/* The safe point in the middle of the call. False: the call has failed. */
AWI_OUTLINE static bool dispatch(struct attempt *attempt)
{
    uint64_t epoch = awi_engine.epoch;
    int result = awi_dispatch(0, attempt->here);
    if (result >= 0)
        return true;
    attempt->result = awi_engine.epoch != epoch   ? -ENODEV
                      : awi_expired_guards() != 0 ? -ETIMEDOUT
                                                  : -ECANCELED;
    timed_out = attempt->result == -ETIMEDOUT;
    return false;
}

AWI_OUTLINE static bool is_over(struct attempt *attempt)
{
    if (attempt->deadline_ns == AW_FOREVER || awi_clock_now() < attempt->deadline_ns)
        return false;
    attempt->result = -ETIMEDOUT;
    timed_out = true;
    return true;
}

static long plain(const struct awi_call *call)
{
    long result = call->plain(call->argument);
    return result < 0 ? -errno : result;
}

static inline long make(const struct attempt *attempt, uint64_t seen)
{
#if AWI_HAVE_STUB
    if (AWI_LIKELY(awi_engine.interrupt == AW_INTERRUPT_STEP))
        return awi_syscall_stub(attempt->call, &awi.runs, seen);
#endif
    (void)seen;
    return plain(attempt->call);
}

/* One round. True: it is settled. */
static inline bool try(struct attempt *attempt)
{
    int error = publish(attempt, !has_stub());
    uint64_t seen = AWI_LOAD(awi.runs);
    awi_order();
    if (AWI_UNLIKELY(error < 0)) {
        take_back(attempt);
        attempt->result = error;
        return true;
    }
    if (AWI_UNLIKELY(awi_flags() != 0) && is_pressing(attempt->here)) {
        take_back(attempt);
        return !dispatch(attempt) || is_over(attempt);
    }
    long result = make(attempt, seen);
    take_back(attempt);
    attempt->result = result;
    return AWI_LIKELY(result != -EINTR) || is_over(attempt);
}

static long result_of(long result)
{
    if (AWI_LIKELY(result >= 0 || result < -4095))
        return result;
    errno = (int)-result;
    return -1;
}

/* The time-out as a deadline; false where it is over already, or the call is refused. */
static inline bool begin(struct attempt *attempt, uint64_t timeout_ns)
{
    timed_out = false;
    int denied = awi_owner == AWI_OWNER_GUARDS ? 0 : awi_guard_ready();
    attempt->result = denied;
    attempt->deadline_ns = AW_FOREVER;
    if (AWI_UNLIKELY(denied < 0))
        return false;
    awi_guards_prune(attempt->here);
    if (timeout_ns == AW_FOREVER)
        return true;
    uint64_t now = awi_clock_now();
    awi_recover_if_lost(now);
    attempt->deadline_ns = awi_sum(now, timeout_ns);
    if (AWI_LIKELY(timeout_ns != 0))
        return true;
    attempt->result = -ETIMEDOUT;
    timed_out = true;
    return false;
}

AWI_OUTLINE long awi_call(const struct awi_call *call, uint64_t timeout_ns)
{
    struct attempt attempt;
    attempt.call = call;
    attempt.here = AWI_HERE;
    const void *outer = awi_busy_begin();
    if (AWI_LIKELY(begin(&attempt, timeout_ns))) {
        while (!try(&attempt))
            continue;
    }
    awi_busy_end(outer);
    if (AWI_UNLIKELY(attempt.result == -ETIMEDOUT) && awi_owner && awi_expired_guards() != 0)
        awi.escape(AWI_HERE);
    return result_of(attempt.result);
}

AWI_OUTLINE long awi_call_once(const struct awi_call *call, uint64_t timeout_ns)
{
    struct attempt attempt;
    attempt.call = call;
    attempt.here = AWI_HERE;
    const void *outer = awi_busy_begin();
    bool in_time = begin(&attempt, timeout_ns);
    if (in_time || attempt.result == -ETIMEDOUT) {
        /* A time-out that cannot be armed does not keep the call from being made. */
        (void)publish(&attempt, true);
        attempt.result = plain(call);
        take_back(&attempt);
        if (attempt.result == -EINTR)
            is_over(&attempt);
    }
    awi_busy_end(outer);
    return result_of(attempt.result);
}

bool aw_timed_out(void)
{
    return timed_out;
}
