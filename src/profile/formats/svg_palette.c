/* SPDX-License-Identifier: MIT */
/*
 * svg_palette.c: which color a frame has, from names alone: addresses, and the order of files, differ from
 * run to run. Called by svg.c.
 */
#include "svg_palette.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "titles.h"

#define SHADES 3u
#define HUES 8u
#define PROGRAM_HUE 0u
#define GREY HUES

/*
 * Hues that people who do not see all colors can tell apart (after Paul Tol's "light" scheme), all light
 * enough for dark letters. The program is orange; libraries get theirs by name; threads, for one, are grey.
 */
static const unsigned char hues[HUES + 1][3] = {
    { 0xee, 0x88, 0x66 }, { 0x77, 0xaa, 0xdd }, { 0xee, 0xdd, 0x88 },
    { 0x44, 0xbb, 0x99 }, { 0xff, 0xaa, 0xbb }, { 0xbb, 0xcc, 0x33 },
    { 0x99, 0xdd, 0xff }, { 0xcc, 0xaa, 0xdd }, { 0xc8, 0xc8, 0xc8 },
};

static uint32_t hash_of(const char *string)
{
    uint32_t hash = UINT32_C(2166136261);
    for (; *string != '\0'; ++string)
        hash = (hash ^ (unsigned char)*string) * UINT32_C(16777619);
    return hash ^ hash >> 15;
}

static void find_modules(struct awi_palette *palette, const struct aw_profile *profile,
                         const struct awi_symbols *symbols)
{
    for (size_t i = 0; i < symbols->functions_count; ++i)
        palette->module_of_function[i] = UINT32_MAX;
    for (size_t i = 0; i < symbols->locations_count; ++i) {
        const struct awi_location *location = &symbols->locations[i];
        if (location->module >= profile->modules_count)
            continue;
        for (uint32_t frame = 0; frame < location->frames_count; ++frame)
            palette->module_of_function[location->frames[frame].function] = location->module;
    }
}

static void sum_own_time(struct awi_palette *palette, const struct awi_call_tree *tree)
{
    for (uint32_t i = 1; i < tree->count; ++i) {
        if (awi_call_is_thread(tree, i))
            continue;
        uint32_t module = palette->module_of_function[tree->calls[i].what];
        if (module != UINT32_MAX)
            palette->own_ns[module] += tree->calls[i].own_ns;
    }
}

static int by_title(const void *a, const void *b, void *arg)
{
    const struct aw_profile *profile = arg;
    return strcmp(awi_file_title(profile->modules[*(const uint32_t *)a].path),
                  awi_file_title(profile->modules[*(const uint32_t *)b].path));
}

/* The module's own hue by its name, or the next one that is free, as long as one is. */
static unsigned choose_hue(bool *is_taken, const char *title)
{
    uint32_t wanted = hash_of(title) % (HUES - 1);
    for (unsigned i = 0; i < HUES - 1; ++i) {
        unsigned hue = 1 + (wanted + i) % (HUES - 1);
        if (!is_taken[hue]) {
            is_taken[hue] = true;
            return hue;
        }
    }
    return 1 + wanted;
}

/* Only files that have functions in the picture use hues up; `order` has room for all. */
static void choose_hues(struct awi_palette *palette, const struct aw_profile *profile,
                        const struct awi_symbols *symbols, uint32_t program, uint32_t *order)
{
    size_t count = 0;
    bool is_taken[HUES] = { false };
    for (uint32_t i = 0; i < profile->modules_count; ++i)
        palette->hues[i] = GREY;
    for (size_t i = 0; i < symbols->functions_count; ++i)
        if (palette->module_of_function[i] != UINT32_MAX)
            palette->hues[palette->module_of_function[i]] = PROGRAM_HUE;
    for (uint32_t i = 0; i < profile->modules_count; ++i)
        if (palette->hues[i] != GREY && i != program)
            order[count++] = i;
    qsort_r(order, count, sizeof *order, by_title, (void *)profile);
    for (size_t i = 0; i < count; ++i)
        palette->hues[order[i]] = choose_hue(is_taken, awi_file_title(profile->modules[order[i]].path));
}

static int by_own_time(const void *a, const void *b, void *arg)
{
    const uint64_t *own_ns = arg;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    if (own_ns[left] != own_ns[right])
        return own_ns[left] < own_ns[right] ? 1 : -1;
    return (left > right) - (left < right);
}

static void rank(struct awi_palette *palette, size_t modules_count)
{
    for (uint32_t i = 0; i < modules_count; ++i)
        if (palette->own_ns[i] != 0)
            palette->ranks[palette->ranks_count++] = i;
    qsort_r(palette->ranks, palette->ranks_count, sizeof *palette->ranks, by_own_time, palette->own_ns);
}

int awi_palette_choose(struct awi_palette *palette, const struct aw_profile *profile,
                       const struct awi_symbols *symbols, const struct awi_call_tree *tree, uint32_t program)
{
    size_t modules = profile->modules_count + 1; /* none is no reason for NULL */
    palette->module_of_function = calloc(symbols->functions_count + 1, sizeof *palette->module_of_function);
    palette->hues = calloc(modules, sizeof *palette->hues);
    palette->own_ns = calloc(modules, sizeof *palette->own_ns);
    palette->ranks = calloc(modules, sizeof *palette->ranks);
    palette->ranks_count = 0;
    if (palette->module_of_function == NULL || palette->hues == NULL || palette->own_ns == NULL ||
        palette->ranks == NULL)
        return -ENOMEM;
    find_modules(palette, profile, symbols);
    sum_own_time(palette, tree);
    choose_hues(palette, profile, symbols, program, palette->ranks);
    rank(palette, profile->modules_count);
    return 0;
}

void awi_palette_free(struct awi_palette *palette)
{
    free(palette->module_of_function);
    free(palette->hues);
    free(palette->own_ns);
    free(palette->ranks);
}

struct awi_palette_class awi_palette_class(const struct awi_palette *palette, uint32_t module,
                                           const char *name)
{
    struct awi_palette_class class;
    unsigned hue = module == UINT32_MAX ? GREY : palette->hues[module];
    unsigned shade = name == NULL ? 0 : hash_of(name) % SHADES;
    (void)snprintf(class.text, sizeof class.text, "c%u%u", hue % 10, shade % 10);
    return class;
}

void awi_palette_write(struct awi_output *output)
{
    for (unsigned hue = 0; hue <= HUES; ++hue)
        for (unsigned shade = 0; shade < SHADES; ++shade) {
            unsigned mixed[3];
            for (unsigned i = 0; i < 3; ++i)
                mixed[i] = hues[hue][i] + (255u - hues[hue][i]) * shade * 2 / 10;
            awi_output_print(output, ".c%u%u { fill: #%02x%02x%02x; }\n", hue, shade, mixed[0], mixed[1],
                             mixed[2]);
        }
}
