/* SPDX-License-Identifier: MIT */
/*
 * disposition.c: the only sigaction of the alarm's signal. See disposition.h. Our own handler is installed
 * with a full mask, so that it nests in nothing, with SA_RESTART, so that ticks which concern nobody
 * disturb nobody, and with SA_ONSTACK, so that a program on a small stack survives it.
 */
#include "disposition.h"
#include "../busy.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "burn.h"
#include "frame.h"
#include "pending.h"

static int signo_taken;
static awi_handler_fn *our_handler;
static struct sigaction found; /* what stood there, or came later and was displaced by retake */
static bool was_blocked, was_pending;

bool awi_restart_is_dropped;

static int install(awi_handler_fn *handler, int flags, struct sigaction *old)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | flags;
    sigfillset(&action.sa_mask);
    return sigaction(signo_taken, &action, old) == 0 ? 0 : -errno;
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == our_handler;
}

/* With other flags, where ours is the handler; who came later and took its place keeps it. */
static void reinstall(int flags)
{
    struct sigaction now;
    if (sigaction(signo_taken, NULL, &now) == 0 && is_ours(&now))
        install(our_handler, flags, NULL);
}

static void set_of(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, signo_taken);
}

/*
 * A signal that is pending while blocked belongs to who blocked it: it is kept aside, and raised again at
 * the end.
 */
static void set_aside_pending(const sigset_t *set)
{
    sigset_t pending;
    const struct timespec at_once = { 0, 0 };
    was_pending = was_blocked && sigpending(&pending) == 0 && sigismember(&pending, signo_taken) == 1 &&
                  sigtimedwait(set, NULL, &at_once) == signo_taken;
}

