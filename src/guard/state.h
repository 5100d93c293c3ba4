/* SPDX-License-Identifier: MIT */
/*
 * state.h: what a struct aw_guard says of itself in awi_state: values that memory does not hold by chance.
 * The fields that tell who fired are written, and read, in AWI_EXPIRED only, and the error in AWI_FAILED, so
 * that entering has one thing to write.
 */
#ifndef AWI_STATE_H
#define AWI_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include <alarmwheel/guard.h>

#include "../engine/pending.h"

/* The index on the array of guards is in its low bits; AWI_PLACED: file and line are known. */
#define AWI_ENTERED UINT32_C(0x67e47e00)
#define AWI_PLACED UINT32_C(0x40)
#define AWI_LEFT UINT32_C(0x67e41ef7)
#define AWI_EXPIRED UINT32_C(0x67e4e291)
#define AWI_FAILED UINT32_C(0x67e4fa11)

static inline uint32_t awi_guard_index(const struct aw_guard *guard)
{
    return guard->awi_state % AWI_GUARD_DEPTH;
}

/* By its own memory. It may have been dropped from the array since. */
static inline bool awi_guard_was_entered(const struct aw_guard *guard)
{
    return (guard->awi_state & ~(AWI_PLACED | (AWI_GUARD_DEPTH - 1))) == AWI_ENTERED;
}

static inline bool awi_guard_is_entered(const struct aw_guard *guard)
{
    uint32_t index = awi_guard_index(guard);
    return awi_guard_was_entered(guard) && index < AWI_LOAD(awi.depth) && awi.guards[index].guard == guard;
}

/* Where it was entered by AW_GUARD: the source line. */
static inline bool awi_guard_is_placed(const struct aw_guard *guard)
{
    return awi_guard_was_entered(guard) && (guard->awi_state & AWI_PLACED) != 0;
}

#endif
