/* SPDX-License-Identifier: MIT */
/*
 * cleanup.h: the clean-ups that are registered with guards, on their way from an escape to the landing that
 * runs them.
 */
#ifndef AWI_CLEANUP_H
#define AWI_CLEANUP_H

#include <stdint.h>

/*
 * Gathers the clean-ups of guard `index` and of those inside it that are `holding`: frames.h. `stack`: the
 * end of the stack that is left. Handler or program; before the jump.
 */
void awi_cleanup_gather(uint32_t index, uint64_t holding, const void *stack);

/* Runs what was gathered last, last registered first, each once. Program context, at the landing. */
void awi_cleanup_run(void);

#endif
