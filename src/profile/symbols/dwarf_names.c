/* SPDX-License-Identifier: MIT */
/*
 * dwarf_names.c: see dwarf_names.h. Functions of C++ that no other file can see have no linkage name in debug
 * information; where they were inlined no symbol table has one either, and their namespaces and classes are
 * looked for here. Called by dwarf_frames.c.
 */
#include "dwarf_names.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

uint32_t awi_dwarf_number(Dwarf_Die *die, unsigned attribute)
{
    Dwarf_Attribute found;
    Dwarf_Word number;
    if (dwarf_formudata(dwarf_attr_integrate(die, attribute, &found), &number) != 0 || number > INT32_MAX)
        return 0;
    return (uint32_t)number;
}

/* dwarf_decl_file of older elfutils takes number 0 for none, which is the first file since DWARF 5. */
static const char *file_of(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number;
    Dwarf_Half version;
    Dwarf_Die unit;
    Dwarf_Files *files;
    size_t count;
    if (dwarf_formudata(dwarf_attr_integrate(die, DW_AT_decl_file, &attribute), &number) != 0 ||
        dwarf_cu_info(attribute.cu, &version, NULL, &unit, NULL, NULL, NULL, NULL) != 0 ||
        (number == 0 && version < 5) || dwarf_getsrcfiles(&unit, &files, &count) != 0 || number >= count)
        return NULL;
    return dwarf_filesrc(files, (size_t)number, NULL, NULL);
}

/* ---- entries and their names ---- */

/* The slot of the entry, or a free one. */
static size_t slot_of(const struct awi_dwarf_names *names, const void *entry)
{
    uint64_t hash = (uint64_t)(uintptr_t)entry * UINT64_C(0x9e3779b97f4a7c15);
    size_t slot = (size_t)(hash >> 32) & (names->slots_count - 1);
    while (names->slots[slot].entry != NULL && names->slots[slot].entry != entry)
        slot = (slot + 1) & (names->slots_count - 1);
    return slot;
}

static const char *find(const struct awi_dwarf_names *names, const void *entry)
{
    return names->slots_count != 0 ? names->slots[slot_of(names, entry)].name : NULL;
}

static int grow(struct awi_dwarf_names *names)
{
    struct awi_dwarf_names grown = *names;
    grown.slots_count = names->slots_count != 0 ? 2 * names->slots_count : 256;
    grown.slots = awi_arena_alloc(names->arena, grown.slots_count, sizeof *grown.slots);
    if (grown.slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < names->slots_count; ++i)
        if (names->slots[i].entry != NULL)
            grown.slots[slot_of(&grown, names->slots[i].entry)] = names->slots[i];
    *names = grown;
    return 0;
}

static int put(struct awi_dwarf_names *names, const void *entry, const char *name)
{
    int error = 2 * (names->count + 1) > names->slots_count ? grow(names) : 0;
    if (error != 0)
        return error;
    size_t slot = slot_of(names, entry);
    names->count += names->slots[slot].entry == NULL;
    names->slots[slot].entry = entry;
    names->slots[slot].name = name;
    return 0;
}

/* ---- the functions of a unit ---- */

static bool is_of_cxx(Dwarf_Die *unit)
{
    switch (dwarf_srclang(unit)) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
        return true;
    default:
        return false;
    }
}

/* "outer::name"; NULL: no memory. */
static const char *join(struct awi_arena *arena, const char *outer, const char *name)
{
    if (outer[0] == '\0')
        return name;
    char *joined = awi_arena_alloc(arena, strlen(outer) + strlen(name) + 3, 1);
    if (joined != NULL)
        stpcpy(stpcpy(stpcpy(joined, outer), "::"), name);
    return joined;
}

