/* SPDX-License-Identifier: MIT */
/*
 * cover.h: the program's side of the alarm: a need was published in pending.h, and the alarm must cover it.
 * The alarm is programmed only where the need is strictly earlier than what it is programmed for, and never
 * taken back when a need goes away.
 */
#ifndef AWI_COVER_H
#define AWI_COVER_H

#include "pending.h"

/* An alarm this much overdue was lost. */
#define AWI_LOST_NS AW_MS(10)

int awi_cover_slow(bool anyway);

/*
 * Sees to it that the alarm comes by `need_ns`, which is published. Negative errno if it cannot be
 * programmed.
 */
static inline int awi_cover(uint64_t need_ns)
{
    return AWI_LIKELY(need_ns >= AWI_LOAD(awi.armed_at)) ? 0 : awi_cover_slow(false);
}

static inline bool awi_is_lost(uint64_t armed_at, uint64_t now_ns)
{
    return armed_at < now_ns && now_ns - armed_at > AWI_LOST_NS;
}

void awi_recover(void);

/*
 * Every call that has read the clock looks whether the alarm was lost: ignored, stolen, or swallowed. What
 * awi_clock_coarse says may be ahead of the time; awi_recover looks at the other clock.
 */
static inline void awi_recover_if_lost(uint64_t now_ns)
{
    if (AWI_UNLIKELY(awi_is_lost(AWI_LOAD(awi.armed_at), now_ns)))
        awi_recover();
}

/* Takes back an alarm that is set for earlier than anything needs: 1 if it was, 0 if not. */
int awi_cover_exactly(void);

/* What to program for a need: the need, or as far as the alarm reaches. */
uint64_t awi_cover_time(uint64_t need_ns, uint64_t now_ns);

#endif
