/* SPDX-License-Identifier: MIT */
/*
 * call.c: the loop around a guarded system call. Owner thread, program context. What the handler does for
 * it is in pending.c (the need, and the nag) and cancel.c (the program counter).
 *
 *  1  seen = awi.runs
 *     publish the call and its time-out, which from here on is an alarm that will come
 *  2  anything pending?  then take the call back, dispatch, and begin again. What is pending again after
 *     that waits until the call has been made once: if it blocks, the nag, which is armed, ends it.
 *  3  the stub: awi.runs == seen ?  execute
 *
 * Whatever raises a flag is a run of the handler on this thread, or rings the doorbell, which is one: between
 * 1 and the instruction it is seen by 3, before 1 by 2. So is the time-out's alarm.
 *
 * Without a stub the call is a plain one of libc: a handler that comes between 2 and the instruction is
 * missed, and comes again, by the nag, until it finds the call asleep and ends it with EINTR. That takes 50
 * us longer, and loses nothing.
 */
#include "call.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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
    const struct awi_syscall *call;
    long argument[6];
    uint64_t deadline_ns;
    const void *here;
    long result; /* or negative errno */
    int value;   /* negative: what the dispatch said that has ended it */
    bool timed_out;
    bool tells;       /* of a guard that has expired, where the dispatch had something else to say */
    bool is_its_turn; /* a dispatch has just been made */
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

