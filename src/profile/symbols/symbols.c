/* SPDX-License-Identifier: MIT */
/*
 * symbols.c: gives the addresses of a profile their names: each different one once, module by module, and
 * only modules that samples lie in. What has no name is called after its file, and what is no address
 * ("[lost]") after what it is. Called by whoever writes an output; reads files, and asks no server.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../model.h"
#include "address_ranges.h"
#include "address_set.h"
#include "function_table.h"
#include "object_file.h"

#define NO_MODULE UINT32_MAX

/* Locations that are no address. They follow those that are. */
enum made_up {
    UNKNOWN,
    LOST,
    UNSAMPLED,
    TRUNCATED,
    MADE_UPS
};

static const char *const made_up_names[MADE_UPS] = { "[unknown]", "[lost]", "[unsampled]", "[truncated]" };

struct naming {
    const struct aw_profile *profile;
    struct awi_symbols *symbols;
    struct awi_arena *scratch;
    struct awi_function_table *functions;
    struct awi_address_set pcs; /* by index: the first locations */
    uint32_t made_up[MADE_UPS]; /* index of the location */
    bool is_needed[MADE_UPS];
    size_t module; /* that `file` is of */
    struct awi_object_file file;
};

/* ---- which addresses ---- */

/* How many of its addresses a sample's stack shows, and which made-up location ends it. */
static uint32_t shown_depth(const struct awi_sample *sample, enum made_up *end)
{
    uint32_t depth = sample->kind == AWI_STACK || sample->kind == AWI_TRUNCATED ? sample->depth : 0;
    switch (sample->kind) {
    case AWI_TRUNCATED:
        *end = TRUNCATED;
        break;
    case AWI_LOST:
        *end = LOST;
        break;
    case AWI_UNSAMPLED:
        *end = UNSAMPLED;
        break;
    case AWI_STACK:
    default:
        *end = depth == 0 ? UNKNOWN : MADE_UPS;
        break;
    }
    return depth;
}

static int collect(struct naming *naming)
{
    for (size_t i = 0; i < naming->profile->samples_count; ++i) {
        const struct awi_sample *sample = &naming->profile->samples[i];
        enum made_up end;
        uint32_t depth = shown_depth(sample, &end);
        if (end != MADE_UPS)
            naming->is_needed[end] = true;
        for (uint32_t j = 0; j < depth; ++j) {
            int error = awi_address_set_add(&naming->pcs, sample->pcs[j]);
            if (error != 0)
                return error;
        }
    }
    awi_address_set_sort(&naming->pcs);
    return 0;
}

/* ---- locations ---- */

static int place(struct naming *naming)
{
    const struct aw_profile *profile = naming->profile;
    struct awi_symbols *symbols = naming->symbols;
    struct awi_address_ranges modules = { .arena = naming->scratch };
    for (size_t i = 0; i < profile->modules_count; ++i) {
        int error = awi_address_ranges_add(&modules, profile->modules[i].start, profile->modules[i].end, i);
        if (error != 0)
            return error;
    }
    awi_address_ranges_sort(&modules);

    symbols->locations_count = naming->pcs.count;
    for (size_t i = 0; i < MADE_UPS; ++i) {
        naming->made_up[i] = (uint32_t)symbols->locations_count;
        symbols->locations_count += naming->is_needed[i];
    }
    symbols->locations =
        awi_arena_alloc(symbols->arena, symbols->locations_count, sizeof *symbols->locations);
    if (symbols->locations == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < symbols->locations_count; ++i)
        symbols->locations[i].module = NO_MODULE;
    for (size_t i = 0; i < naming->pcs.count; ++i) {
        const struct awi_address_range *range = awi_address_ranges_find(&modules, naming->pcs.addresses[i]);
        symbols->locations[i].pc = naming->pcs.addresses[i];
        if (range != NULL)
            symbols->locations[i].module = (uint32_t)range->what;
    }
    return 0;
}

