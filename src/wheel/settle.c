/* SPDX-License-Identifier: MIT */
/*
 * settle.c: the exact next deadline. aw_wheel_next may be early, because moving or disarming a timer leaves
 * it linked where it was; here what stands in front is looked at and put where it belongs, until the first
 * deadline is a living timer's own.
 */
#include "wheel_run.h"

#include "levels.h"

/*
 * Buries the dead of a slot and links those that were moved out of it anew. False: nothing is left in it.
 */
static bool settle_slot(struct aw_wheel *w, uint32_t slot)
{
    uint64_t start = awi_near_tick(w, w->record[slot].meta);
    uint64_t last = start + ((UINT64_C(1) << (slot >> AWI_LEVEL_BITS) * AWI_LEVEL_BITS) - 1);
    uint64_t least = AWI_NEVER;
    uint32_t next;

    for (uint32_t index = w->record[slot].next; index != slot; index = next) {
        next = w->record[index].next;
        if (!(w->record[index].meta & AWI_ARMED)) {
            awi_bury(w, index);
            continue;
        }
        uint64_t tick = awi_near_tick(w, w->record[index].when);
        if (tick > last) {
            awi_unlink(w, index);
            awi_link(w, index, tick);
        } else if (tick < least) {
            least = tick;
        }
    }
    if (least == AWI_NEVER) {
        return false;
    }
    w->record[slot].when = (uint32_t)least;
    return true;
}

static void settle_far(struct aw_wheel *w)
{
    uint64_t least = AWI_NEVER;
    uint32_t next;

    for (uint32_t index = w->record[AWI_FAR].next; index != AWI_FAR; index = next) {
        next = w->record[index].next;
        if (!(w->record[index].meta & AWI_ARMED)) {
            awi_bury(w, index);
        } else if (awi_far_tick(w, index) < least) {
            least = awi_far_tick(w, index);
        }
    }
    w->far_min = least;
}

uint64_t awi_wheel_settle(struct aw_wheel *w)
{
    uint64_t next;
    uint32_t slot;

    while ((slot = awi_first_slot(w)) < AWI_SLOTS && !settle_slot(w, slot)) {
    }
    settle_far(w);
    aw_wheel_next(w, &next);
    return next;
}
