/* SPDX-License-Identifier: MIT */
/* dwarf_frames.c: see dwarf_frames.h. Called by object_file.c and symbols.c, for one module at a time. */
#include "dwarf_frames.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "address_ranges.h"

/* A compilation unit. */
struct unit {
    Dwarf_Die die;   /* of the line table */
    Dwarf_Die scope; /* of the functions: the same, or what a skeleton stands for (split DWARF) */
    bool is_read;
    struct awi_address_ranges functions; /* what: index into dies */
    Dwarf_Die *dies;
    size_t dies_count;
    size_t dies_room;
};

struct awi_dwarf {
    struct awi_arena *arena;
    uint64_t bias; /* of the module's addresses above those in here */
    struct unit *units;
    size_t units_count;
    size_t units_room;
    struct awi_address_ranges ranges; /* what: index into units */
    struct awi_dwarf_names names;
};

/* ---- no memory within libdw ---- */

static _Thread_local jmp_buf *way_out;

static __attribute__((noreturn)) void leave(void)
{
    if (way_out == NULL)
        abort(); /* somebody called libdw outside awi_dwarf_guarded */
    longjmp(*way_out, 1);
}

int awi_dwarf_guarded(int (*work)(void *), void *argument)
{
    jmp_buf here;
    if (_setjmp(here) != 0) {
        way_out = NULL;
        return -ENOMEM;
    }
    way_out = &here;
    int result = work(argument);
    way_out = NULL;
    return result;
}

/* ---- reading ---- */

/* Memory for one more at the end of an array in an arena. */
static void *grown(struct awi_arena *arena, void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    size_t more = *room != 0 ? 2 * *room : 16;
    void *memory = awi_arena_alloc(arena, more, size);
    if (memory == NULL)
        return NULL;
    if (count != 0)
        memcpy(memory, items, count * size);
    *room = more;
    return memory;
}

static int add_die_ranges(struct awi_address_ranges *ranges, Dwarf_Die *die, size_t what, bool *is_added)
{
    Dwarf_Addr base;
    Dwarf_Addr start;
    Dwarf_Addr end;
    *is_added = false;
    for (ptrdiff_t next = 0; (next = dwarf_ranges(die, next, &base, &start, &end)) > 0;) {
        int error = awi_address_ranges_add(ranges, start, end, what);
        if (error != 0)
            return error;
        *is_added = true;
    }
    return 0;
}

static int add_unit(struct awi_dwarf *dwarf, Dwarf_Die *die, Dwarf_Die *split)
{
    void *units =
        grown(dwarf->arena, dwarf->units, dwarf->units_count, &dwarf->units_room, sizeof *dwarf->units);
    if (units == NULL)
        return -ENOMEM;
    dwarf->units = units;
    struct unit *unit = &dwarf->units[dwarf->units_count];
    *unit = (struct unit){ .die = *die, .scope = *die, .functions = { .arena = dwarf->arena } };
    if (split != NULL)
        unit->scope = *split;
    bool is_added;
    int error = add_die_ranges(&dwarf->ranges, die, dwarf->units_count, &is_added);
    if (error == 0 && is_added)
        ++dwarf->units_count;
    return error;
}

static int read_units(struct awi_dwarf *dwarf, Dwarf *handle)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Die die;
    Dwarf_Die split;
    uint8_t type;
    while (dwarf_get_units(handle, unit, &unit, NULL, &type, &die, &split) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton)
            continue;
        bool is_split = type == DW_UT_skeleton && dwarf_tag(&split) == DW_TAG_compile_unit;
        if (is_split)
            dwarf_new_oom_handler(dwarf_cu_getdwarf(split.cu), leave);
        int error = add_unit(dwarf, &die, is_split ? &split : NULL);
        if (error != 0)
            return error;
    }
    awi_address_ranges_sort(&dwarf->ranges);
    return 0;
}

int awi_dwarf_read(struct awi_dwarf **dwarf, Dwfl_Module *module, struct awi_arena *arena)
{
    *dwarf = NULL;
    Dwarf_Addr bias = 0;
    Dwarf *handle = dwfl_module_getdwarf(module, &bias);
    if (handle == NULL)
        return 0;
    dwarf_new_oom_handler(handle, leave);
    Dwarf *shared = dwarf_getalt(handle);
    if (shared != NULL)
        dwarf_new_oom_handler(shared, leave);
    struct awi_dwarf *read = awi_arena_alloc(arena, 1, sizeof *read);
    if (read == NULL)
        return -ENOMEM;
    read->arena = arena;
    read->bias = bias;
    read->ranges.arena = arena;
    read->names.arena = arena;
    int error = read_units(read, handle);
    if (error == 0 && read->units_count != 0)
        *dwarf = read;
    return error;
}

