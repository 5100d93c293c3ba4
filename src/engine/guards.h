/* SPDX-License-Identifier: MIT */
/*
 * guards.h: the array of entered guards in pending.h, as the program changes it: drop guards, and find
 * those whose frame is gone. Owner thread, not in the handler.
 */
#ifndef AWI_GUARDS_H
#define AWI_GUARDS_H

#include "frame.h"
#include "pending.h"

/* Drops all guards from index `depth` on. It does not touch their memory, which may be gone. */
void awi_guards_drop(uint32_t depth);

void awi_guards_prune_slow(const void *here);

/*
 * Drops the guards that lie in frames below `here`, an address in the caller's frame: they were left by
 * longjmp.
 */
static inline void awi_guards_prune(const void *here)
{
    uint32_t depth = AWI_LOAD(awi.depth);
    if (depth != 0 && AWI_UNLIKELY((uintptr_t)awi.guards[depth - 1].guard < (uintptr_t)here))
        awi_guards_prune_slow(here);
}

/*
 * The guard that the expiry of one in `expired` leads to an escape to: the outermost escaping one, from the
 * outermost expired one inwards; `depth`: none. AS-Safe.
 */
uint32_t awi_guards_target(uint64_t expired);

/*
 * The program was told of the expired guards that it is subject to: they are nagged for no more, unless they
 * lead to an escape.
 */
void awi_guards_told(void);

/*
 * To fewer than stand. A guard that was entered under one that is lowered now minds the next to be raised.
 */
void awi_guards_lower_shields(uint32_t shields);

#endif
