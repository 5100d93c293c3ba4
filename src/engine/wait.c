/* SPDX-License-Identifier: MIT */
/*
 * wait.c: sleeping without a lost wake-up. All signals are blocked, the flags are looked at, and ppoll lets
 * signals through and sleeps in one step: a signal comes either before the look, and is seen, or inside
 * ppoll, and ends it. For posts of other threads see post.c.
 *
 * The sleep has a time-out of its own, a little after the next need, so that an alarm that was stolen costs
 * 10 ms and not for ever.
 *
 * Which signal ended the sleep? The kernel delivers what was let through on the way out of ppoll:
 *
 *   ours alone           `runs` has changed: go on
 *   a foreign one alone  `runs` has not: -EINTR
 *   ours, then others    our frame blocks everything, and when it returns, the mask of before ppoll, full, is
 *                        in force: the others are pending still, and run when we open the mask: -EINTR
 *   a foreign one, then  the foreign handler's frame lies beneath ours, with a mask that let ours through:
 *   ours                 our handler sees that and sets foreign_ran: -EINTR
 */
#include "wait.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "../busy.h"
#include "clock.h"
#include "cover.h"
#include "dispatch.h"
#include "disposition.h"
#include "engine.h"
#include "pending.h"

#define NS_PER_SEC UINT64_C(1000000000)

enum slept {
    SLEPT,
    SLEPT_TO_DEADLINE,
    SLEPT_NOT
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static struct timespec timespec_of(uint64_t ns)
{
    uint64_t longest = awi_sum(0, (uint64_t)INT32_MAX * NS_PER_SEC);
    ns = earlier(ns, longest);
    return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = (long)(ns % NS_PER_SEC) };
}

/* ppoll with the caller's mask in force inside it, and negative errno. */
static int sleep_with(struct pollfd *fds, nfds_t n, uint64_t span_ns, const sigset_t *mask)
{
    uint64_t runs = AWI_LOAD(awi.runs);
    struct timespec span = timespec_of(span_ns);
    int ready = ppoll(fds, n, &span, mask);
    if (ready >= 0)
        return ready;
    if (errno != EINTR)
        return -errno;
    bool foreign =
        AWI_LOAD(awi.foreign_ran) || AWI_LOAD(awi.runs) == runs || awi_disposition_foreign_is_pending(mask);
    return foreign ? -EINTR : 0;
}

/* One look and one sleep. 0: go round again. */
static int sleep_once(struct pollfd *fds, nfds_t n, uint64_t deadline_ns, enum slept *slept)
{
    sigset_t all, mask;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    AWI_STORE(awi.foreign_ran, 0);
    AWI_STORE(awi.waiting, 1);
    __atomic_store_n(&awi.sleeping, 1, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    int result = 0;
    uint64_t now = awi_clock_now();
    uint64_t until = earlier(deadline_ns, awi_sum(awi_flag_due(now), AWI_LOST_NS));
    bool pending = __atomic_load_n(&awi_pending, __ATOMIC_SEQ_CST) != 0;
    *slept = pending ? SLEPT_NOT : now >= deadline_ns ? SLEPT_TO_DEADLINE : SLEPT;
    if (!pending || n != 0)
        result = sleep_with(fds, n, pending || until <= now ? 0 : until - now, &mask);

    __atomic_store_n(&awi.sleeping, 0, __ATOMIC_SEQ_CST);
    AWI_STORE(awi.waiting, 0);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return result;
}

int awi_wait(struct pollfd *fds, nfds_t n, uint64_t timeout_ns, bool until_callback, bool *foreign,
             const void *here)
{
    *foreign = false;
    if (awi_in_callback(here))
        return -EDEADLK;
    int saved_errno = errno;
    uint64_t deadline = awi_sum(awi_clock_now(), timeout_ns);
    enum slept slept = SLEPT;
    int result;
    for (;;) {
        result = awi_dispatch(0, here);
        if (result < 0 || (result > 0 && until_callback))
            break;
        if (awi_told_to_quit() && until_callback)
            break;
        result = sleep_once(fds, n, deadline, &slept);
        *foreign = result == -EINTR;
        if (result != 0 || slept == SLEPT_TO_DEADLINE)
            break;
        if (slept == SLEPT_NOT && !until_callback && awi_clock_now() >= deadline)
            break;
    }
    errno = saved_errno;
    return result;
}

AWI_OUTLINE int aw_wait(uint64_t timeout_ns)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    const void *outer = awi_busy_begin();
    bool foreign;
    int result = awi_wait(NULL, 0, timeout_ns, true, &foreign, AWI_HERE);
    awi_busy_end(outer);
    return awi_escape_if_due(result, AWI_HERE);
}

AWI_OUTLINE int aw_poll(struct pollfd *fds, unsigned long n, uint64_t timeout_ns)
{
    int denied = awi_check();
    if (denied < 0)
        return denied;
    const void *outer = awi_busy_begin();
    bool foreign;
    int result = awi_wait(fds, n, timeout_ns, false, &foreign, AWI_HERE);
    awi_busy_end(outer);
    return awi_escape_if_due(result, AWI_HERE);
}
