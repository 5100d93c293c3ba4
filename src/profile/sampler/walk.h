/* SPDX-License-Identifier: MIT */
/* walk.h: the stack of interrupted code, walked in the signal handler. */
#ifndef AWI_PROFILE_WALK_H
#define AWI_PROFILE_WALK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Writes the interrupted stack's addresses, innermost first, at most `max` (1 and more): the interrupted
 * instruction's own, and for each caller one that lies within the instruction that called. Returns how many,
 * 1 and more. AS-Safe once awi_unwind_warm has run. To be called from the handler itself.
 */
unsigned awi_unwind(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated);

/*
 * The two ways in which it does that. By rules: not whole, if it ends at a frame that cannot be put in a
 * rule. By the compiler's unwinder: any frame that has call-frame information.
 */
unsigned awi_unwind_by_rules(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated,
                             bool *is_whole);
unsigned awi_unwind_by_libgcc(const void *context, uint64_t *pcs, unsigned max, bool *is_truncated);

/*
 * The first walk of a process may load or allocate: it is made here, outside of any handler. Forgets what was
 * known of addresses, since other code may be there now.
 */
void awi_unwind_warm(void);

#endif