/* What is to stand before the names of what the entry holds; NULL: it is not looked into. */
static const char *scope_name(struct awi_arena *arena, Dwarf_Die *scope, const char *outer, int *error)
{
    const char *name = dwarf_diename(scope);
    switch (dwarf_tag(scope)) {
    case DW_TAG_namespace:
        name = name != NULL ? name : "(anonymous namespace)";
        break;
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
        name = name != NULL ? name : "{unnamed}";
        break;
    case DW_TAG_subprogram:
        if (name == NULL)
            return NULL;
        break;
    case DW_TAG_lexical_block:
        return outer;
    default:
        return NULL;
    }
    if (dwarf_haschildren(scope) <= 0)
        return NULL;
    const char *joined = join(arena, outer, name);
    if (joined == NULL)
        *error = -ENOMEM;
    return joined;
}

static int add_function(struct awi_dwarf_names *names, Dwarf_Die *die, const char *outer)
{
    const char *name = dwarf_diename(die);
    if (name == NULL || dwarf_hasattr(die, DW_AT_linkage_name))
        return 0;
    const char *joined = join(names->arena, outer, name);
    return joined != NULL ? put(names, die->addr, joined) : -ENOMEM;
}

/* Depth first, as far down as a path of entries has room. */
static int read_unit(struct awi_dwarf_names *names, Dwarf_Die *unit)
{
    Dwarf_Die path[32];
    const char *outer[32] = { "" };
    size_t depth = 0;
    if (!is_of_cxx(unit) || dwarf_child(unit, &path[0]) != 0)
        return 0;
    for (;;) {
        int error = dwarf_tag(&path[depth]) == DW_TAG_subprogram
                        ? add_function(names, &path[depth], outer[depth])
                        : 0;
        const char *scope = error == 0 ? scope_name(names->arena, &path[depth], outer[depth], &error) : NULL;
        if (error != 0)
            return error;
        if (scope != NULL && depth + 1 < sizeof path / sizeof path[0] &&
            dwarf_child(&path[depth], &path[depth + 1]) == 0) {
            outer[++depth] = scope;
            continue;
        }
        while (dwarf_siblingof(&path[depth], &path[depth]) != 0)
            if (depth-- == 0)
                return 0;
    }
}

/* The entry that stands in the function's namespace or class. */
static void find_declaration(Dwarf_Die *die)
{
    for (unsigned steps = 0; steps < 8; ++steps) { /* entries of a broken file may refer to each other */
        Dwarf_Attribute attribute;
        Dwarf_Die referred;
        if ((dwarf_attr(die, DW_AT_abstract_origin, &attribute) == NULL &&
             dwarf_attr(die, DW_AT_specification, &attribute) == NULL) ||
            dwarf_formref_die(&attribute, &referred) == NULL)
            return;
        *die = referred;
    }
}

/* A unit is read when a function of it is met. 0 or -ENOMEM. */
static int qualify(struct awi_dwarf_names *names, Dwarf_Die *die, const char **name)
{
    Dwarf_Die declaration = *die;
    Dwarf_Die unit;
    find_declaration(&declaration);
    if (dwarf_diecu(&declaration, &unit, NULL, NULL) == NULL)
        return 0;
    if (find(names, unit.addr) == NULL) {
        int error = put(names, unit.addr, "");
        if (error == 0)
            error = read_unit(names, &unit);
        if (error != 0)
            return error;
    }
    const char *qualified = find(names, declaration.addr);
    if (qualified != NULL)
        *name = qualified;
    return 0;
}

/* ---- a function ---- */

int awi_dwarf_describe(struct awi_dwarf_names *names, Dwarf_Die *die, struct awi_source_function *function)
{
    Dwarf_Attribute attribute;
    function->linkage = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    if (function->linkage == NULL)
        function->linkage = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
    function->name = dwarf_diename(die);
    function->file = file_of(die);
    function->line = awi_dwarf_number(die, DW_AT_decl_line);
    if (function->linkage != NULL || function->name == NULL)
        return 0;
    return qualify(names, die, &function->name);
}
