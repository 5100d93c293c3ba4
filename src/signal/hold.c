/* SPDX-License-Identifier: MIT */
/*
 * hold.c: see hold.h. The handler writes down what came (record.c), raises a flag, and wakes the owner. It
 * runs on any thread. Taking a signal and giving it back, and handlers elsewhere:
 *
 *   bit in awi.watched
 *   sigaction to our handler            from here on it records
 *
 *   sigaction to the old disposition    only handlers that have begun are left
 *   clear the bit in awi.watched        one that has not looked yet sees that, and passes its signal on
 *   wait until none is in flight        one that had looked has recorded
 *   send what is recorded again         to the old disposition
 *
 * SIGPROF has a profiler behind it, maybe: its timers' signals are not for who watches (docs/adr/0033).
 *
 * Around a fork all watched signals are blocked: in the child one that comes early stays pending until the
 * old dispositions are back.
 */
#include "hold.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../engine/burn.h"
#include "../engine/disposition.h"
#include "../engine/handler.h"
#include "../engine/pending.h"
#include "../engine/post.h"
#include "record.h"
#include "taken.h"

/* The dispositions that were displaced, where the bit is set in awi.held. */
static struct sigaction found[AWI_SIGNALS];
static uint64_t interrupting;       /* without SA_RESTART */
static uint64_t ignored, defaulted; /* by awi_hold_dispose; watchers may stand in front of it */

static uint32_t in_flight; /* handlers, on any thread */

static void handle(int signo, siginfo_t *info, void *context);

uint64_t awi_hold_watched(void)
{
    return __atomic_load_n(&awi.watched, __ATOMIC_SEQ_CST);
}

static bool is_watched(int signo)
{
    return (awi_hold_watched() & awi_signal_bit(signo)) != 0;
}

static void note(int signo, const siginfo_t *info)
{
    awi_record_write(signo, info);
    awi_raise(AWI_SIGNAL);
    awi_wake_owner();
}

static bool is_disposed(int signo)
{
    return ((ignored | defaulted) & awi_signal_bit(signo)) != 0;
}

/* SIG_IGN or SIG_DFL, as awi_hold_dispose has it. */
static struct sigaction simple_action(int signo)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = (ignored & awi_signal_bit(signo)) != 0 ? SIG_IGN : SIG_DFL;
    return action;
}

/*
 * To ourselves the kernel lets us send any siginfo. Where its queue is full it takes a real-time one only as
 * kill(2) would send it.
 */
static void send_again(int signo, const siginfo_t *info)
{
    long self = syscall(SYS_gettid);
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), self, signo, info) == 0)
        return;
    siginfo_t bare = *info;
    bare.si_code = SI_USER;
    (void)syscall(SYS_rt_tgsigqueueinfo, getpid(), self, signo, &bare);
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == handle;
}

/*
 * Not watched any more: it came too late, or somebody who took our place passes on to us, as he found us, or
 * has put us back. The old disposition is who it is for; SIG_DFL only if that is in force, or would be
 * without us. (It is SIG_DFL whatever the flags say: SA_RESETHAND leaves SA_SIGINFO behind.)
 */
static void pass_on(int signo, siginfo_t *info, void *context)
{
    struct sigaction old = is_disposed(signo) ? simple_action(signo) : found[signo - 1], now;
    if (old.sa_handler != SIG_DFL) {
        (void)awi_disposition_chain(&old, signo, info, context, false);
        return;
    }
    if (sigaction(signo, NULL, &now) != 0)
        return;
    bool is_put_back = is_ours(&now) && !is_watched(signo) && sigaction(signo, &old, NULL) == 0;
    if (is_put_back || now.sa_handler == SIG_DFL)
        send_again(signo, info);
}

/*
 * A SIGPROF that a timer has sent, while it is watched: a handler that was there before may be a profiler's,
 * which says of its own that it has taken them. True: such a handler was called.
 */
