/* SPDX-License-Identifier: MIT */
/*
 * cleanup.h: the clean-ups that guards hold in their slots, on their way from a frame that is about to be
 * left to the landing that runs them.
 */
#ifndef AWI_CLEANUP_H
#define AWI_CLEANUP_H

#include <stdint.h>

/*
 * Copies the clean-ups of the guards from `index` inwards out of their frames, which lie above `stack`.
 * Handler or program; before the jump, which makes those frames anybody's.
 */
void awi_cleanup_gather(uint32_t index, const void *stack);

/* Runs what was gathered last, last registered first, each once. Program context, at the landing. */
void awi_cleanup_run(void);

#endif
