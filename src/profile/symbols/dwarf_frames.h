/* SPDX-License-Identifier: MIT */
/*
 * dwarf_frames.h: what a module's debug information says of an address: the function, the calls that were
 * inlined there, files and lines. Compilation units are listed once, and their functions when an address
 * lies in one for the first time: no use is made of .debug_aranges, which some compilers leave out.
 */
#ifndef AWI_PROFILE_DWARF_FRAMES_H
#define AWI_PROFILE_DWARF_FRAMES_H

#include <elfutils/libdwfl.h>
#include <stdint.h>

#include "../model.h"
#include "dwarf_names.h"

/* Of one address, with the calls inlined in one another; libdw's own walk has no limit. */
#define AWI_INLINED_MAX 64u

struct awi_source_frame {
    struct awi_source_function function; /* in code of no function, the file that runs */
    uint32_t line;                       /* that runs */
};

struct awi_dwarf;

/* All of it lies in the arena. *dwarf is NULL if the module has no debug information. 0 or -ENOMEM. */
int awi_dwarf_read(struct awi_dwarf **dwarf, Dwfl_Module *module, struct awi_arena *arena);

/* The innermost first, the last is that of the function; a count of 0: nothing is known. 0 or -ENOMEM. */
int awi_dwarf_find(struct awi_dwarf *dwarf, uint64_t address,
                   struct awi_source_frame frames[AWI_INLINED_MAX + 1], size_t *count);

/*
 * Runs `work` and returns what it does, or -ENOMEM if libdw has no memory: its answer to that is to end the
 * program, unless it is left by a jump. All work with it is done in here; what was allocated is not freed.
 */
int awi_dwarf_guarded(int (*work)(void *), void *argument);

#endif
