/* SPDX-License-Identifier: MIT */
/*
 * hard.h: hard limits, for the handler. What ends the process is a step beyond what ends a guard: it comes a
 * grace period after the deadline, and asks neither for shields nor for the callback that runs.
 */
#ifndef AWI_HARD_H
#define AWI_HARD_H

#include <stdint.h>

#include <alarmwheel/base.h>

#include "../engine/pending.h"

uint64_t awi_hard_earliest(void);
void awi_hard_strike_due(const void *stack);

/* When the earliest hard limit strikes, of those that have not; AW_FOREVER: none. AS-Safe. */
static inline uint64_t awi_hard_next(void)
{
    return AWI_LIKELY(AWI_LOAD(awi.limited) == 0) ? AW_FOREVER : awi_hard_earliest();
}

/*
 * In the handler: strikes where a limit is due. `stack` is where the interrupted code's stack ends: guards
 * that lie below it were left by longjmp. Returns unless it has ended the process.
 */
static inline void awi_hard_strike(const void *stack)
{
    if (AWI_UNLIKELY(AWI_LOAD(awi.limited) != 0))
        awi_hard_strike_due(stack);
}

#endif