/* A location of one frame, without a line. */
static int name_plainly(struct naming *naming, struct awi_location *location, const char *name)
{
    struct awi_function function = { .name = name };
    struct awi_frame *frame = awi_arena_alloc(naming->symbols->arena, 1, sizeof *frame);
    if (frame == NULL)
        return -ENOMEM;
    location->frames = frame;
    location->frames_count = 1;
    return awi_function_table_add(naming->functions, location->module, &function, &frame->function);
}

/* "[libfoo.so.1]"; NULL: no memory. */
static const char *bracketed(struct awi_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t length = strlen(base);
    if (length == 0)
        return made_up_names[UNKNOWN];
    if (base[0] == '[')
        return base;
    char *name = awi_arena_alloc(arena, length + 3, 1);
    if (name != NULL)
        stpcpy(stpcpy(stpcpy(name, "["), base), "]");
    return name;
}

/* ---- a module ---- */

/* The symbol table knows parts of functions (foo.cold), and has names that debug information leaves out. */
static void add_symbol(const struct awi_elf_symbol *symbol, struct awi_source_function *outermost)
{
    bool is_named = outermost->linkage != NULL || outermost->name != NULL;
    if (symbol == NULL || (is_named && !symbol->is_sized))
        return;
    outermost->linkage = symbol->name;
    outermost->name = NULL;
}

static int name_address(struct naming *naming, struct awi_location *location, const char *otherwise)
{
    const struct awi_object_file *file = &naming->file;
    uint64_t address = location->pc - naming->profile->modules[naming->module].bias;
    if (awi_address_ranges_find(&file->code, address) == NULL)
        return name_plainly(naming, location, otherwise);
    struct awi_source_frame found[AWI_INLINED_MAX + 1];
    size_t count = 0;
    int error = file->dwarf != NULL ? awi_dwarf_find(file->dwarf, address, found, &count) : 0;
    if (error != 0)
        return error;
    if (count == 0)
        found[count++] = (struct awi_source_frame){ .line = 0 };
    add_symbol(awi_elf_symbols_find(&file->symbols, address), &found[count - 1].function);

    struct awi_frame *frames = awi_arena_alloc(naming->symbols->arena, count, sizeof *frames);
    if (frames == NULL)
        return -ENOMEM;
    location->frames = frames;
    location->frames_count = (uint32_t)count;
    for (size_t i = 0; i < count; ++i) {
        const struct awi_source_function *source = &found[i].function;
        struct awi_function function = { .linkage = source->linkage,
                                         .name = source->linkage != NULL ? NULL : source->name,
                                         .file = source->file,
                                         .line = source->line };
        if (function.linkage == NULL && function.name == NULL)
            function.name = otherwise;
        frames[i].line = found[i].line;
        error = awi_function_table_add(naming->functions, location->module, &function, &frames[i].function);
        if (error != 0)
            return error;
    }
    return 0;
}

/* 0 or -ENOMEM. */
static int keep_build_id(struct naming *naming, const char *build_id)
{
    char **kept = &naming->symbols->build_ids[naming->module];
    *kept = awi_arena_string(naming->symbols->arena, build_id != NULL ? build_id : "");
    return *kept != NULL ? 0 : -ENOMEM;
}

static int name_module(void *argument)
{
    struct naming *naming = argument;
    const struct awi_module *module = &naming->profile->modules[naming->module];
    const char *otherwise = bracketed(naming->scratch, module->path);
    if (otherwise == NULL)
        return -ENOMEM;
    int error = awi_object_file_open(&naming->file, module);
    if (error != 0)
        return error;
    if (naming->file.is_read) {
        naming->symbols->has_lines[naming->module] = naming->file.dwarf != NULL;
        error = keep_build_id(naming, naming->file.build_id);
    }
    for (size_t i = 0; i < naming->pcs.count && error == 0; ++i)
        if (naming->symbols->locations[i].module == naming->module)
            error = name_address(naming, &naming->symbols->locations[i], otherwise);
    return error;
}