static bool ask_before(int signo, siginfo_t *info, void *context)
{
    if (signo != SIGPROF || (info->si_code != SI_TIMER && info->si_code != SI_KERNEL) || !is_watched(signo))
        return false;
    struct sigaction old = is_disposed(signo) ? simple_action(signo) : found[signo - 1];
    return (old.sa_flags & SA_SIGINFO) != 0 && awi_disposition_chain(&old, signo, info, context, false);
}

static void handle(int signo, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    if (awi_owner)
        awi_handler_begins(signo, context);
    bool was_asked = ask_before(signo, info, context);
    __atomic_fetch_add(&in_flight, 1, __ATOMIC_SEQ_CST);
    bool is_late = !is_watched(signo);
    if (!is_late && !(was_asked && awi_is_taken(info))) {
        note(signo, info);
        awi_handler_write_number(signo);
    }
    __atomic_fetch_sub(&in_flight, 1, __ATOMIC_SEQ_CST);
    if (is_late && !was_asked)
        pass_on(signo, info, context);
    errno = saved_errno;
}

/* ---- dispositions ---- */

bool awi_hold_is_engines(int signo)
{
    return signo == awi_disposition_signo();
}

/* While a guard on user time has SIGVTALRM, what it will give back is the disposition that counts. */
static int change(int signo, const struct sigaction *action, struct sigaction *old)
{
    if (!awi_burn_took(signo))
        return sigaction(signo, action, old) == 0 ? 0 : -errno;
    if (old != NULL)
        *old = awi_burn_found();
    if (action != NULL)
        awi_burn_replace_found(action);
    return 0;
}

static struct sigaction our_action(int signo)
{
    struct sigaction action;
    bool interrupts = (interrupting & awi_signal_bit(signo)) != 0;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (interrupts ? 0 : SA_RESTART);
    sigfillset(&action.sa_mask);
    return action;
}

/* What we have set is there still: who came later and took our place keeps it. */
static bool is_in_place(int signo)
{
    struct sigaction now;
    if (change(signo, NULL, &now) < 0)
        return false;
    if (is_watched(signo))
        return is_ours(&now);
    return now.sa_handler == simple_action(signo).sa_handler;
}

/*
 * Asked before anything is changed: what stands there now is not what we have set. Who came later has his
 * place.
 */
static bool displaces(int signo)
{
    return !awi_hold_has(signo) || !is_in_place(signo);
}

/* What was found is known before ours is there: another thread may fork in between. */
static int hold(int signo, const struct sigaction *action, bool is_first)
{
    int result = is_first ? change(signo, NULL, &found[signo - 1]) : 0;
    if (result < 0)
        return result;
    awi.held |= awi_signal_bit(signo);
    awi_order();
    result = change(signo, action, NULL);
    if (result < 0 && is_first)
        awi.held &= ~awi_signal_bit(signo);
    return result;
}

bool awi_hold_has(int signo)
{
    return (awi.held & awi_signal_bit(signo)) != 0;
}

void awi_hold_let_go(int signo)
{
    uint64_t bit = awi_signal_bit(signo);
    if (!awi_hold_has(signo))
        return;
    if (is_in_place(signo))
        (void)change(signo, &found[signo - 1], NULL);
    awi.held &= ~bit;
    interrupting &= ~bit;
    ignored &= ~bit;
    defaulted &= ~bit;
}

/* Back to what awi_hold_dispose has set. */
static void step_back(int signo)
{
    struct sigaction action = simple_action(signo);
    if (is_in_place(signo))
        (void)change(signo, &action, NULL);
    interrupting &= ~awi_signal_bit(signo);
}

int awi_hold_dispose(int signo, void (*handler)(int))
{
    uint64_t bit = awi_signal_bit(signo);
    bool is_first = displaces(signo);
    uint64_t ignored_before = ignored, defaulted_before = defaulted;
    ignored = handler == SIG_IGN ? ignored | bit : ignored & ~bit;
    defaulted = handler == SIG_IGN ? defaulted & ~bit : defaulted | bit;
    struct sigaction action = simple_action(signo);
    int result = hold(signo, &action, is_first);
    if (result < 0) {
        ignored = ignored_before;
        defaulted = defaulted_before;
    }
    return result;
}

