/* SPDX-License-Identifier: MIT */
/* lasting.h: which objects stay where they are until the process ends, and which one it is if not. */
#ifndef AWI_PROFILE_LASTING_H
#define AWI_PROFILE_LASTING_H

#include <stdbool.h>
#include <stdint.h>

/* Looks the lasting ones up: those that the program was started with. Not AS-Safe. */
void awi_lasting_find(void);

/* Does this address lie in one of them? AS-Safe. */
bool awi_lasting_has(uintptr_t pc);

/*
 * A number for the object that the address lies in, and where that begins and ends; another object that is
 * loaded there later has another number. 0, and a range of this address alone: there is none. AS-Safe.
 */
uint64_t awi_object_identity(uintptr_t pc, uint64_t *start, uint64_t *end);

#endif
