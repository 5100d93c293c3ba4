/* SPDX-License-Identifier: MIT */
/*
 * truth.h: what a viewer has to show of a profile, summed up in the plainest way: once more through all
 * samples for each question, with nothing of the code that writes the formats.
 */
#ifndef AWI_VIEWERS_TRUTH_H
#define AWI_VIEWERS_TRUTH_H

#include "profile/model.h"

struct truth {
    const struct aw_profile *profile;
    const struct awi_symbols *symbols;
};

/* Nanoseconds: of all; of the samples in which a function of that name is; of those that it ends. */
uint64_t truth_whole(const struct truth *truth);
uint64_t truth_total(const struct truth *truth, const char *function);
uint64_t truth_own(const struct truth *truth, const char *function);

/* Writes FOLDER/truth.json; words to search for in the SVG, and a function to zoom to. 0, or -1. */
int truth_write(const struct truth *truth, const char *folder, const char *search, const char *zoom);

#endif
