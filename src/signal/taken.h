/* SPDX-License-Identifier: MIT */
/*
 * taken.h: how handlers of one signal that call each other agree on whose it was. A handler has no result;
 * who finds that a signal was meant for it alone writes so into the siginfo_t, in a member that Linux leaves
 * 0 (docs/adr/0033). Used by the watching handler and by the profiler's, which are in libraries of their own.
 */
#ifndef AWI_TAKEN_H
#define AWI_TAKEN_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>

static inline void awi_take(siginfo_t *info)
{
    info->si_errno = ECANCELED;
}

static inline bool awi_is_taken(const siginfo_t *info)
{
    return info->si_errno == ECANCELED;
}

#endif
