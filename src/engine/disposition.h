/* SPDX-License-Identifier: MIT */
/*
 * disposition.h: the disposition and the mask of the alarm's signal: taken at aw_init, shared with the
 * handler that stood there, given back at aw_shutdown.
 */
#ifndef AWI_DISPOSITION_H
#define AWI_DISPOSITION_H

#include <signal.h>
#include <stdbool.h>

typedef void awi_handler_fn(int signo, siginfo_t *info, void *context);

/*
 * Blocks the signal on this thread, so that what follows is not interrupted by it, and installs the
 * handler.
 */
int awi_disposition_take(int signo, awi_handler_fn *handler);

/* The engine runs: lets the signal through. */
void awi_disposition_open(void);

/*
 * Waits for handlers that run on other threads, discards what is pending, and restores disposition and
 * mask.
 */
void awi_disposition_give_back(void);

/* In the child of a fork: restores disposition and, on the owner's copy, mask. AS-Safe. */
void awi_disposition_forked(bool was_owner);

/* If somebody has replaced our handler: takes the place again, in front of theirs. True if so. */
bool awi_disposition_retake(void);

/*
 * All signals are blocked: is there one pending, not ours, that a handler waits for and that `mask` lets
 * through?
 */
bool awi_disposition_foreign_is_pending(const sigset_t *mask);

/* The signal that the engine uses. */
int awi_disposition_signo(void);

/* The disposition that stood there, or that retake displaced. */
struct sigaction awi_disposition_found(void);

/*
 * In the handler: passes a signal on to that disposition's handler, with its own mask and flags. True if
 * there was one. `due`: the alarm of its own, so that SIG_DFL ends the process, as it would have.
 */
bool awi_disposition_chain(const struct sigaction *action, int signo, siginfo_t *info, void *context,
                           bool due);

/* The fallback that interrupts system calls: drops SA_RESTART. Handler; repeated at every nag. */
void awi_disposition_drop_restart(void);

void awi_disposition_settle_slow(void);
extern bool awi_restart_is_dropped __attribute__((visibility("hidden")));

/*
 * Guards were left or told, a shield was raised, or a callback begins: if no expired guard is to interrupt
 * any more, SA_RESTART comes back.
 */
static inline void awi_disposition_settle(void)
{
    if (__builtin_expect(__atomic_load_n(&awi_restart_is_dropped, __ATOMIC_RELAXED), 0))
        awi_disposition_settle_slow();
}

#endif
