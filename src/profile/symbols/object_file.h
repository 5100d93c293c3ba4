/* SPDX-License-Identifier: MIT */
/*
 * object_file.h: a program, a library, or the kernel's [vdso], opened to name addresses in it. Addresses here
 * are those in the file's symbol table: addresses in memory less the module's bias.
 */
#ifndef AWI_PROFILE_OBJECT_FILE_H
#define AWI_PROFILE_OBJECT_FILE_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>

#include "address_ranges.h"
#include "dwarf_frames.h"
#include "elf_symbols.h"

struct awi_object_file {
    struct awi_arena *arena; /* of all that is read from it */
    Dwfl *session;
    bool
        is_read; /* else there is no such file, it is no program or library, or not the one that was mapped */
    struct awi_address_ranges code;
    struct awi_elf_symbols symbols;
    struct awi_dwarf *dwarf; /* NULL: no debug information */
    char build_id[2 * 64 + 1];
};

/*
 * A file that cannot be read is no error: is_read says so. 0 or -ENOMEM; close it in both cases. To be called
 * within awi_dwarf_guarded.
 */
int awi_object_file_open(struct awi_object_file *file, const struct awi_module *module);
void awi_object_file_close(struct awi_object_file *file);

#endif