/* What came of the engine's own signal while nobody watched it is nobody's. */
int awi_hold_watch(int signo)
{
    struct awi_arrival stale;
    struct sigaction action = our_action(signo);
    uint64_t bit = awi_signal_bit(signo);
    bool is_first = displaces(signo);
    while (awi_record_take(bit, &stale))
        continue;
    awi_record_begin(signo);
    awi.note = note;
    __atomic_fetch_or(&awi.watched, bit, __ATOMIC_SEQ_CST);
    int result = awi_hold_is_engines(signo) ? 0 : hold(signo, &action, is_first);
    if (result < 0)
        __atomic_fetch_and(&awi.watched, ~bit, __ATOMIC_SEQ_CST);
    return result;
}

void awi_hold_unwatch(int signo, bool all)
{
    struct awi_arrival arrival;
    if (is_disposed(signo) && !all)
        step_back(signo);
    else
        awi_hold_let_go(signo);
    __atomic_fetch_and(&awi.watched, ~awi_signal_bit(signo), __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&in_flight, __ATOMIC_SEQ_CST) != 0)
        sched_yield();
    while (awi_record_take(awi_signal_bit(signo), &arrival)) {
        if (!awi_hold_is_engines(signo)) /* that one could be taken for the alarm's */
            send_again(signo, &arrival.info);
    }
}

int awi_hold_interrupt(int signo, bool interrupts)
{
    struct sigaction now;
    uint64_t bit = awi_signal_bit(signo);
    interrupting = interrupts ? interrupting | bit : interrupting & ~bit;
    struct sigaction action = our_action(signo);
    int result = change(signo, NULL, &now);
    return result == 0 && is_ours(&now) ? change(signo, &action, NULL) : result;
}

int awi_hold_query(int signo, enum aw_signal_kind *kind)
{
    struct sigaction now;
    int result = change(signo, NULL, &now);
    if (result < 0)
        return result;
    bool is_engines = (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == awi_handle;
    *kind = now.sa_handler == SIG_DFL     ? AW_SIGNAL_DEFAULT
            : now.sa_handler == SIG_IGN   ? AW_SIGNAL_IGNORED
            : is_ours(&now) || is_engines ? AW_SIGNAL_WATCHED
                                          : AW_SIGNAL_FOREIGN;
    return 0;
}

/* ---- forks ---- */

static _Thread_local sigset_t blocked_for_fork; /* and not blocked before */

static void block_for_fork(void)
{
    sigset_t mask, set;
    uint64_t signals = awi_hold_watched();
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    sigemptyset(&set);
    for (int signo = 1; signo <= AWI_SIGNALS; ++signo) {
        if ((signals & awi_signal_bit(signo)) != 0 && !awi_hold_is_engines(signo) &&
            sigismember(&mask, signo) == 0)
            sigaddset(&set, signo);
    }
    blocked_for_fork = set;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Only those: the engine's own hook may have restored the mask of another. */
static void unblock_after_fork(void)
{
    pthread_sigmask(SIG_UNBLOCK, &blocked_for_fork, NULL);
}

/*
 * The engine's own hook, which gives the dispositions back, was set before: children's hooks run in that
 * order, so the mask opens last.
 */
int awi_hold_ready(void)
{
    static bool watches_forks;
    int failed = watches_forks ? 0 : pthread_atfork(block_for_fork, unblock_after_fork, unblock_after_fork);
    if (failed != 0)
        return -failed;
    watches_forks = true;
    awi.held = interrupting = ignored = defaulted = 0;
    return 0;
}

void awi_hold_forked(void)
{
    for (int signo = 1; signo <= AWI_SIGNALS; ++signo)
        awi_hold_let_go(signo);
    in_flight = 0;
}
