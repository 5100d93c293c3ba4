/* SPDX-License-Identifier: MIT */
/*
 * handler.c: the signal handler. It flags what is due by the clock, whatever brought the signal, re-arms
 * the alarm for the next need, passes on what is not ours, and last of all interrupts a system call that a
 * guard bounds. It reads pending.h, never the wheel; it runs no callback, takes no lock, allocates nothing.
 *
 * It runs with every signal blocked, so it is never nested in itself. On a thread that is not the owner it
 * only rings the owner's doorbell.
 */
#include "handler.h"

#include <errno.h>
#include <unistd.h>

#include "alarm.h"
#include "burn.h"
#include "clock.h"
#include "context.h"
#include "cover.h"
#include "disposition.h"
#include "doorbell.h"
#include "pending.h"

/* A signal of the alarm clock this long before its time was programmed by somebody else. */
#define EARLY_NS AW_MS(1)

/* What one signal turned out to be. */
struct arrival {
    bool from_clock; /* the alarm clock's one shot is spent */
    bool from_us;    /* ... or a timer of processor time is, or it is a doorbell */
    bool theirs;     /* ... or another user's of the engine, who has raised his flag */
    bool foreign_due;
    bool news; /* something was flagged, or a guard is to be nagged for */
};

/* Installed for the alarm's signal, and now and then for SIGVTALRM: what stood there before. */
static struct sigaction found_before(int signo)
{
    return signo == awi_disposition_signo() ? awi_disposition_found() : awi_burn_found();
}

void awi_handler_write_number(int signo)
{
    int fd = AWI_LOAD(awi.signal_fd);
    if (fd >= 0) {
        unsigned char byte = (unsigned char)signo;
        ssize_t written = write(fd, &byte, 1); /* the caller's descriptor: a byte that does not fit is lost */
        (void)written;
    }
}

/* Who watches the engine's own signal stands in the place of the disposition that was found. */
static bool is_watched(int signo)
{
    return signo == awi_disposition_signo() && (AWI_LOAD(awi.watched) >> (signo - 1) & 1) != 0;
}

static void note(int signo, const siginfo_t *info)
{
    awi.note(signo, info);
    awi_handler_write_number(signo);
}

/*
 * A foreign handler runs outside the count of what is in flight: it may leave by siglongjmp, or wait for
 * the owner, who may be in aw_shutdown and waits for the count.
 */
static void handle_elsewhere(int signo, siginfo_t *info, void *context)
{
    __atomic_fetch_add(&awi.in_flight, 1, __ATOMIC_SEQ_CST);
    bool runs = __atomic_load_n(&awi.state, __ATOMIC_SEQ_CST) == AWI_RUNNING;
    bool burnt = awi_burn_rang(info);
    bool rang = runs && (burnt || awi_alarm_rang(info));
    struct sigaction found = found_before(signo);
    if (rang) {
        awi_count(&awi.forwarded, 1);
        awi_doorbell_ring(awi_disposition_signo(), burnt ? AWI_BELL_BURN : AWI_BELL_ALARM);
    }
    bool noted = runs && !rang && is_watched(signo);
    if (noted)
        note(signo, info);
    __atomic_fetch_sub(&awi.in_flight, 1, __ATOMIC_SEQ_CST);
    if (runs && !rang && !noted) {
        bool passed = awi_disposition_chain(&found, signo, info, context, false);
        awi_count(passed ? &awi.chained : &awi.dropped, 1);
    }
}

static struct arrival classify(const siginfo_t *info)
{
    enum awi_bell bell = awi_doorbell_of(info);
    struct arrival arrival = { 0 };
    bool burnt = awi_burn_rang(info);
    arrival.from_clock = !burnt && (awi_alarm_rang(info) || bell == AWI_BELL_ALARM);
    arrival.theirs = awi.rang != NULL && awi.rang(info);
    arrival.from_us = burnt || arrival.from_clock || bell != AWI_BELL_NONE || arrival.theirs;
    return arrival;
}

/* The alarm that was running at aw_init: due once, or on its own schedule. */
static bool foreign_alarm_is_due(uint64_t now_ns)
{
    uint64_t at = AWI_LOAD(awi.foreign_at);
    uint64_t interval = AWI_LOAD(awi.foreign_interval_ns);
    if (at > now_ns)
        return false;
    uint64_t next = interval != 0 ? at + ((now_ns - at) / interval + 1) * interval : AW_FOREVER;
    AWI_STORE(awi.foreign_at, next);
    return true;
}

