/* SPDX-License-Identifier: MIT */
/*
 * dispositions.c: SIGPROF belongs to the sampler, and to the program too, if it wants it: what the program
 * installs is kept, reported back as if it were in force, and called for each SIGPROF that is not a tick of
 * the sampler. So it can take the signal, reset all signals in a loop, or set a default that would kill it.
 *
 * The wish is read in the handler and written by any thread, under a lock that is held with all signals
 * blocked, for some instructions.
 */
#include "preload.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "../../profile/sampler/sampler.h"

static atomic_flag lock = ATOMIC_FLAG_INIT;
static atomic_bool is_taken;
static struct sigaction wish;
/* Whose wish it is: the child of a vfork shares our memory, and has dispositions of its own. */
static pid_t owner;

/* What the sampler calls for sigaction, by the linker's --wrap; and other functions that have no header. */
int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *old);
int __sigaction(int signo, const struct sigaction *action, struct sigaction *old);
awi_signal_handler *bsd_signal(int signo, awi_signal_handler *handler);

static void acquire(sigset_t *mask)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, mask);
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
        sched_yield();
}

static void release(const sigset_t *mask)
{
    atomic_flag_clear_explicit(&lock, memory_order_release);
    pthread_sigmask(SIG_SETMASK, mask, NULL);
}

int __wrap_sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
    return awi_libc()->sigaction(signo, action, old);
}

void awi_dispositions_begin(void)
{
    wish = *awi_sampler_found();
    owner = getpid();
    atomic_store(&is_taken, true);
}

void awi_dispositions_forked(void)
{
    /* A thread that does not exist here may have held it. */
    atomic_flag_clear(&lock);
    if (!atomic_exchange(&is_taken, false))
        return;
    awi_libc()->sigaction(SIGPROF, &wish, NULL);
}

bool awi_dispositions_is_taken(void)
{
    return atomic_load_explicit(&is_taken, memory_order_acquire);
}

bool awi_dispositions_is_own_process(void)
{
    return getpid() == owner;
}

bool awi_dispositions_is_unused(void)
{
    sigset_t mask;
    acquire(&mask);
    bool is_unused = wish.sa_handler == SIG_DFL || wish.sa_handler == SIG_IGN;
    release(&mask);
    return is_unused;
}

/* --- A SIGPROF of the program's ----------------------------------------------------------------------- */

/* The signal is sent again; it is blocked here, and ends the process when the sampler's handler returns. */
static void end_process(int signo)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    awi_libc()->sigaction(signo, &action, NULL);
    tgkill(getpid(), gettid(), signo);
}

/* As the kernel would have called it. The sampler's own mask is full. */
static void call(const struct sigaction *action, int signo, siginfo_t *info, void *context)
{
    const ucontext_t *interrupted = context;
    sigset_t mask;
    sigset_t full;
    sigorset(&mask, &interrupted->uc_sigmask, &action->sa_mask);
    if ((action->sa_flags & SA_NODEFER) == 0)
        sigaddset(&mask, signo);
    pthread_sigmask(SIG_SETMASK, &mask, &full);
    if ((action->sa_flags & SA_SIGINFO) != 0)
        action->sa_sigaction(signo, info, context);
    else
        action->sa_handler(signo);
    pthread_sigmask(SIG_SETMASK, &full, NULL);
}

void awi_dispositions_foreign(int signo, siginfo_t *info, void *context)
{
    sigset_t mask;
    acquire(&mask);
    struct sigaction action = wish;
    bool is_handler = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
    if (is_handler && ((unsigned)action.sa_flags & SA_RESETHAND) != 0)
        wish.sa_handler = SIG_DFL;
    release(&mask);
    if (is_handler)
        call(&action, signo, info, context);
    else if (awi_sampler_is_tick(info)) /* late, of a profile of the program's own that has ended */
        return;
    else if (awi_threads_block_again(context))
        kill(getpid(), signo); /* to whoever waits for it */
    else if (action.sa_handler == SIG_DFL)
        end_process(signo);
}

/* --- What the program calls --------------------------------------------------------------------------- */

static bool is_ours(int signo)
{
    return signo == SIGPROF && awi_dispositions_is_taken() && awi_dispositions_is_own_process();
}

/* A handler that is to interrupt system calls does so only if ours does. */
static void follow_restart(const struct sigaction *action)
{
    struct sigaction ours;
    if (awi_libc()->sigaction(SIGPROF, NULL, &ours) != 0)
        return;
    bool is_handler = action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
    bool restarts = !is_handler || ((unsigned)action->sa_flags & SA_RESTART) != 0;
    if (restarts == (((unsigned)ours.sa_flags & SA_RESTART) != 0))
        return;
    ours.sa_flags ^= SA_RESTART;
    awi_libc()->sigaction(SIGPROF, &ours, NULL);
}

