/* SPDX-License-Identifier: MIT */
/* elf_symbols.c: see elf_symbols.h. Called by object_file.c, for one module at a time. */
#include "elf_symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Names of one address, the best first: functions before bare labels, without a version, with few underscores
 * before them (read rather than __libc_read), exported before internal ones.
 */
static unsigned rank(const char *name, const GElf_Sym *symbol)
{
    unsigned type = GELF_ST_TYPE(symbol->st_info);
    unsigned rank = type == STT_FUNC ? 0 : type == STT_GNU_IFUNC ? 1 : 2;
    rank = 2 * rank + (symbol->st_size == 0);
    rank = 2 * rank + (strchr(name, '@') != NULL);
    size_t underscores = strspn(name, "_");
    rank = 4 * rank + (unsigned)(underscores < 3 ? underscores : 3);
    return 2 * rank + (GELF_ST_BIND(symbol->st_info) == STB_LOCAL);
}

/* Assemblers leave labels in the table that name no function: .L7, $x. */
static bool names_function(const char *name, const GElf_Sym *symbol)
{
    unsigned type = GELF_ST_TYPE(symbol->st_info);
    return (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) && name[0] != '\0' &&
           name[0] != '.' && name[0] != '$';
}

static int compare(const void *left, const void *right)
{
    const struct awi_elf_symbol *a = left;
    const struct awi_elf_symbol *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    size_t a_length = strlen(a->name);
    size_t b_length = strlen(b->name);
    if (a_length != b_length)
        return a_length < b_length ? -1 : 1;
    return strcmp(a->name, b->name);
}

static size_t read_table(struct awi_elf_symbol *symbols, Dwfl_Module *module, int entries,
                         const struct awi_address_ranges *code)
{
    size_t count = 0;
    for (int i = 1; i < entries; ++i) {
        GElf_Sym symbol;
        GElf_Addr start;
        GElf_Word section;
        const char *name = dwfl_module_getsym_info(module, i, &symbol, &start, &section, NULL, NULL);
        if (name == NULL || section == SHN_UNDEF || section == SHN_ABS || !names_function(name, &symbol) ||
            awi_address_ranges_find(code, start) == NULL)
            continue;
        symbols[count++] = (struct awi_elf_symbol){ .start = start,
                                                    .end = start + symbol.st_size,
                                                    .name = name,
                                                    .is_sized = symbol.st_size != 0,
                                                    .rank = rank(name, &symbol) };
    }
    return count;
}

/* One symbol for each start; one without a size ends where the next begins, or the code does. */
static int add_ranges(struct awi_elf_symbols *table, size_t count, const struct awi_address_ranges *code)
{
    struct awi_elf_symbol *symbols = table->symbols;
    uint64_t sized_end = 0; /* a label within a function is none */
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && symbols[next].start == symbols[i].start;)
            ++next;
        struct awi_elf_symbol *symbol = &symbols[i];
        if (!symbol->is_sized) {
            if (symbol->start < sized_end)
                continue;
            const struct awi_address_range *segment = awi_address_ranges_find(code, symbol->start);
            symbol->end = segment->end;
            if (next < count && symbols[next].start < symbol->end)
                symbol->end = symbols[next].start;
        } else if (symbol->end > sized_end) {
            sized_end = symbol->end;
        }
        int error = awi_address_ranges_add(&table->ranges, symbol->start, symbol->end, i);
        if (error != 0)
            return error;
    }
    awi_address_ranges_sort(&table->ranges);
    return 0;
}

int awi_elf_symbols_read(struct awi_elf_symbols *symbols, Dwfl_Module *module,
                         const struct awi_address_ranges *code, struct awi_arena *arena)
{
    *symbols = (struct awi_elf_symbols){ .ranges = { .arena = arena } };
    int entries = dwfl_module_getsymtab(module);
    if (entries <= 0)
        return 0;
    symbols->symbols = awi_arena_alloc(arena, (size_t)entries, sizeof *symbols->symbols);
    if (symbols->symbols == NULL)
        return -ENOMEM;
    size_t count = read_table(symbols->symbols, module, entries, code);
    qsort(symbols->symbols, count, sizeof *symbols->symbols, compare);
    return add_ranges(symbols, count, code);
}

const struct awi_elf_symbol *awi_elf_symbols_find(const struct awi_elf_symbols *symbols, uint64_t address)
{
    const struct awi_address_range *range = awi_address_ranges_find(&symbols->ranges, address);
    return range != NULL ? &symbols->symbols[range->what] : NULL;
}
