/* SPDX-License-Identifier: MIT */
/* modules.h: which program or library files the sampled addresses lie in. */
#ifndef AWI_PROFILE_MODULES_H
#define AWI_PROFILE_MODULES_H

#include <stdbool.h>
#include <stdint.h>

#include "recording.h"

/*
 * Has the file that `pc` lies in recorded, if it is not yet. False: it lies in none. AS-Safe and lock-free:
 * called by the handler for the addresses of a stack that it meets for the first time, so that libraries
 * which are loaded later are known, and those that are unloaded stay so, without a look at dlopen.
 */
bool awi_modules_note(struct awi_recording *recording, uintptr_t pc);

#endif
