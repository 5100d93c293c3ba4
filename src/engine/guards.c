/* SPDX-License-Identifier: MIT */
/*
 * guards.c: the array of entered guards, as the program changes it. The handler may interrupt anywhere:
 *
 *   drop:  depth = d        from here on the handler marks no guard from d on
 *          burning, limited &= ..., and their timers: the handler looks at none of them from d on
 *          expired &= ...   so a bit that is cleared stays clear for the guard that is pushed there next
 *
 * A handler before the first store may still mark the guard that is being left: who leaves it reads the
 * verdict after that store, so sees that, and nothing later.
 */
#include "guards.h"

#include "../busy.h"
#include "burn.h"
#include "disposition.h"
#include "report.h"

/* Guards on processor time, and those with a hard limit, have timers of their own. */
AWI_OUTLINE static void drop_timers(uint64_t kept)
{
    const void *outer = awi_busy_begin();
    uint64_t burning = AWI_LOAD(awi.burning), limited = AWI_LOAD(awi.limited);
    AWI_STORE(awi.burning, burning & kept);
    AWI_STORE(awi.limited, limited & kept);
    awi_order();
    if ((burning & ~kept) != 0)
        awi_burn_dropped();
    if ((limited & ~kept) != 0)
        awi.unlimit();
    awi_busy_end(outer);
}

void awi_guards_drop(uint32_t depth)
{
    AWI_STORE(awi.depth, depth);
    awi_order();
    if (AWI_LOAD(awi.base) > depth)
        AWI_STORE(awi.base, depth); /* guards from outside the callback: what it enters next is its own */
    uint64_t kept = depth < AWI_GUARD_DEPTH ? ~(UINT64_MAX << depth) : UINT64_MAX;
    if (AWI_UNLIKELY(((AWI_LOAD(awi.burning) | AWI_LOAD(awi.limited)) & ~kept) != 0))
        drop_timers(kept);
    if (AWI_LIKELY((AWI_LOAD(awi.expired) | AWI_LOAD(awi.told)) == 0))
        return;
    __atomic_fetch_and(&awi.expired, kept, __ATOMIC_RELAXED);
    __atomic_fetch_and(&awi.told, kept, __ATOMIC_RELAXED);
    if (AWI_LOAD(awi.expired) == 0) {
        awi_clear(AWI_GUARD);
        awi_order();
        /* An outer guard may have expired since the test above: its flag would be the one just cleared. */
        if (AWI_LOAD(awi.expired) != 0)
            awi_raise(AWI_GUARD);
    }
    awi_disposition_settle();
}

void awi_guards_prune_slow(const void *here)
{
    uint32_t depth = AWI_LOAD(awi.depth);
    uint32_t alive = depth;
    while (alive != 0 && awi_frame_is_gone(awi.guards[alive - 1].guard, here))
        --alive;
    if (alive == depth)
        return;
    awi_report_gone(alive);
    awi_guards_drop(alive);
}

uint32_t awi_guards_target(uint64_t expired)
{
    uint32_t depth = AWI_LOAD(awi.depth);
    uint32_t index = expired != 0 ? (uint32_t)__builtin_ctzll(expired) : depth;
    while (index < depth && (awi.guards[index].how & AW_GUARD_ESCAPE) == 0)
        ++index;
    return index < depth ? index : depth;
}

void awi_guards_told(void)
{
    uint64_t expired = awi_expired_guards();
    if (awi_guards_target(expired) == AWI_LOAD(awi.depth))
        __atomic_fetch_or(&awi.told, expired, __ATOMIC_RELAXED);
    awi_disposition_settle();
}

void awi_guards_lower_shields(uint32_t shields)
{
    for (uint32_t i = AWI_LOAD(awi.depth); i > AWI_LOAD(awi.base) && awi.guards[i - 1].shields > shields; --i)
        AWI_STORE(awi.guards[i - 1].shields, shields);
    awi_order();
    AWI_STORE(awi.shields, shields);
    awi_order();
}
