/* SPDX-License-Identifier: MIT */
/* debug_files.h: where the debug information of a module lies if not in its own file. Local files only. */
#ifndef AWI_PROFILE_DEBUG_FILES_H
#define AWI_PROFILE_DEBUG_FILES_H

#include <elfutils/libdwfl.h>

/* A callback of libdwfl: see Dwfl_Callbacks. */
int awi_find_debug_file(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
                        const char *file, const char *link, GElf_Word crc, char **path);

#endif