static int name_modules(struct naming *naming)
{
    size_t count = naming->profile->modules_count;
    bool *has_samples = awi_arena_alloc(naming->scratch, count, sizeof *has_samples);
    if (has_samples == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < naming->pcs.count; ++i)
        if (naming->symbols->locations[i].module != NO_MODULE)
            has_samples[naming->symbols->locations[i].module] = true;
    for (naming->module = 0; naming->module < count; ++naming->module) {
        int error = keep_build_id(naming, naming->profile->modules[naming->module].build_id);
        if (error == 0 && has_samples[naming->module]) {
            error = awi_dwarf_guarded(name_module, naming);
            awi_object_file_close(&naming->file);
        }
        if (error != 0)
            return error;
    }
    return 0;
}

static int name_the_rest(struct naming *naming)
{
    int error = 0;
    for (size_t i = 0; i < naming->pcs.count && error == 0; ++i)
        if (naming->symbols->locations[i].module == NO_MODULE)
            error = name_plainly(naming, &naming->symbols->locations[i], made_up_names[UNKNOWN]);
    for (size_t i = 0; i < MADE_UPS && error == 0; ++i)
        if (naming->is_needed[i])
            error = name_plainly(naming, &naming->symbols->locations[naming->made_up[i]], made_up_names[i]);
    return error;
}

/* ---- all of it ---- */

static int prepare(struct naming *naming)
{
    struct awi_symbols *symbols = naming->symbols;
    size_t count = naming->profile->modules_count;
    symbols->build_ids = awi_arena_alloc(symbols->arena, count, sizeof *symbols->build_ids);
    symbols->has_lines = awi_arena_alloc(symbols->arena, count, sizeof *symbols->has_lines);
    naming->scratch = awi_arena_create();
    naming->functions = awi_function_table_create(symbols->arena);
    if (symbols->build_ids == NULL || symbols->has_lines == NULL || naming->scratch == NULL ||
        naming->functions == NULL)
        return -ENOMEM;
    return 0;
}

static int name_stacks(struct naming *naming)
{
    struct awi_symbols *symbols = naming->symbols;
    size_t count = naming->profile->samples_count;
    symbols->stacks = awi_arena_alloc(symbols->arena, count, sizeof *symbols->stacks);
    if (symbols->stacks == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; ++i) {
        const struct awi_sample *sample = &naming->profile->samples[i];
        enum made_up end;
        uint32_t depth = shown_depth(sample, &end);
        uint32_t *locations = awi_arena_alloc(symbols->arena, (size_t)depth + 1, sizeof *locations);
        if (locations == NULL)
            return -ENOMEM;
        symbols->stacks[i].locations = locations;
        for (uint32_t j = 0; j < depth; ++j)
            locations[j] = awi_address_set_index(&naming->pcs, sample->pcs[j]);
        if (end != MADE_UPS)
            locations[depth++] = naming->made_up[end];
        symbols->stacks[i].depth = depth;
    }
    return 0;
}

static int name_all(struct naming *naming)
{
    int error = prepare(naming);
    if (error == 0)
        error = collect(naming);
    if (error == 0)
        error = place(naming);
    if (error == 0)
        error = name_modules(naming);
    if (error == 0)
        error = name_the_rest(naming);
    if (error == 0)
        error = name_stacks(naming);
    if (error == 0)
        error = awi_function_table_copy(naming->functions, &naming->symbols->functions,
                                        &naming->symbols->functions_count);
    return error;
}

int awi_symbolize(const struct aw_profile *profile, struct awi_symbols **symbols)
{
    *symbols = NULL;
    struct awi_arena *arena = awi_arena_create();
    if (arena == NULL)
        return -ENOMEM;
    struct naming naming = { .profile = profile, .symbols = awi_arena_alloc(arena, 1, sizeof **symbols) };
    if (naming.symbols == NULL) {
        awi_arena_destroy(arena);
        return -ENOMEM;
    }
    naming.symbols->arena = arena;
    int error = name_all(&naming);
    awi_function_table_destroy(naming.functions);
    awi_address_set_free(&naming.pcs);
    awi_arena_destroy(naming.scratch);
    if (error == 0)
        *symbols = naming.symbols;
    else
        awi_symbols_free(naming.symbols);
    return error;
}

void awi_symbols_free(struct awi_symbols *symbols)
{
    if (symbols != NULL)
        awi_arena_destroy(symbols->arena);
}