static bool has_stub(const struct awi_syscall *call)
{
    return AWI_HAVE_STUB && awi_engine.interrupt == AW_INTERRUPT_STEP && call->number >= 0;
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
AWI_OUTLINE static bool is_pressing(const struct attempt *attempt)
{
    if (awi_expired_guards() != 0)
        return true;
    if (awi_in_callback(attempt->here) || (awi_flags() & AWI_CALLBACKS) == 0)
        return false;
    if (!attempt->is_its_turn)
        return true;
    awi_cover_slow(false);
    return false;
}

/* The safe point in the middle of the call. False: the call has failed. */
AWI_OUTLINE static bool dispatch(struct attempt *attempt)
{
    uint64_t epoch = awi_engine.epoch;
    int result = awi_dispatch(0, attempt->here);
    attempt->is_its_turn = true;
    if (result >= 0)
        return true;
    attempt->value = result;
    attempt->result = -ENODEV;
    if (awi_engine.epoch != epoch)
        return false;
    attempt->timed_out = attempt->tells = awi_expired_guards() != 0;
    attempt->result = attempt->timed_out ? -ETIMEDOUT : -ECANCELED;
    return false;
}

AWI_OUTLINE static bool is_over(struct attempt *attempt)
{
    if (attempt->deadline_ns == AW_FOREVER || awi_clock_now() < attempt->deadline_ns)
        return false;
    attempt->result = -ETIMEDOUT;
    attempt->timed_out = true;
    return true;
}

static long plain(const struct attempt *attempt)
{
    int saved_errno = errno;
    const long *a = attempt->argument;
    long result = attempt->call->plain != NULL
                      ? attempt->call->plain(a)
                      : syscall(attempt->call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result < 0)
        result = -errno;
    errno = saved_errno;
    return result;
}

static inline long make(const struct attempt *attempt, uint64_t seen)
{
#if AWI_HAVE_STUB
    if (AWI_LIKELY(has_stub(attempt->call)))
        return awi_stub(attempt->call->number, attempt->argument, seen);
#endif
    (void)seen;
    return plain(attempt);
}

/* One round. True: it is settled. */
static bool try(struct attempt *attempt)
{
    uint64_t seen = AWI_LOAD(awi.runs);
    awi_order();
    int error = publish(attempt, !has_stub(attempt->call));
    if (AWI_UNLIKELY(error < 0)) {
        take_back(attempt);
        attempt->result = error;
        return true;
    }
    if (AWI_UNLIKELY(awi_flags() != 0) && is_pressing(attempt)) {
        take_back(attempt);
        return !dispatch(attempt) || is_over(attempt);
    }
    attempt->result = make(attempt, seen);
    attempt->is_its_turn = false;
    take_back(attempt);
    return attempt->result != -EINTR || is_over(attempt);
}

static inline long result_of(long result, bool is_timed_out)
{
    timed_out = is_timed_out;
    if (AWI_LIKELY(result >= 0 || result < -4095))
        return result;
    errno = (int)-result;
    return -1;
}

/*
 * The end of a call that has failed for its time, of which the program now hears. Nothing of the library is
 * active any more.
 */
AWI_OUTLINE static long end(const struct attempt *attempt)
{
    if (attempt->tells)
        awi_guards_told();
    if (attempt->timed_out)
        awi_escape_if_due(-ETIMEDOUT, attempt->here);
    return result_of(attempt->result, attempt->timed_out);
}

/*
 * Not on the owner's thread, or the first call since aw_init. The hook is set from here, so that a program
 * without guarded calls has no stubs, and is linked without what looks for them.
 */
AWI_OUTLINE static int get_ready(void)
{
    int denied = awi_guard_ready();
    if (denied < 0)
        return denied;
    awi.cancel = awi_guard_cancel;
    awi_order();
    awi_owner = AWI_OWNER_CALLS;
    return 0;
}

/* The time-out, or a deadline; false where it is over already, or the call is refused. */
static inline bool begin_by(struct attempt *attempt, uint64_t ns, bool is_deadline)
{
    attempt->timed_out = attempt->tells = attempt->is_its_turn = false;
    attempt->value = 0;
    if (AWI_UNLIKELY(awi_owner != AWI_OWNER_CALLS)) {
        attempt->result = get_ready();
        if (attempt->result < 0)
            return false;
    }
    attempt->deadline_ns = AW_FOREVER;
    awi_guards_prune(attempt->here);
    if (ns == AW_FOREVER)
        return true;
    uint64_t now = awi_clock_now();
    awi_recover_if_lost(now);
    attempt->deadline_ns = is_deadline ? ns : awi_sum(now, ns);
    if (AWI_LIKELY(attempt->deadline_ns > now))
        return true;
    attempt->result = -ETIMEDOUT;
    attempt->timed_out = true;
    return false;
}

static inline bool begin(struct attempt *attempt, uint64_t timeout_ns)
{
    return begin_by(attempt, timeout_ns, false);
}

AWI_OUTLINE static long go_on(struct attempt *attempt)
{
    const void *outer = awi_busy_begin();
    while (!try(attempt))
        continue;
    awi_busy_end(outer);
    return end(attempt);
}

AWI_OUTLINE static long refused(struct attempt *attempt, const void *outer)
{
    awi_busy_end(outer);
    return end(attempt);
}

AWI_OUTLINE long awi_call_six(const long argument[6], uint64_t timeout_ns, const struct awi_syscall *call)
{
    struct attempt attempt = { .call = call, .here = AWI_HERE };
    memcpy(attempt.argument, argument, sizeof attempt.argument);
    const void *outer = awi_busy_begin();
    if (!begin(&attempt, timeout_ns))
        return refused(&attempt, outer);
    awi_busy_end(outer);
    return go_on(&attempt);
}

AWI_OUTLINE long awi_call_until(const long argument[6], uint64_t deadline_ns, const struct awi_syscall *call)
{
    struct attempt attempt = { .call = call, .here = AWI_HERE };
    memcpy(attempt.argument, argument, sizeof attempt.argument);
    const void *outer = awi_busy_begin();
    if (!begin_by(&attempt, deadline_ns, true))
        return refused(&attempt, outer);
    awi_busy_end(outer);
    return go_on(&attempt);
}

AWI_OUTLINE long awi_call_value(const long argument[6], uint64_t timeout_ns, const struct awi_syscall *call,
                                bool *is_over)
{
    struct attempt attempt = { .call = call, .here = AWI_HERE };
    memcpy(attempt.argument, argument, sizeof attempt.argument);
    const void *outer = awi_busy_begin();
    if (begin(&attempt, timeout_ns)) {
        while (!try(&attempt))
            continue;
    }
    awi_busy_end(outer);
    *is_over = attempt.timed_out && attempt.value >= 0;
    return attempt.value < 0 ? attempt.value : attempt.result;
}

/* The first round, for a machine with a stub, with nothing pending: the rest goes on from there. */
AWI_OUTLINE long awi_call(long a, long b, long c, long d, uint64_t timeout_ns, const struct awi_syscall *call)
{
    struct attempt attempt;
    attempt.call = call;
    attempt.here = AWI_HERE;
    attempt.argument[0] = a;
    attempt.argument[1] = b;
    attempt.argument[2] = c;
    attempt.argument[3] = d;
    attempt.argument[4] = attempt.argument[5] = 0;
    const void *outer = awi_busy_begin();
    if (AWI_UNLIKELY(!begin(&attempt, timeout_ns)))
        return refused(&attempt, outer);
#if AWI_HAVE_STUB
    if (AWI_LIKELY(has_stub(call) && attempt.deadline_ns >= AWI_LOAD(awi.armed_at))) {
        uint64_t seen = AWI_LOAD(awi.runs);
        awi_order();
        (void)publish(&attempt, false);
        if (AWI_LIKELY(awi_flags() == 0)) {
            long result = awi_stub(call->number, attempt.argument, seen);
            take_back(&attempt);
            awi_busy_end(outer);
            if (AWI_LIKELY(result != -EINTR))
                return result_of(result, false);
        } else {
            take_back(&attempt);
        }
    }
#endif
    awi_busy_end(outer);
    return go_on(&attempt);
}

AWI_OUTLINE long awi_call_once(long a, uint64_t timeout_ns, const struct awi_syscall *call)
{
    AWI_BUSY;
    struct attempt attempt = { .call = call, .argument = { a }, .here = AWI_HERE };
    bool in_time = begin(&attempt, timeout_ns);
    if (!in_time && !attempt.timed_out)
        return result_of(attempt.result, false);
    attempt.timed_out = false;
    /* A time-out that cannot be armed does not keep the call from being made. */
    (void)publish(&attempt, true);
    attempt.result = plain(&attempt);
    take_back(&attempt);
    if (attempt.result == -EINTR && !is_over(&attempt)) {
        attempt.timed_out = awi_expired_guards() != 0;
        attempt.result = attempt.timed_out ? -ETIMEDOUT : 0;
    }
    return result_of(attempt.result, attempt.timed_out);
}

long awi_call_refused(int error)
{
    return result_of(-error, false);
}

bool aw_timed_out(void)
{
    return timed_out;
}