/*
 * What was left by longjmp: a callback no longer hides the guards around it, a guarded call is no longer to
 * be interrupted, a guard is nagged for no more.
 */
static void find_left_frames(const void *here)
{
    for (uint32_t i = AWI_LOAD(awi.depth); i != 0 && awi_frame_is_gone(awi.guards[i - 1].guard, here); --i)
        __atomic_fetch_or(&awi.told, UINT64_C(1) << (i - 1), __ATOMIC_RELAXED);
    if (AWI_LOAD(awi.base) != 0 && !awi_frame_is_open(&awi.dispatcher, here))
        AWI_STORE(awi.base, 0);
    if (AWI_LOAD(awi.call.frame) != NULL && !awi_frame_is_open(&awi.call, here))
        AWI_STORE(awi.call.frame, NULL);
}

/* Flags what is due; returns the need that is left. */
static uint64_t flag(struct arrival *arrival, uint64_t now_ns)
{
    uint32_t flags_before = awi_flags();
    uint64_t expired_before = AWI_LOAD(awi.expired);
    arrival->foreign_due = foreign_alarm_is_due(now_ns);
    uint64_t need = awi_flag_due(now_ns);
    arrival->news = arrival->theirs || arrival->foreign_due || (awi_flags() & ~flags_before) != 0 ||
                    AWI_LOAD(awi.expired) != expired_before || awi_nagging_guards() != 0 ||
                    awi_call_is_due(now_ns);
    return need;
}

/*
 * The alarm is programmed anew where its one shot is spent: it rang, or its time has passed (a forged
 * signal can merge with the clock's own, and hide it). Otherwise only for an earlier need. See cover.c for
 * what the program may be doing meanwhile.
 */
static void rearm(const struct arrival *arrival, uint64_t need_ns, uint64_t now_ns)
{
    uint64_t armed_at = AWI_LOAD(awi.armed_at);
    if (arrival->from_clock && armed_at != AW_FOREVER && armed_at > now_ns && armed_at - now_ns > EARLY_NS)
        awi_count(&awi.thefts, 1);
    if (!arrival->from_clock && armed_at > now_ns && need_ns >= armed_at)
        return;
    need_ns = awi_cover_time(need_ns, now_ns);
    AWI_STORE(awi.armed_at, need_ns);
    if (need_ns != AW_FOREVER)
        awi_alarm_program(need_ns, now_ns);
}

static void pass_on(const struct arrival *arrival, int signo, siginfo_t *info, void *context)
{
    if (arrival->from_us && !arrival->foreign_due)
        return;
    if (is_watched(signo)) {
        note(signo, info);
        return;
    }
    struct sigaction found = found_before(signo);
    bool passed = awi_disposition_chain(&found, signo, info, context, arrival->foreign_due);
    awi_count(passed ? &awi.chained : &awi.dropped, 1);
    bool is_foreign = passed && (AWI_LOAD(awi.watched) >> (signo - 1) & 1) == 0;
    if (is_foreign && AWI_LOAD(awi.waiting))
        AWI_STORE(awi.foreign_ran, 1); /* the waiter owes its caller an -EINTR for this one too */
}

void awi_handler_begins(int signo, void *context)
{
    AWI_STORE(awi.runs, AWI_LOAD(awi.runs) + 1);
    /*
     * A wait blocks all signals but inside ppoll, whose frames carry that full mask. A mask that lets us
     * through means that another handler was interrupted before its first instruction: the waiter owes its
     * caller an -EINTR.
     */
    if (AWI_LOAD(awi.waiting) && sigismember(&((const ucontext_t *)context)->uc_sigmask, signo) == 0)
        AWI_STORE(awi.foreign_ran, 1);
    find_left_frames(awi_context_stack(context));
    if (awi.cancel != NULL)
        awi.cancel(context);
}

void awi_handle(int signo, siginfo_t *info, void *context)
{
    int saved_errno = errno;

    if (AWI_UNLIKELY(!awi_owner)) {
        handle_elsewhere(signo, info, context);
        errno = saved_errno;
        return;
    }

    ++awi.signals;
    awi_handler_begins(signo, context);
    struct arrival arrival = classify(info);
    uint64_t now = awi_clock_now();
    uint64_t need = flag(&arrival, now);
    rearm(&arrival, need, now);
    if (arrival.news)
        awi_handler_write_number(signo);
    else
        ++awi.spurious;
    pass_on(&arrival, signo, info, context);
    errno = saved_errno;

    if (awi.deliver != NULL)
        awi.deliver(context, __builtin_return_address(0));
}
