/* SPDX-License-Identifier: MIT */
/*
 * elf_symbols.h: the functions in a module's symbol table, by address. libdwfl finds the table (.symtab, of
 * the file or of its debug file, else .dynsym with .gnu_debugdata), but looks through all of it for each
 * address; here it is read once.
 */
#ifndef AWI_PROFILE_ELF_SYMBOLS_H
#define AWI_PROFILE_ELF_SYMBOLS_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>

#include "address_ranges.h"

struct awi_elf_symbol {
    uint64_t start;
    uint64_t end;
    const char *name; /* libdwfl's, as long as the module is open */
    bool is_sized;    /* else the end is where the next symbol begins */
    unsigned rank;    /* of several for one address the lowest names it */
};

struct awi_elf_symbols {
    struct awi_elf_symbol *symbols; /* one for each start, by start */
    struct awi_address_ranges ranges;
};

/* All of it lies in the arena. `code` is where the module has code. 0 or -ENOMEM; no table is no error. */
int awi_elf_symbols_read(struct awi_elf_symbols *symbols, Dwfl_Module *module,
                         const struct awi_address_ranges *code, struct awi_arena *arena);

/* NULL: there is none. */
const struct awi_elf_symbol *awi_elf_symbols_find(const struct awi_elf_symbols *symbols, uint64_t address);

#endif