int awi_disposition_take(int signo, awi_handler_fn *handler)
{
    int saved_errno = errno;
    sigset_t set, mask;
    signo_taken = signo;
    our_handler = handler;
    awi_restart_is_dropped = false;
    set_of(&set);
    pthread_sigmask(SIG_BLOCK, &set, &mask);
    was_blocked = sigismember(&mask, signo) == 1;
    set_aside_pending(&set);
    int result = install(handler, SA_RESTART, &found);
    if (result < 0) {
        if (was_pending)
            raise(signo);
        if (!was_blocked)
            pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    errno = saved_errno;
    return result;
}

void awi_disposition_open(void)
{
    sigset_t set;
    set_of(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/*
 * Handlers and posters under way on other threads are waited for, since they may ring the doorbell; one
 * that begins now finds the engine closed and returns. Then SIG_IGN: it discards a signal that is pending,
 * on whichever thread. Straight to SIG_DFL would let that signal kill the process. In the other order a
 * late doorbell would stay: a signal that is blocked is kept even while it is ignored.
 */
void awi_disposition_give_back(void)
{
    int saved_errno = errno;
    struct sigaction now, ignore;
    sigset_t set;
    set_of(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    while (__atomic_load_n(&awi.in_flight, __ATOMIC_SEQ_CST) != 0)
        sched_yield();
    if (sigaction(signo_taken, NULL, &now) == 0 && is_ours(&now)) {
        memset(&ignore, 0, sizeof ignore);
        ignore.sa_handler = SIG_IGN;
        sigaction(signo_taken, &ignore, NULL);
        sigaction(signo_taken, &found, NULL);
    }
    if (was_pending)
        raise(signo_taken);
    if (!was_blocked)
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    errno = saved_errno;
}

void awi_disposition_forked(bool was_owner)
{
    struct sigaction now;
    sigset_t set;
    if (sigaction(signo_taken, NULL, &now) == 0 && is_ours(&now))
        sigaction(signo_taken, &found, NULL);
    if (was_owner && was_blocked) {
        set_of(&set);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
    }
}

bool awi_disposition_retake(void)
{
    int saved_errno = errno;
    struct sigaction now;
    bool stolen = sigaction(signo_taken, NULL, &now) == 0 && !is_ours(&now);
    if (stolen) {
        found = now;
        install(our_handler, SA_RESTART, NULL);
        awi_restart_is_dropped = false;
    }
    errno = saved_errno;
    return stolen;
}

/*
 * What is pending without a handler, as SIGCHLD mostly, is thrown away when the mask opens, and interrupts
 * nobody.
 */
static bool has_handler(int signo)
{
    struct sigaction action;
    return sigaction(signo, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
           action.sa_handler != SIG_IGN;
}

static bool is_ours_to_handle(int signo)
{
    return signo == signo_taken || awi_burn_took(signo) || (AWI_LOAD(awi.watched) >> (signo - 1) & 1) != 0;
}

bool awi_disposition_foreign_is_pending(const sigset_t *mask)
{
    sigset_t pending;
    int saved_errno = errno;
    bool found_one = false;
    /* Not by sigisemptyset: glibc 2.36's does not see the real-time signals. */
    if (sigpending(&pending) == 0) {
        for (int signo = 1; signo < NSIG && !found_one; ++signo)
            found_one = !is_ours_to_handle(signo) && sigismember(&pending, signo) == 1 &&
                        sigismember(mask, signo) == 0 && has_handler(signo);
    }
    errno = saved_errno;
    return found_one;
}

int awi_disposition_signo(void)
{
    return signo_taken;
}

struct sigaction awi_disposition_found(void)
{
    return found;
}

/*
 * A handler that was installed after ours, and saved ours to chain to it, can be the one found by the next
 * aw_init: each would call the other for ever. Such a call back brings the context that is being passed on,
 * from a deeper frame. (A handler that leaves by siglongjmp leaves this behind; the next signal has another
 * context, or, at the same address, comes from above.)
 */
static _Thread_local struct {
    const void *context;
    uintptr_t frame;
} passing __attribute__((tls_model("initial-exec")));

/* Our mask is full, so nothing but the call itself happens between the two changes of the mask. */
AWI_OUTLINE static void call_found(const struct sigaction *action, int signo, siginfo_t *info, void *context)
{
    const ucontext_t *interrupted = context;
    sigset_t mask, ours;

    sigorset(&mask, &interrupted->uc_sigmask, &action->sa_mask);
    if ((action->sa_flags & SA_NODEFER) == 0)
        sigaddset(&mask, signo);
    if (((unsigned)action->sa_flags & SA_RESETHAND) != 0 && signo == signo_taken) {
        found.sa_handler = SIG_DFL;
        found.sa_flags = 0;
    }
    passing.context = context;
    passing.frame = (uintptr_t)AWI_HERE;
    pthread_sigmask(SIG_SETMASK, &mask, &ours);
    if ((action->sa_flags & SA_SIGINFO) != 0)
        action->sa_sigaction(signo, info, context);
    else
        action->sa_handler(signo);
    pthread_sigmask(SIG_SETMASK, &ours, NULL);
    passing.context = NULL;
}

AWI_OUTLINE bool awi_disposition_chain(const struct sigaction *action, int signo, siginfo_t *info,
                                       void *context, bool due)
{
    /* Whatever the flags: what SA_RESETHAND leaves behind has SA_SIGINFO still. */
    if (action->sa_handler == SIG_IGN)
        return false;
    if (action->sa_handler == SIG_DFL) {
        if (due) {
            sigaction(signo, action, NULL);
            raise(signo); /* blocked here: it ends the process when this handler returns */
        }
        return false;
    }
    if (passing.context == context && (uintptr_t)AWI_HERE < passing.frame)
        return false;
    call_found(action, signo, info, context);
    return true;
}

void awi_disposition_drop_restart(void)
{
    int saved_errno = errno;
    __atomic_store_n(&awi_restart_is_dropped, true, __ATOMIC_RELAXED);
    awi_order();
    reinstall(0);
    errno = saved_errno;
}

/*
 * The handler may come in anywhere and drop SA_RESTART again for a guard that expires just now. Should the
 * sigaction below undo that, the next nag drops it once more; `awi_restart_is_dropped` is true by then, so
 * the next leave restores it.
 */
void awi_disposition_settle_slow(void)
{
    AWI_BUSY;
    int saved_errno = errno;
    if (awi_nagging_guards() != 0)
        return;
    __atomic_store_n(&awi_restart_is_dropped, false, __ATOMIC_RELAXED);
    awi_order();
    reinstall(SA_RESTART);
    errno = saved_errno;
}
