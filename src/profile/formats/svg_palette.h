/* SPDX-License-Identifier: MIT */
/*
 * svg_palette.h: the colors of a flame graph: one hue a file, so that the program's own code is told from its
 * libraries' at a glance; three shades of it, by the function's name, so that neighbors differ. The same name
 * has the same color in each picture.
 */
#ifndef AWI_PROFILE_SVG_PALETTE_H
#define AWI_PROFILE_SVG_PALETTE_H

#include "call_tree.h"
#include "output.h"

struct awi_palette {
    uint32_t *module_of_function; /* UINT32_MAX: none */
    unsigned *hues;               /* of the modules */
    uint64_t *own_ns;             /* of the modules */
    uint32_t *ranks;              /* modules with time of their own, the most first */
    size_t ranks_count;
};

struct awi_palette_class {
    char text[8];
};

/* -ENOMEM, or 0; to be freed either way. program: the module's index, or UINT32_MAX. */
int awi_palette_choose(struct awi_palette *palette, const struct aw_profile *profile,
                       const struct awi_symbols *symbols, const struct awi_call_tree *tree, uint32_t program);
void awi_palette_free(struct awi_palette *palette);

/* The class of a function's frame, or with no name the hue of its file; module UINT32_MAX: grey. */
struct awi_palette_class awi_palette_class(const struct awi_palette *palette, uint32_t module,
                                           const char *name);

/* The rules of all classes, for the style sheet. */
void awi_palette_write(struct awi_output *output);

#endif