/*
 * Who ignores the signal, if only for a moment, wants what is pending to be gone: of the process's, and of
 * this thread's. (To have the kernel ignore it would stop our own timers, which wait for their signals to be
 * taken.) What is pending in other threads is found to be late when it comes, if it is a profiler's.
 */
static void discard_pending(void)
{
    const struct timespec at_once = { 0, 0 };
    int saved_errno = errno;
    siginfo_t info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    while (awi_libc()->sigtimedwait(&set, &info, &at_once) == SIGPROF)
        awi_sampler_drop(&info);
    errno = saved_errno;
}

static int exchange(const struct sigaction *action, struct sigaction *old)
{
    sigset_t mask;
    struct sigaction next = { 0 };
    if (action != NULL) {
        next = *action;
        sigdelset(&next.sa_mask, SIGKILL);
        sigdelset(&next.sa_mask, SIGSTOP);
    }
    acquire(&mask);
    struct sigaction found = wish;
    if (action != NULL) {
        wish = next;
        follow_restart(&next);
        if (next.sa_handler == SIG_IGN)
            discard_pending();
    }
    release(&mask);
    if (old != NULL)
        *old = found;
    return 0;
}

/* libc names the parameters otherwise. NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

AWI_INTERPOSED int sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
    return is_ours(signo) ? exchange(action, old) : awi_libc()->sigaction(signo, action, old);
}

AWI_INTERPOSED int __sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
    return sigaction(signo, action, old);
}

/* Signals for which siginterrupt was called last with true: of these, the only one that is kept here. */
static atomic_bool is_interrupting;

static awi_signal_handler *install(awi_signal_handler *handler, int flags, bool is_in_mask)
{
    struct sigaction old;
    struct sigaction action;
    if (handler == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    if (is_in_mask)
        sigaddset(&action.sa_mask, SIGPROF);
    exchange(&action, &old);
    return old.sa_handler;
}

AWI_INTERPOSED awi_signal_handler *signal(int signo, awi_signal_handler *handler)
{
    if (!is_ours(signo))
        return awi_libc()->signal(signo, handler);
    return install(handler, atomic_load(&is_interrupting) ? 0 : SA_RESTART, true);
}

AWI_INTERPOSED awi_signal_handler *bsd_signal(int signo, awi_signal_handler *handler)
{
    return signal(signo, handler);
}

AWI_INTERPOSED awi_signal_handler *ssignal(int signo, awi_signal_handler *handler)
{
    return signal(signo, handler);
}

/* In a program that is compiled for System V, signal is this. */
AWI_INTERPOSED awi_signal_handler *__sysv_signal(int signo, awi_signal_handler *handler)
{
    if (!is_ours(signo))
        return awi_libc()->sysv_signal(signo, handler);
    return install(handler, (int)(SA_RESETHAND | SA_NODEFER), false);
}

AWI_INTERPOSED awi_signal_handler *sysv_signal(int signo, awi_signal_handler *handler)
{
    return __sysv_signal(signo, handler);
}

AWI_INTERPOSED int siginterrupt(int signo, int is_interrupt)
{
    if (!is_ours(signo))
        return awi_libc()->siginterrupt(signo, is_interrupt);
    struct sigaction action;
    exchange(NULL, &action);
    atomic_store(&is_interrupting, is_interrupt != 0);
    action.sa_flags = is_interrupt != 0 ? action.sa_flags & ~SA_RESTART : action.sa_flags | SA_RESTART;
    return exchange(&action, NULL);
}

AWI_INTERPOSED int sigignore(int signo)
{
    if (!is_ours(signo))
        return awi_libc()->sigignore(signo);
    install(SIG_IGN, 0, false);
    return 0;
}

AWI_INTERPOSED awi_signal_handler *sigset(int signo, awi_signal_handler *handler)
{
    if (!is_ours(signo))
        return awi_libc()->sigset(signo, handler);
    sigset_t set;
    sigset_t before;
    struct sigaction old;
    if (handler == SIG_HOLD)
        exchange(NULL, &old);
    else if ((old.sa_handler = install(handler, 0, false)) == SIG_ERR)
        return SIG_ERR;
    sigemptyset(&set);
    sigaddset(&set, signo);
    pthread_sigmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &set, &before);
    return sigismember(&before, signo) == 1 ? SIG_HOLD : old.sa_handler;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
