/* SPDX-License-Identifier: MIT */
/* dwarf_names.h: what debug information says of a function as such: its names, its file, where it begins. */
#ifndef AWI_PROFILE_DWARF_NAMES_H
#define AWI_PROFILE_DWARF_NAMES_H

#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>

#include "../model.h"

/* Strings are libdw's, as long as the module is open, or the arena's; NULL: not known. */
struct awi_source_function {
    const char *linkage;
    const char *name;
    const char *file; /* where it is declared */
    uint32_t line;
};

/* C++ functions without a linkage name, by their entries, with their namespaces and classes before them. */
struct awi_dwarf_names {
    struct awi_arena *arena;
    struct {
        const void *entry; /* NULL: free */
        const char *name;
    } * slots;
    size_t slots_count; /* a power of two; half of them at most are taken */
    size_t count;
};

/* Of a function, or an inlined call of one. 0 or -ENOMEM. */
int awi_dwarf_describe(struct awi_dwarf_names *names, Dwarf_Die *die, struct awi_source_function *function);

/* An attribute that the entry has, or the one it is made from; 0: none. */
uint32_t awi_dwarf_number(Dwarf_Die *die, unsigned attribute);

#endif