/* ---- the functions of a unit ---- */

/* Some languages have functions in types, and in functions. */
static bool may_hold_functions(int tag)
{
    switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
        return true;
    default:
        return false;
    }
}

static int add_function(struct unit *unit, Dwarf_Die *die)
{
    void *dies =
        grown(unit->functions.arena, unit->dies, unit->dies_count, &unit->dies_room, sizeof *unit->dies);
    if (dies == NULL)
        return -ENOMEM;
    unit->dies = dies;
    unit->dies[unit->dies_count] = *die;
    bool is_added;
    int error = add_die_ranges(&unit->functions, die, unit->dies_count, &is_added);
    if (error == 0 && is_added)
        ++unit->dies_count;
    return error;
}

/* Depth first, as far down as a path of entries has room. */
static int read_functions(struct unit *unit)
{
    Dwarf_Die path[32];
    size_t depth = 0;
    unit->is_read = true;
    if (dwarf_child(&unit->scope, &path[0]) != 0)
        return 0;
    for (;;) {
        int tag = dwarf_tag(&path[depth]);
        int error = tag == DW_TAG_subprogram ? add_function(unit, &path[depth]) : 0;
        if (error != 0)
            return error;
        if (may_hold_functions(tag) && depth + 1 < sizeof path / sizeof path[0] &&
            dwarf_child(&path[depth], &path[depth + 1]) == 0) {
            ++depth;
            continue;
        }
        while (dwarf_siblingof(&path[depth], &path[depth]) != 0)
            if (depth-- == 0) {
                awi_address_ranges_sort(&unit->functions);
                return 0;
            }
    }
}

/* ---- an address ---- */

/* The calls that were inlined there, the outermost first. */
static size_t find_inlined(Dwarf_Die *function, Dwarf_Addr address, Dwarf_Die calls[AWI_INLINED_MAX])
{
    size_t count = 0;
    Dwarf_Die die;
    if (dwarf_child(function, &die) != 0)
        return 0;
    for (;;) {
        int tag = dwarf_tag(&die);
        bool is_call = tag == DW_TAG_inlined_subroutine;
        Dwarf_Die child;
        if ((is_call || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
             tag == DW_TAG_catch_block) &&
            dwarf_haspc(&die, address) > 0) {
            if (is_call && count < AWI_INLINED_MAX)
                calls[count++] = die;
            if (dwarf_child(&die, &child) != 0)
                return count;
            die = child;
        } else if (dwarf_siblingof(&die, &die) != 0) {
            return count;
        }
    }
}

static const char *find_line(struct unit *unit, Dwarf_Addr address, uint32_t *line)
{
    Dwarf_Line *row = dwarf_getsrc_die(&unit->die, address);
    int number = 0;
    *line = 0;
    if (row == NULL)
        return NULL;
    if (dwarf_lineno(row, &number) == 0 && number > 0)
        *line = (uint32_t)number;
    return dwarf_linesrc(row, NULL, NULL);
}

int awi_dwarf_find(struct awi_dwarf *dwarf, uint64_t address,
                   struct awi_source_frame frames[AWI_INLINED_MAX + 1], size_t *count)
{
    *count = 0;
    Dwarf_Addr pc = address - dwarf->bias;
    const struct awi_address_range *range = awi_address_ranges_find(&dwarf->ranges, pc);
    if (range == NULL)
        return 0;
    struct unit *unit = &dwarf->units[range->what];
    int error = unit->is_read ? 0 : read_functions(unit);
    if (error != 0)
        return error;

    uint32_t line;
    const char *file = find_line(unit, pc, &line);
    range = awi_address_ranges_find(&unit->functions, pc);
    if (range == NULL) {
        frames[0] = (struct awi_source_frame){ .function = { .file = file }, .line = line };
        *count = file != NULL;
        return 0;
    }
    Dwarf_Die *function = &unit->dies[range->what];
    Dwarf_Die calls[AWI_INLINED_MAX];
    size_t inlined = find_inlined(function, pc, calls);
    for (size_t i = 0; i <= inlined; ++i) {
        Dwarf_Die *die = i < inlined ? &calls[inlined - 1 - i] : function;
        error = awi_dwarf_describe(&dwarf->names, die, &frames[i].function);
        if (error != 0)
            return error;
        frames[i].line = line;
        line = i < inlined ? awi_dwarf_number(die, DW_AT_call_line) : 0;
    }
    *count = inlined + 1;
    if (frames[inlined].function.line == 0) /* assemblers do not say */
        find_line(unit, range->start, &frames[inlined].function.line);
    if (frames[0].function.file == NULL)
        frames[0].function.file = file;
    return 0;
}
