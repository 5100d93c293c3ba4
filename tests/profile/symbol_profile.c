/* SPDX-License-Identifier: MIT */
/* symbol_profile.c: see symbol_profile.h. */
#include "symbol_profile.h"

#include <check.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#define MODULES_MAX 64

static char *path_of(const struct dl_phdr_info *object)
{
    char *path = NULL;
    if (object->dlpi_addr != 0 && object->dlpi_addr == getauxval(AT_SYSINFO_EHDR))
        path = strdup("[vdso]");
    else if (object->dlpi_name[0] != '\0')
        path = strdup(object->dlpi_name);
    else
        path = realpath("/proc/self/exe", NULL);
    ck_assert_ptr_nonnull(path);
    return path;
}

static int add_module(struct dl_phdr_info *object, size_t size, void *argument)
{
    (void)size;
    struct aw_profile *profile = argument;
    struct awi_module module = { .start = UINT64_MAX, .bias = object->dlpi_addr };
    for (size_t i = 0; i < object->dlpi_phnum; ++i) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD)
            continue;
        uint64_t start = object->dlpi_addr + segment->p_vaddr;
        uint64_t end = start + segment->p_memsz;
        module.start = start < module.start ? start : module.start;
        module.end = end > module.end ? end : module.end;
    }
    ck_assert_uint_lt(profile->modules_count, MODULES_MAX);
    module.path = path_of(object);
    profile->modules[profile->modules_count++] = module;
    return 0;
}

static int by_start(const void *left, const void *right)
{
    const struct awi_module *a = left;
    const struct awi_module *b = right;
    return (a->start > b->start) - (a->start < b->start);
}

void symbol_profile_begin(struct symbol_profile *made)
{
    memset(made, 0, sizeof *made);
    made->profile.samples = made->samples;
    made->profile.modules = calloc(MODULES_MAX, sizeof *made->profile.modules);
    ck_assert_ptr_nonnull(made->profile.modules);
    dl_iterate_phdr(add_module, &made->profile);
    qsort(made->profile.modules, made->profile.modules_count, sizeof *made->profile.modules, by_start);
}

void symbol_profile_end(struct symbol_profile *made)
{
    awi_symbols_free(made->symbols);
    for (size_t i = 0; i < made->profile.modules_count; ++i) {
        char *path;
        memcpy(&path, &made->profile.modules[i].path, sizeof path);
        free(path);
    }
    free(made->profile.modules);
}

struct awi_module *symbol_profile_module(struct symbol_profile *made, uint64_t pc)
{
    for (size_t i = 0; i < made->profile.modules_count; ++i)
        if (made->profile.modules[i].start <= pc && pc < made->profile.modules[i].end)
            return &made->profile.modules[i];
    ck_abort_msg("no module holds the address");
    return NULL;
}

size_t symbol_profile_stack(struct symbol_profile *made, enum awi_sample_kind kind, const uint64_t *pcs,
                            uint32_t depth)
{
    size_t index = made->profile.samples_count++;
    ck_assert_uint_lt(index, SYMBOL_SAMPLES);
    made->samples[index] =
        (struct awi_sample){ .count = 1, .time_ns = 4000000, .kind = kind, .pcs = pcs, .depth = depth };
    return index;
}

size_t symbol_profile_pc(struct symbol_profile *made, uint64_t pc)
{
    uint64_t *copy = &made->pcs[made->profile.samples_count];
    *copy = pc;
    return symbol_profile_stack(made, AWI_STACK, copy, 1);
}

void symbol_profile_name(struct symbol_profile *made)
{
    awi_symbols_free(made->symbols);
    ck_assert_int_eq(awi_symbolize(&made->profile, &made->symbols), 0);
    ck_assert_ptr_nonnull(made->symbols);
}

const struct awi_location *symbol_profile_location(const struct symbol_profile *made, size_t sample,
                                                   size_t level)
{
    ck_assert_uint_lt(sample, made->profile.samples_count);
    ck_assert_uint_lt(level, made->symbols->stacks[sample].depth);
    uint32_t location = made->symbols->stacks[sample].locations[level];
    ck_assert_uint_lt(location, made->symbols->locations_count);
    return &made->symbols->locations[location];
}

const struct awi_frame *symbol_profile_frame(const struct symbol_profile *made, size_t sample, size_t inlined)
{
    const struct awi_location *location = symbol_profile_location(made, sample, 0);
    ck_assert_uint_lt(inlined, location->frames_count);
    ck_assert_uint_lt(location->frames[inlined].function, made->symbols->functions_count);
    return &location->frames[inlined];
}

const struct awi_function *symbol_profile_function(const struct symbol_profile *made, size_t sample,
                                                   size_t inlined)
{
    return &made->symbols->functions[symbol_profile_frame(made, sample, inlined)->function];
}

void symbol_profile_check_end(const char *text, const char *suffix)
{
    size_t length = strlen(text);
    size_t wanted = strlen(suffix);
    ck_assert_msg(length >= wanted && strcmp(text + length - wanted, suffix) == 0, "\"%s\" ends in \"%s\"",
                  text, suffix);
}
